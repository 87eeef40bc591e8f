"""Greedy non-maximum suppression of one class, equal to ``tf.image.combined_non_max_suppression``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Suppression:
    """How overlapping boxes become one.

    Attributes:
        iou: a box that overlaps a better one by more is dropped.
        floor: scores must be above. most: boxes that are kept at most.
    """

    iou: float
    floor: float
    most: int

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
