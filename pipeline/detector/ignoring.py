"""Regions that the loss passes over: boxes that the records mark as crowds.

Model Garden's own parser drops such boxes, so that what they show is taught as background. Here the anchors
that such a box would take weigh nothing, as long as they are no face's.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from official.vision.dataloaders import retinanet_input
from official.vision.ops import anchor

IGNORED = "ignored"
"""The attribute that carries the mark through the parser's own filters."""
NEAR_IOU = 0.4
"""Overlap of an anchor with an ignored box from which it is passed over; a match takes more."""


class Labeler(anchor.AnchorLabeler):
    """Labels anchors by the faces alone, then takes the weight of those that lie on ignored boxes."""

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
        return tf.reduce_any((overlap >= NEAR_IOU) | best, axis=1)


class Parser(retinanet_input.Parser):
    """Model Garden's, with ignored boxes in training."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, skip_crowd_during_training=False, **kwargs)

    def _parse_train_data(self, data: Any, anchor_labeler: Any = None, input_anchor: Any = None) -> Any:
        labeler = anchor_labeler or Labeler(
            match_threshold=self._match_threshold, unmatched_threshold=self._unmatched_threshold
        )
        marks = tf.cast(data["groundtruth_is_crowd"], tf.float32)[:, tf.newaxis]
        data = {**data, "groundtruth_attributes": {IGNORED: marks}}
        return super()._parse_train_data(data, labeler, input_anchor)
