"""A second opinion where a detector is in doubt: it is shown the mirror image as well.

A network that is not sure of a face is often sure of its mirror image, and where it sees both it draws one of
them better. To ask that of every picture costs as much again and finds hardly more (docs/anonymize.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.anonymize.detect.common import Detections, Detector, Picture
from pipeline.anonymize.tiles import best_of_each, look_once
from pipeline.boxes import Boxes

DOUBT = 0.2
"""Share of the threshold from which on a score that does not reach it is a doubt."""
SAME = 0.5
"""Intersection over union from which on both saw one face, as it is within one view."""


@dataclass(frozen=True)
class MirroredDetector:
    """A detector that is asked twice: ``always``, or when a score is a doubt. As thread-safe as it is.

    What both looks see is drawn between them, nearer to the surer one, and has the better score: what either
    is sure of counts.
    """

    detector: Detector
    always: bool
    threshold: float

    @property
    def digest(self) -> str:
        """Of the weights; the mirror is a setting."""
        return self.detector.digest

    @property
    def mirror(self) -> str:
        """As the setting says it."""
        return "always" if self.always else "auto"

    def __getattr__(self, name: str) -> Any:
        """What else the detector says of itself: ``runtime``, ``input_size``."""
        if name.startswith("__") or name == "detector":
            raise AttributeError(name)
        return getattr(self.detector, name)

    def detect(self, pictures: Sequence[Picture]) -> list[Detections]:
        """See :class:`Detector`."""
        found = list(self.detector.detect(pictures))
        asked = [number for number, each in enumerate(found) if self.always or self._in_doubt(each)]
        if asked:
            seen = self.detector.detect([np.ascontiguousarray(pictures[each][:, ::-1]) for each in asked])
            for number, mirrored in zip(asked, seen, strict=True):
                found[number] = together(found[number], _turned(mirrored, pictures[number].shape[1]))
        return found

    def once(self, pictures: Sequence[Picture]) -> list[Detections]:
        """See :func:`look_once`."""
        return look_once(self.detector, pictures)

    def _in_doubt(self, found: Detections) -> bool:
        low, high = DOUBT * self.threshold, self.threshold
        return bool(((found.scores >= low) & (found.scores < high)).any())


def mirrored(detector: Detector, mirror: str, threshold: float) -> Detector:
    """The detector, asked as the setting says."""
    if mirror == "off" or getattr(detector, "mirror", None) is not None:
        return detector
    return MirroredDetector(detector, mirror == "always", threshold)


def together(one: Detections, other: Detections) -> Detections:
    """What two looks at one picture saw, one box a face.

    Each box of the first, the best before others, takes the free box of the other that it overlaps most.
    """
    overlap = one.boxes.iou(other.boxes)
    boxes, scores = one.boxes.xyxy.copy(), one.scores.copy()
    free = np.ones(len(other), dtype=bool)
    for index in range(len(one)):  # the best come first
        candidates = np.where(free, overlap[index], 0.0)
        if candidates.size and candidates.max() >= SAME:
            partner = int(candidates.argmax())
            free[partner] = False
            both = np.maximum([scores[index], other.scores[partner]], 1e-9)
            boxes[index] = both @ [boxes[index], other.boxes.xyxy[partner]] / both.sum()
            scores[index] = max(scores[index], other.scores[partner])
    return best_of_each(
        Boxes(np.concatenate([boxes, other.boxes.xyxy[free]])), np.concatenate([scores, other.scores[free]])
    )


def _turned(found: Detections, width: int) -> Detections:
    xmin, ymin, xmax, ymax = found.boxes.xyxy.T
    return Detections(Boxes(np.stack([width - xmax, ymin, width - xmin, ymax], axis=1)), found.scores)
