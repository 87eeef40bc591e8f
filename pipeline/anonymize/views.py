"""How the second look sees a picture: as it is, enlarged in overlapping parts, smaller, turned.

A network takes as long for a canvas that is half empty as for a full one, so smaller views of several
pictures share one: at half the size, four of them cost what one costs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.anonymize.detect import PADDING, Detections, Detector, letterbox, look_once
from pipeline.boxes import Boxes

Upright = NDArray[np.uint8]

OVERLAP = 0.25
"""Share that neighbouring parts have in common, so that a face cut by one is whole in the next."""


@dataclass(frozen=True)
class View:
    """One look at an upright picture.

    Attributes:
        scale: of the picture against the first look. rotation: counter-clockwise, in degrees.
        pixels: turned, and for a scale above 1 a part; for one below 1 not yet shrunk.
        back: from boxes on ``pixels`` to boxes on the upright picture.
    """

    scale: float
    rotation: int
    pixels: Upright
    back: Callable[[Boxes], Boxes]

    @property
    def name(self) -> str:
        return f"scale {self.scale:g}, rotation {self.rotation}"

    @property
    def as_it_is(self) -> bool:
        """Whether the first look saw the same."""
        return self.scale == 1 and self.rotation == 0


def views(upright: Upright, scales: Sequence[float], rotations: Sequence[int]) -> Iterator[View]:
    """Every scale of every rotation."""
    for scale in scales:
        for rotation in rotations:
            turned = np.ascontiguousarray(np.rot90(upright, rotation // 90))
            for pixels, offset in _parts(turned, max(scale, 1.0)):
                yield View(scale, rotation, pixels, _back(offset, rotation, upright.shape))


def together(scale: float) -> int:
    """How many views of a scale below 1 fit on one canvas."""
    return int(1 / scale) ** 2


def detect_small(detector: Detector, small: Sequence[View]) -> list[Detections]:
    """Detections in each of some views of one scale below 1, in pixels of the view; on one canvas.

    A detector that does not say its ``input_size`` is taken to see a canvas as large as the largest picture.
    """
    longest = max(max(view.pixels.shape[:2]) for view in small)
    side = int(getattr(detector, "input_size", None) or longest)
    across = int(1 / small[0].scale)
    cell = max(1, int(side * small[0].scale))
    shrunk, inner = zip(*(letterbox(view.pixels, cell) for view in small), strict=True)
    # where all views lie, or all stand, the canvas is as low or as narrow as they are
    height, width = (max(each[axis] for each in inner) for axis in range(2))
    pitch = (height, cell) if height < width else (cell, width)
    size = (across * height, side) if height < width else (side, across * width)
    canvas = np.full((*size, 3), PADDING, np.uint8)
    for number, (pixels, taken) in enumerate(zip(shrunk, inner, strict=True)):
        top, left = number // across * pitch[0], number % across * pitch[1]
        canvas[top : top + taken[0], left : left + taken[1]] = pixels[: taken[0], : taken[1]]
    (found,) = look_once(detector, [canvas])
    centres = (found.boxes.xyxy[:, :2] + found.boxes.xyxy[:, 2:]) / 2
    places = np.minimum(centres // pitch[::-1], across - 1)
    own = places @ [1, across]
    return [
        _in_view(found, own == number, places * pitch[::-1], view, taken)
        for number, (view, taken) in enumerate(zip(small, inner, strict=True))
    ]


def _in_view(
    found: Detections,
    own: NDArray[np.bool_],
    corners: NDArray[np.float64],
    view: View,
    inner: tuple[int, int],
) -> Detections:
    """Those detections that are the view's own, in its pixels; corners are those of their cells."""
    height, width = view.pixels.shape[:2]
    stretch = np.array([width / inner[1], height / inner[0]] * 2)
    boxes = Boxes((found.boxes.xyxy[own] - np.tile(corners[own], 2)) * stretch).clip(width, height)
    return Detections(boxes[boxes.valid], found.scores[own][boxes.valid])


def _parts(picture: Upright, scale: float) -> Iterator[tuple[Upright, tuple[int, int]]]:
    """Overlapping parts that show the picture so many times larger, and where they begin: left, top."""
    height, width = picture.shape[:2]
    part = max(1, round(width / scale)), max(1, round(height / scale))
    for top in _starts(height, part[1]):
        for left in _starts(width, part[0]):
            yield np.ascontiguousarray(picture[top : top + part[1], left : left + part[0]]), (left, top)


def _starts(length: int, part: int) -> list[int]:
    count = 1 if part >= length else int(np.ceil((length - part) / (part * (1 - OVERLAP)))) + 1
    return np.unique(np.linspace(0, length - part, count).round().astype(int)).tolist()


def _back(offset: tuple[int, int], rotation: int, shape: tuple[int, ...]) -> Callable[[Boxes], Boxes]:
    """From pixels of a part of the turned picture to pixels of the upright one of that shape."""
    height, width = shape[:2]

    def back(boxes: Boxes) -> Boxes:
        x0, y0, x1, y1 = (boxes.xyxy + [*offset, *offset]).T
        turned = {
            0: (x0, y0, x1, y1),
            90: (width - y1, x0, width - y0, x1),
            180: (width - x1, height - y1, width - x0, height - y0),
            270: (y0, height - x1, y1, height - x0),
        }[rotation]
        return Boxes(np.stack(turned, axis=1)).clip(width, height)

    return back
