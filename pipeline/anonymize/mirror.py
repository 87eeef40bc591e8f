"""A second opinion where a detector is in doubt: it is shown the mirror image there, and larger.

A network that is not sure of a face is often sure of its mirror image, and of a larger one; where it sees
both, the face lies between them. docs/anonymize.md says what that finds, and what it costs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np
from numpy.typing import NDArray

from pipeline.anonymize.detect.common import Detections, Detector, Picture, Wrapped
from pipeline.anonymize.parts import ENLARGED, Scale, parts, turned, turned_back
from pipeline.anonymize.tiles import SAME, TOGETHER, Tile, best_of_each
from pipeline.boxes import Boxes
from pipeline.config.schema.anonymization import SCORE_FLOOR

DOUBT = 0.2
"""Share of the threshold from which on a score that does not reach it is a doubt."""
SURER, NEW = 0.9, 0.8
"""What a score counts in a part, of a face that the whole view shows, too, and of one that it does not: a
part has less around it to tell faces by, and what it alone shows may be of anything."""
SHOWN = 0.3
"""Intersection over union from which on the whole view shows it, too."""
EDGE = 0.005
"""Of the longer side of a picture: a box that ends so near to its side ends there."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class MirroredDetector(Wrapped):
    """A detector that is asked twice, see :func:`together` for what becomes of two answers.

    Attributes:
        mirror: ``always``, the whole mirror image; or ``auto``, where a score is a doubt, the mirror image of
            that part, larger. If the detector does not say how large its parts are, that is the whole mirror
            image, too.
        threshold: from which on a score is none.
    """

    mirror: str
    threshold: float

    @property
    def enlarged(self) -> float:
        """How many times larger it is shown what it is in doubt of; above 1, tiles may show that smaller."""
        parts = self.mirror == "auto" and getattr(self.detector, "part_size", None) is not None
        return ENLARGED if parts else 1.0

    def detect(self, pictures: Sequence[Picture], largest: Sequence[float] = ()) -> list[Detections]:
        """See :class:`Detector`. One whole mirror image at a time is in memory, or four of parts.

        Args:
            largest: of each picture the longest side, in pixels, of a box that matters; of larger ones no
                doubt is followed. Default: all matter.
        """
        matters = largest or [inf] * len(pictures)
        seen = zip(pictures, self.detector.detect(pictures), matters, strict=True)
        if self.mirror == "always":
            return [self._whole(picture, found) for picture, found, _ in seen]
        return [self._where_in_doubt(*each) for each in seen]

    def _where_in_doubt(self, picture: Picture, found: Detections, largest: float) -> Detections:
        doubtful = (found.scores >= self._doubt) & (found.scores < self.threshold)
        doubts = found.boxes[doubtful & (found.boxes.sizes.max(axis=1) <= largest)]
        if not len(doubts):
            return found
        side = getattr(self.detector, "part_size", None)
        if side is None:
            return self._whole(picture, found)
        height, width = picture.shape[:2]
        scale = Scale(width, height, self.input_size / max(width, height), side)
        return self._parts(picture, found, parts(doubts, scale), scale)

    @property
    def _doubt(self) -> float:
        return max(DOUBT * self.threshold, SCORE_FLOOR)

    def _parts(self, picture: Picture, found: Detections, tiles: list[Tile], scale: Scale) -> Detections:
        size, seen = (scale.width, scale.height), []
        for start in range(0, len(tiles), TOGETHER):
            few = tiles[start : start + TOGETHER]
            asked = self.detector.detect_parts([turned(picture, tile) for tile in few])  # type: ignore[attr-defined]
            seen += [turned_back(each, tile, size) for each, tile in zip(asked, few, strict=True)]
        boxes = Boxes(np.concatenate([each.boxes.xyxy for each in seen]))
        best = best_of_each(boxes, np.concatenate([each.scores for each in seen]))
        known = found.boxes[found.scores >= self._doubt]
        shown = best.boxes.iou(known).max(axis=1, initial=0) >= SHOWN
        other = Detections(best.boxes, best.scores * np.where(shown, SURER, NEW))
        return together(found, other, scale.width, scale.height)

    def _whole(self, picture: Picture, found: Detections) -> Detections:
        height, width = picture.shape[:2]
        whole = Tile(0, 0, width, height)
        (seen,) = self.detector.detect([turned(picture, whole)])
        return together(found, turned_back(seen, whole, (width, height)), width, height)


def mirrored(detector: Detector, mirror: str, threshold: float) -> Detector:
    """The detector, asked as the setting says, and not as it was asked before."""
    if isinstance(detector, MirroredDetector):
        detector = detector.detector
    return detector if mirror == "off" else MirroredDetector(detector, mirror, threshold)


def together(one: Detections, other: Detections, width: int, height: int) -> Detections:
    """What two looks at one picture saw, one box a face; what either is sure of counts.

    Of two boxes that overlap by half and more, those that overlap most first, comes one between them, nearer
    to the surer look, with the better score. A side at which either ends with the picture stays there: a tile
    knows a cut face by it. Of what then overlaps by more than half the best stays, as it is of tiles.

    Args:
        width: of the picture, in pixels, like ``height``.
    """
    overlap = one.boxes.iou(other.boxes)
    boxes, scores = one.boxes.xyxy.copy(), one.scores.copy()
    alone, free = np.ones(len(one), dtype=bool), np.ones(len(other), dtype=bool)
    pairs = np.argwhere(overlap >= SAME)
    for index, partner in pairs[np.argsort(-overlap[tuple(pairs.T)], kind="stable")]:
        if alone[index] and free[partner]:
            alone[index] = free[partner] = False
            both = np.stack([one.boxes.xyxy[index], other.boxes.xyxy[partner]])
            boxes[index] = _between(both, np.array([one.scores[index], other.scores[partner]]), width, height)
            scores[index] = max(one.scores[index], other.scores[partner])
    return best_of_each(
        Boxes(np.concatenate([boxes, other.boxes.xyxy[free]])), np.concatenate([scores, other.scores[free]])
    )


def _between(boxes: Floats, scores: Floats, width: int, height: int) -> Floats:
    """``[4]``, of two boxes ``[2, 4]``."""
    weights = np.clip(scores, 1e-9, 1.0)
    mean = weights @ boxes / weights.sum()
    near, low, high = EDGE * max(width, height), boxes.min(axis=0), boxes.max(axis=0)
    starts = np.where(low[:2] <= near, low[:2], mean[:2])
    ends = np.where(high[2:] >= np.array([width, height]) - near, high[2:], mean[2:])
    return np.concatenate([starts, ends])
