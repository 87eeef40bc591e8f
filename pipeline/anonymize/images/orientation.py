"""The eight EXIF orientations as what they are: flips, and a transposition.

Orientation ``o`` says how the stored raster is shown: 2 mirrored, 3 turned by 180°, 4 flipped, 5
transposed, 6 turned clockwise, 7 transversed, 8 turned counter-clockwise (EXIF 2.32, tag 0x0112).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.boxes import Boxes

# orientation -> (transpose, then mirror left-right, then flip top-bottom), from raster to upright
_STEPS = {
    1: (False, False, False),
    2: (False, True, False),
    3: (False, True, True),
    4: (False, False, True),
    5: (True, False, False),
    6: (True, True, False),
    7: (True, True, True),
    8: (True, False, True),
}


def valid(value: object) -> int:
    """The orientation, or 1 for anything that is none (as viewers do)."""
    return value if isinstance(value, int) and value in _STEPS else 1


def swaps(orientation: int) -> bool:
    """Whether width and height change places."""
    return _STEPS[orientation][0]


def to_upright(raster: NDArray[Any], orientation: int) -> NDArray[Any]:
    """The upright view of ``[H, W, …]``; no copy is made."""
    transpose, mirror, flip = _STEPS[orientation]
    upright = raster.swapaxes(0, 1) if transpose else raster
    return upright[:: -1 if flip else 1, :: -1 if mirror else 1]


def to_raster(upright: NDArray[Any], orientation: int) -> NDArray[Any]:
    """The inverse of :func:`to_upright`; no copy is made."""
    transpose, mirror, flip = _STEPS[orientation]
    raster = upright[:: -1 if flip else 1, :: -1 if mirror else 1]
    return raster.swapaxes(0, 1) if transpose else raster


def boxes_to_raster(boxes: Boxes, orientation: int, upright_size: tuple[int, int]) -> Boxes:
    """Boxes of an upright picture of that (width, height), on its stored raster."""
    transpose, _, _ = _STEPS[orientation]
    unflipped = _flip(boxes.xyxy, orientation, upright_size)
    return Boxes(unflipped[:, [1, 0, 3, 2]] if transpose else unflipped)


def boxes_to_upright(boxes: Boxes, orientation: int, raster_size: tuple[int, int]) -> Boxes:
    """Boxes of a stored raster of that (width, height), on the upright picture."""
    transpose, _, _ = _STEPS[orientation]
    xyxy = boxes.xyxy[:, [1, 0, 3, 2]] if transpose else boxes.xyxy
    width, height = raster_size
    return Boxes(_flip(xyxy, orientation, (height, width) if transpose else (width, height)))


def _flip(xyxy: NDArray[np.float64], orientation: int, size: tuple[int, int]) -> NDArray[np.float64]:
    _, mirror, flip = _STEPS[orientation]
    flipped = xyxy.copy()
    if mirror:
        flipped[:, [0, 2]] = size[0] - xyxy[:, [2, 0]]
    if flip:
        flipped[:, [1, 3]] = size[1] - xyxy[:, [3, 1]]
    return flipped
