"""The canvas that the network sees: a picture scaled to fit, and as little around it as the network allows.

A network of squares computes a third of its time on nothing when it is shown a photograph of 3:2. Ours is
convolutional throughout, so a canvas may be shorter on one side.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.anonymize.detect.common import Detections, Picture
from pipeline.boxes import Boxes
from pipeline.config.schema.base import COARSEST_STRIDE

Size = tuple[int, int]
"""Height and width in pixels."""
PADDING = (124, 116, 104)
"""RGB around a picture that does not fill its canvas: the mean colour, which the network's normalization
takes to 0."""
SHORTEST = 2 / 3
"""Least share of a canvas' longer side that the shorter one takes. Each size is compiled and kept on its own,
and few photographs are longer."""
PART = 3 / 7
"""Share of a canvas' longer side that the canvas for a part has, but for the network's coarsest stride: 384
of 768 or 896 pixels, 256 of 640. It takes a third of the time of a photograph's."""

SLACK = 0.02
"""How much smaller than on a square a picture may be shown to fit a shorter canvas: 800 × 534 pixels are
meant to be 3:2, too."""


def canvas_sides(side: int) -> list[int]:
    """What the sides of a canvas may be, in rising order: multiples of the network's coarsest stride."""
    least = -int(-SHORTEST * side // COARSEST_STRIDE) * COARSEST_STRIDE
    return [*range(least, side, COARSEST_STRIDE), side]


def part_side(side: int, oblong: bool) -> int | None:
    """Side of the square canvas for a part of a picture; None: the network takes no other than its own.

    Args:
        side: longer side of the canvas for whole pictures. oblong: whether the other side may be shorter.
    """
    part = max(1, round(PART * side / COARSEST_STRIDE)) * COARSEST_STRIDE
    return part if oblong and part < side else None


def whole_sizes(side: int, oblong: bool) -> list[Size]:
    """Every size that a canvas for a whole picture or a tile may have, the square first."""
    shorter = canvas_sides(side)[:-1] if oblong else []
    return [(side, side), *((short, side) for short in shorter), *((side, short) for short in shorter)]


def canvas_sizes(side: int, oblong: bool) -> list[Size]:
    """Every size that a canvas may have, the square first, that of parts last."""
    whole, part = whole_sizes(side, oblong), part_side(side, oblong)
    return [*whole, (part, part)] if part else whole


def size_for(height: int, width: int, side: int, oblong: bool) -> Size:
    """The smallest canvas that holds such a picture, see :func:`letterbox`."""
    scale = side / max(height, width)
    sides = canvas_sides(side) if oblong else [side]
    rows, columns = (
        next(each for each in sides if each >= (1 - SLACK) * length * scale) for length in (height, width)
    )
    return rows, columns


def named(size: Size) -> str:
    """For names of files."""
    return "{}x{}".format(*size)


def letterbox(picture: Picture, side: int, oblong: bool = False) -> tuple[Picture, Size]:
    """The picture scaled into the top left of a canvas of :data:`PADDING`, its aspect kept.

    Args:
        side: the canvas' longer side in pixels.
        oblong: the other side is as short as may be; otherwise the canvas is a square.

    Returns:
        uint8 ``[h, w, 3]``, and the height and width that the picture takes in it.
    """
    height, width = picture.shape[:2]
    size = size_for(height, width, side, oblong)
    scale = min(size[0] / height, size[1] / width)
    inner = max(1, round(height * scale)), max(1, round(width * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    while picture.shape[0] >= 2 * inner[0] and picture.shape[1] >= 2 * inner[1]:
        picture = _halved(picture)
    canvas = np.full((*size, 3), PADDING, np.uint8)
    canvas[: inner[0], : inner[1]] = cv2.resize(picture, inner[::-1], interpolation=method)
    return canvas, inner


def _halved(picture: Picture) -> Picture:
    """Means of two by two pixels, a tenth of the time of means over other areas.

    A last odd row or column is left out: what is shown then lies less than a pixel of the canvas off.
    """
    height, width = picture.shape[0] // 2, picture.shape[1] // 2
    even = picture[: 2 * height, : 2 * width]
    return np.asarray(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


@dataclass(frozen=True)
class Letterboxed:
    """Where a picture lies in the canvas that the network saw.

    Attributes:
        size: of the picture. inner: what it takes in the canvas. canvas: the canvas' size.
        floor: detections below this score are dropped.
    """

    size: Size
    inner: Size
    canvas: Size
    floor: float

    def detections(self, boxes: NDArray[np.floating], scores: NDArray[np.floating]) -> Detections:
        """From fractions of the canvas to pixels of the picture.

        Args:
            boxes: ``[N, 4]`` ymin, xmin, ymax, xmax. scores: ``[N]``.
        """
        numbers = np.asarray(scores, np.float64)
        keep = ~(numbers < self.floor)  # what is no number is kept, for Detections to refuse
        height, width = self.size
        across, down = width / self.inner[1] * self.canvas[1], height / self.inner[0] * self.canvas[0]
        found = Boxes.from_normalized_yxyx(boxes[keep], across, down).clip(width, height)
        return Detections(found[found.valid], numbers[keep][found.valid])
