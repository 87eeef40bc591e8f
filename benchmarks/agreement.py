"""Which boxes of two detectors show the same face, and how sure both are of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from pipeline.anonymize.detect import Detections
from pipeline.boxes import Boxes


@dataclass(frozen=True)
class Agreement:
    """Faces that both detectors find in a picture.

    Attributes:
        boxes: ``N`` means of both boxes.
        scores: detector → its ``N`` scores.
    """

    boxes: Boxes
    scores: Mapping[str, Sequence[float]]

    def least(self, index: int) -> float:
        """The score of the detector that is less sure."""
        return min(each[index] for each in self.scores.values())


def agree(found: Mapping[str, Detections], iou: float, score: float) -> Agreement:
    """Pairs the boxes of two detectors, each box in one pair at most, by the best overlap in sum.

    Args:
        found: the detectors' boxes, by their name.
        iou: overlap that two boxes of one face have at least.
        score: what both have to score at least.
    """
    (one, first), (other, second) = ((name, each.at_least(score)) for name, each in found.items())
    rows, columns = pairs(first.boxes, second.boxes, iou)
    mean = (first.boxes.xyxy[rows] + second.boxes.xyxy[columns]) / 2
    scores = {one: first.scores[rows].tolist(), other: second.scores[columns].tolist()}
    return Agreement(Boxes(mean), scores)


def pairs(one: Boxes, other: Boxes, iou: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices ``[P]`` and ``[P]`` of boxes of one face: each in one pair at most, the best in sum."""
    overlap = one.iou(other)
    rows, columns = linear_sum_assignment(np.where(overlap >= iou, overlap, 0), maximize=True)
    same = overlap[rows, columns] >= iou
    return rows[same], columns[same]
