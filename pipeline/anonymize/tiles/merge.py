"""What several views of one picture show becomes one list of faces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.anonymize.detect.common import Detections
from pipeline.anonymize.detect.suppress import Suppression
from pipeline.anonymize.tiles.grid import Tile
from pipeline.boxes import Boxes

SAME = 0.5
"""Intersection over union above which two boxes are of one face, as it is within one view."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Seen:
    """What one view shows: boxes in pixels of the picture."""

    tile: Tile
    found: Detections


def merged(views: Sequence[Seen], width: int, height: int) -> Detections:
    """One box a face; no face that a view is there to show gets lost, and none loses score.

    A tile's boxes of more than ``tile.largest`` are left to coarser views. A box that ends at a side of its
    tile within the picture may be a part of a face. It gives way to a whole box of another view, of which its
    tile could see just that part, and leaves it the better score of the two; where no view shows the face
    whole, the parts stay. Then the best of what overlaps stays: of equal scores the larger box, so that the
    order of the tiles does not matter.

    Args:
        width: of the picture, in pixels, like ``height``.
    """
    if len(views) == 1:
        return views[0].found
    boxes = np.concatenate([view.found.boxes.xyxy for view in views])
    scores = np.concatenate([view.found.scores for view in views])
    tiles = np.repeat([view.tile for view in views], [len(view.found) for view in views], axis=0)
    theirs = np.maximum(*(boxes[:, 2:] - boxes[:, :2]).T) <= tiles[:, 5]
    boxes, scores, tiles = boxes[theirs], scores[theirs], tiles[theirs]
    parted = cut(boxes, tiles, width, height)
    gone = np.zeros(len(boxes), dtype=bool)
    for part in np.flatnonzero(parted):
        whole = _whole_of(part, boxes, tiles, parted)
        if whole is not None:
            gone[part] = True
            scores[whole] = max(scores[whole], scores[part])
    return best_of_each(Boxes(boxes[~gone]), scores[~gone])


def cut(boxes: Floats, tiles: Floats, width: int, height: int) -> NDArray[np.bool_]:
    """``[N]`` whether a face may go on beyond its tile.

    Args:
        boxes: ``[N, 4]``. tiles: ``[N, …]`` the values of each one's :class:`Tile`, or ``[1, …]``.
    """
    margin = tiles[:, 4:5]
    low, high = tiles[:, :2], tiles[:, 2:4]
    before = (low > 0) & (boxes[:, :2] <= low + margin)
    after = (high < [width, height]) & (boxes[:, 2:] >= high - margin)
    return np.asarray((before | after).any(axis=1))


def _whole_of(part: np.intp, boxes: Floats, tiles: Floats, parted: NDArray[np.bool_]) -> np.intp | None:
    """The box of another view that, cut by the part's tile, is the part."""
    others = np.flatnonzero(~parted & (tiles != tiles[part]).any(axis=1))
    low, high = tiles[part, :2], tiles[part, 2:4]
    visible = np.concatenate(
        [np.maximum(boxes[others, :2], low), np.minimum(boxes[others, 2:], high)], axis=1
    )
    overlap = Boxes(boxes[part][None]).iou(Boxes(visible))[0]
    best = overlap.argmax() if len(others) else None
    return others[best] if best is not None and overlap[best] >= SAME else None


def best_of_each(boxes: Boxes, scores: Floats) -> Detections:
    """The best box of each face; of equal scores the larger one."""
    order = np.lexsort([*boxes.xyxy.T, -boxes.areas, -scores])
    boxes, scores = boxes[order], scores[order]
    suppression = Suppression(iou=SAME, floor=-np.inf, most=len(scores))
    kept = suppression.keep(boxes.xyxy.astype(np.float32), scores.astype(np.float32))
    return Detections(boxes[kept], scores[kept])
