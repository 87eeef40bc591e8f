"""What a face is replaced with: one function a method.

Every method returns new pixels for a region's box. None lets the face's own detail through:

* ``blur`` and ``pixelate`` see the face only as a grid of cell means, rounded to 32 levels. A region of a
  single face has at most 4 × 4 cells, so 80 bits a channel are all that any attack can start from. Two
  faces with the same cell means give the same output, bit for bit.
* ``solid`` and ``noise`` do not look at the face at all.

That is why ``blur`` is no Gaussian: a Gaussian is a linear filter that keeps one number a pixel, and where
the kernel is known it can be divided out again (Wiener, Richardson-Lucy) up to rounding. Here the
detail is gone before anything is smoothed, and smoothing a few numbers adds none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.anonymize.redact.region import Region
from pipeline.config.schema import Method

Values = NDArray[np.float32]
LEVELS = 32
"""Values that a cell's mean may take: 5 bits a channel."""

Fill = Callable[[Values, Region, float, Sequence[float]], Values]
"""``(pixels [h, w, C], region, white, colour [C]) -> [h, w, C]``, values from 0 to ``white``."""


def pixelate(pixels: Values, region: Region, white: float, colour: Sequence[float]) -> Values:
    """Cells of one colour. All that is kept of the face is the rounded mean of each cell."""
    return _resize(_cell_means(pixels, region.cell, white), pixels.shape, cv2.INTER_NEAREST)


def blur(pixels: Values, region: Region, white: float, colour: Sequence[float]) -> Values:
    """The same rounded cell means as :func:`pixelate`, joined smoothly.

    What follows the rounding is a function of those few numbers, so it cannot bring detail back. The
    smoothing only serves the eye, and networks that train on the output: no edges that were not there.
    """
    shape, means = pixels.shape, _cell_means(pixels, region.cell, white)
    del pixels  # a face may be most of a large picture: it is not held in floats more often than need be
    smooth = _resize(means, shape, cv2.INTER_LINEAR)
    width = max(1, int(region.cell / 2))
    return _channels(cv2.blur(smooth, (width, width), borderType=cv2.BORDER_REPLICATE), shape)


def solid(pixels: Values, region: Region, white: float, colour: Sequence[float]) -> Values:
    """One colour, whatever was there: nothing of the face is kept."""
    return np.broadcast_to(np.asarray(colour, np.float32), pixels.shape)


def noise(pixels: Values, region: Region, white: float, colour: Sequence[float]) -> Values:
    """Uniform noise seeded by the region's place alone: nothing of the face is kept.

    The seed makes a second run write the same bytes.
    """
    random = np.random.default_rng(list(region.box))
    return random.random(pixels.shape, np.float32) * white


METHODS: dict[Method, Fill] = {
    Method.blur: blur,
    Method.pixelate: pixelate,
    Method.solid: solid,
    Method.noise: noise,
}


def white_of(pixels: NDArray[np.generic]) -> float:
    """The value of full brightness.

    A 16-bit picture often uses fewer bits (12-bit sensors), and 32 levels of the whole range would leave
    two of them: the range is the power of two that holds the picture's brightest value.
    """
    if pixels.dtype == np.bool_:
        return 1.0
    if pixels.dtype == np.uint8:
        return 255.0
    brightest = float(pixels.max(initial=0))
    if np.issubdtype(pixels.dtype, np.floating):
        return max(brightest, 1.0)
    bits = 8 * pixels.dtype.itemsize
    return float(2 ** max(8, min(bits, int(brightest).bit_length())) - 1)


def _cell_means(pixels: Values, cell: float, white: float) -> Values:
    """``[rows, columns, C]`` means of cells that are no smaller than asked, rounded to the levels."""
    height, width = pixels.shape[:2]
    grid = max(1, int(width / cell)), max(1, int(height / cell))
    means = _channels(cv2.resize(pixels, grid, interpolation=cv2.INTER_AREA), (*grid[::-1], pixels.shape[2]))
    return np.round(means / white * (LEVELS - 1)) * np.float32(white / (LEVELS - 1))


def _resize(grid: Values, shape: tuple[int, ...], method: int) -> Values:
    return _channels(cv2.resize(grid, (shape[1], shape[0]), interpolation=method), shape)


def _channels(pixels: Values, shape: tuple[int, ...]) -> Values:
    """OpenCV drops the last axis of a single channel."""
    return np.asarray(pixels, np.float32).reshape(shape)


def in_channels(colour: Sequence[int], channels: int, white: float) -> list[float]:
    """An RGB colour (0 to 255) for grey, RGB or CMYK pixels (alpha is kept apart, so four are inks)."""
    red, green, blue = (value / 255 * white for value in colour)
    if channels == 3:
        return [red, green, blue]
    if channels == 4:
        light = max(red, green, blue)
        return [light - red, light - green, light - blue, white - light]
    return [0.299 * red + 0.587 * green + 0.114 * blue] * channels
