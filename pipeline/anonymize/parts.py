"""Which parts of a picture are shown to a detector larger, since it is in doubt there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.anonymize.detect.common import Detections, Picture
from pipeline.anonymize.tiles import MARGIN, Tile, cut
from pipeline.boxes import Boxes

ENLARGED = 2.0
"""A part is shown so many times larger than in the view in which the doubt arose."""
ROOM = 2.5
"""A part is so many times as wide as the face that it is shown for: the network needs what is around it. For
a larger face it is enlarged less, or made smaller."""
LARGEST = 0.5
"""Of a part's side: larger boxes are left to the whole view."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scale:
    """Of a picture and its canvases.

    Attributes:
        width, height: of the picture, in pixels.
        shown: pixels of the canvas for one of the picture, in the whole view.
        part: side of the canvas for a part, in pixels.
    """

    width: int
    height: int
    shown: float
    part: int


def parts(doubts: Boxes, scale: Scale) -> list[Tile]:
    """Parts around boxes in doubt, as few as one finds by taking the first box that is in none yet."""
    boxes, needed = doubts.xyxy, ROOM * doubts.sizes.max(axis=1) * scale.shown
    found: list[Tile] = []
    while len(boxes):
        extent = max(scale.part / ENLARGED, needed[0]) / scale.shown
        part = _around(boxes[0], extent, scale)
        inside = _well_inside(boxes, part, scale) & (needed <= extent * scale.shown)
        inside[0] = True
        found.append(part)
        boxes, needed = boxes[~inside], needed[~inside]
    return found


def _around(box: Floats, extent: float, scale: Scale) -> Tile:
    """The part of that extent with the box in its middle, or as near to it as the picture allows."""
    size = np.array([scale.width, scale.height], dtype=np.float64)
    across = np.minimum(extent, size)
    low = np.clip((box[:2] + box[2:] - across) / 2, 0, size - across)
    left, top, right, bottom = (int(each) for each in (*np.floor(low), *np.ceil(low + across)))
    return Tile(left, top, right, bottom, MARGIN * extent / scale.part, LARGEST * extent)


def _well_inside(boxes: Floats, part: Tile, scale: Scale) -> NDArray[np.bool_]:
    """``[N]`` whether half a face's side lies between its box and where the part cuts the picture."""
    room = (boxes[:, 2:] - boxes[:, :2]).max(axis=1, keepdims=True) / 2
    low, high = np.array(part[:2]), np.array(part[2:4])
    before = (boxes[:, :2] - room >= low) | ((low == 0) & (boxes[:, :2] >= 0))
    after = (boxes[:, 2:] + room <= high) | (high == [scale.width, scale.height])
    return np.asarray((before & after).all(axis=1))


def turned(picture: Picture, part: Tile) -> Picture:
    """The part's mirror image."""
    return np.ascontiguousarray(part.of(picture)[:, ::-1])


def turned_back(found: Detections, part: Tile, size: tuple[int, int]) -> Detections:
    """From the part's mirror image to the picture, without what the part cuts or is too small for.

    Args:
        size: width and height of the picture.
    """
    xmin, ymin, xmax, ymax = found.boxes.xyxy.T
    boxes = np.stack([part.right - xmax, part.top + ymin, part.right - xmin, part.top + ymax], axis=1)
    whole = ~cut(boxes, np.array([part]), *size) & ((boxes[:, 2:] - boxes[:, :2]).max(axis=1) <= part.largest)
    return Detections(Boxes(boxes[whole]), found.scores[whole])
