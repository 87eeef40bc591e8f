"""Of many boxes around a face, one: greedy non-maximum suppression of one class, and box voting.

The first equals ``tf.image.combined_non_max_suppression``. Voting is after Gidaris and Komodakis, "Object
detection via a multi-region and semantic segmentation-aware CNN model", ICCV 2015: the boxes that are dropped
know, too, where the face lies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
VOTERS = 4096
"""Boxes of a canvas that vote at most, the best."""


@dataclass(frozen=True)
class Suppression:
    """How overlapping boxes become one.

    Attributes:
        iou: a box that overlaps a better one by more is dropped.
        floor: scores must be above. most: boxes that are kept at most.
        vote_iou, vote_share: a kept box lies where those boxes lie, on average, that overlap it by more than
            this and score between this share of its score and its score: what scores more is another's. By
            default it stays as it is.
    """

    iou: float
    floor: float
    most: int
    vote_iou: float = 1.0
    vote_share: float = 1.0

    def keep(self, boxes: Floats, scores: Floats) -> NDArray[np.intp]:
        """Which boxes stay, best first; of equal scores the first comes first.

        Args:
            boxes: float32 ``[N, 4]``: ymin, xmin, ymax, xmax in any unit; corners in either order.
            scores: float32 ``[N]``.

        Raises:
            ValueError: a score, or a box that would be kept, is no number: a face must not get lost so.
        """
        if not np.isfinite(scores).all():
            raise ValueError("detections: a score is no number")
        left = np.flatnonzero(scores > np.float32(self.floor))
        left = left[np.argsort(-scores[left], kind="stable")]
        if not np.isfinite(boxes[left]).all():
            raise ValueError("detections: a corner of a box is no number")
        corners = _ordered(boxes[left])
        kept: list[np.intp] = []
        while len(left) and len(kept) < self.most:
            kept.append(left[0])
            apart = ~(overlaps(corners[0], corners[1:]) > np.float32(self.iou))
            left, corners = left[1:][apart], corners[1:][apart]
        return np.array(kept, dtype=np.intp)

    def vote(self, kept: Floats, kept_scores: Floats, boxes: Floats, scores: Floats) -> Floats:
        """Where the kept boxes lie: float32 ``[K, 4]``. A vote weighs its overlap by its score squared.

        A side at the edge of the canvas stays there: whoever merges tiles knows a cut face by it.

        Args:
            kept: ``[K, 4]`` in fractions of the canvas, and their scores ``[K]``. boxes, scores: see
                :meth:`keep`; in fractions, and with corners in order.
        """
        voted = kept.copy()
        if self.vote_iou >= 1:
            return voted
        if len(scores) > VOTERS:
            best = np.argsort(-scores, kind="stable")[:VOTERS]
            boxes, scores = boxes[best], scores[best]
        for index, (box, score) in enumerate(zip(kept, kept_scores, strict=True)):
            shared = overlaps(box, boxes)
            near = (scores >= np.float32(self.vote_share) * score) & (scores <= score)
            votes = near & (shared > np.float32(self.vote_iou))
            weights = shared[votes] * scores[votes] ** 2
            if (total := weights.sum()) > 0:  # a box without an area overlaps nothing
                inside = (box > 0) & (box < 1)
                voted[index, inside] = (weights @ boxes[votes] / total)[inside]
        return voted

    def faces(self, boxes: Floats, scores: Floats, ranks: Floats, floor: float) -> tuple[Floats, Floats]:
        """Boxes and scores of what stays of every anchor, best first.

        Args:
            boxes: ``[N, 4]`` in fractions of the canvas. scores: ``[N]`` as users see them; what is below
                ``floor`` is dropped. ranks: as they are compared; scores rise with them.
        """
        shown = np.flatnonzero(~(scores < floor))
        kept = shown[self.keep(boxes[shown], ranks[shown])]
        return self.vote(boxes[kept], ranks[kept], boxes, ranks), scores[kept]


def _ordered(boxes: Floats) -> Floats:
    return np.concatenate([np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])], 1)


def overlaps(box: Floats, others: Floats) -> Floats:
    """Intersection over union of a box ``[4]`` with others ``[N, 4]``; 0 where one has no area."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    sides = np.maximum(sides, np.float32(0))
    shared = sides[:, 0] * sides[:, 1]
    areas = (others[:, 2] - others[:, 0]) * (others[:, 3] - others[:, 1])
    area = (box[2] - box[0]) * (box[3] - box[1])
    solid = (areas > 0) & (area > 0)
    return np.divide(shared, area + areas - shared, out=np.zeros_like(shared), where=solid)
