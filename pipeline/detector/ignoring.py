"""Regions that the loss passes over: boxes that the records mark as crowds.

Model Garden's own parser drops such boxes, so that what they show is taught as background. Here the anchors
that such a box would take weigh nothing, nor those a little larger that it lies in, as long as they are no
face's.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from official.vision.dataloaders import retinanet_input
from official.vision.ops import anchor, iou_similarity

from pipeline.detector.matching import Matcher

IGNORED = "ignored"
"""The attribute that carries the mark through the parser's own filters."""
NEAR_IOU = 0.4
"""Overlap of an anchor with an ignored box from which it is passed over; a match takes more."""
INSIDE = 0.7
"""Share of an ignored box that lies in an anchor from which that is passed over, too, ..."""
TIMES = 16
"""... if it is no larger than this many ignored boxes: 4 sides. Most are smaller than the smallest anchor."""


class Labeler(anchor.AnchorLabeler):
    """Labels anchors by the faces alone, then takes the weight of those that lie on ignored boxes."""

    def __init__(self, match_threshold: float, unmatched_threshold: float, face_anchors: int) -> None:
        super().__init__(match_threshold=match_threshold, unmatched_threshold=unmatched_threshold)
        self.matcher = Matcher(unmatched_threshold, match_threshold, face_anchors)

    def label_anchors(
        self,
        anchor_boxes: Any,
        gt_boxes: tf.Tensor,
        gt_labels: tf.Tensor,
        gt_attributes: dict[str, tf.Tensor] | None = None,
        gt_weights: tf.Tensor | None = None,
    ) -> Any:
        """As the parent's; the attributes are the marks, float ``[N, 1]``, and go no further."""
        marks = (gt_attributes or {})[IGNORED][:, 0] > 0.5
        faces = ~marks
        classes, boxes, attributes, class_weights, box_weights = super().label_anchors(
            anchor_boxes, gt_boxes[faces], gt_labels[faces]
        )
        near = self._near(anchor_boxes, gt_boxes[marks])
        return (
            classes,
            boxes,
            attributes,
            tf.where(near & (box_weights == 0), 0.0, class_weights),
            box_weights,
        )

    def _near(self, anchor_boxes: Any, ignored: tf.Tensor) -> tf.Tensor:
        """Bool ``[anchors]``: on an ignored box, or the best there is for it, which a match would force."""
        anchors = tf.concat([tf.reshape(level, [-1, 4]) for level in anchor_boxes.values()], axis=0)
        overlap = self.similarity_calc(anchors, ignored)  # [anchors, ignored]
        best = (overlap == tf.reduce_max(overlap, axis=0)) & (overlap > 0)
        area = iou_similarity.area(ignored)
        inside = iou_similarity.intersection(anchors, ignored) >= INSIDE * area
        around = inside & (iou_similarity.area(anchors)[:, tf.newaxis] <= TIMES * area)
        return tf.reduce_any((overlap >= NEAR_IOU) | best | around, axis=1)


class Parser(retinanet_input.Parser):
    """Model Garden's, with ignored boxes in training, and at least ``face_anchors`` anchors a face."""

    def __init__(self, *args: Any, face_anchors: int = 0, **kwargs: Any) -> None:
        super().__init__(*args, skip_crowd_during_training=False, **kwargs)
        self._face_anchors = face_anchors

    def _parse_train_data(self, data: Any, anchor_labeler: Any = None, input_anchor: Any = None) -> Any:
        labeler = anchor_labeler or Labeler(
            self._match_threshold, self._unmatched_threshold, self._face_anchors
        )
        marks = tf.cast(data["groundtruth_is_crowd"], tf.float32)[:, tf.newaxis]
        data = {**data, "groundtruth_attributes": {IGNORED: marks}}
        return super()._parse_train_data(data, labeler, input_anchor)
