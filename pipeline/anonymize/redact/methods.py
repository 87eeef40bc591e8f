"""What a face is replaced with: one function a method.

Every method returns new pixels for a region's box. None lets the face's own detail through:

* ``blur`` and ``pixelate`` see the face only as a grid of cell means, rounded to 32 levels. A face's box
  has at most 16 cells (4 × 4 of a square one), and its margin adds more of the same size: with the defaults
  the region of a square box has 5 × 4, that of a small face up to 8 × 5, so 200 bits a channel are all that
  any attack can start from. Two faces with the same cell means give the same output, bit for bit.
* ``solid`` and ``noise`` do not look at the face at all.

That is why ``blur`` is no Gaussian: a Gaussian is a linear filter that keeps one number a pixel, and where
the kernel is known it can be divided out again (Wiener, Richardson-Lucy) up to rounding. Here the
detail is gone before anything is smoothed, and smoothing a few numbers adds none.

A face may be most of a large picture, so what replaces it is made a strip of rows at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.anonymize.redact.region import Region
from pipeline.config.schema import Method

Values = NDArray[np.float32]
Samples = NDArray[Any]
LEVELS = 32
"""Values that a cell's mean may take: 5 bits a channel."""
STRIP = 64
"""Rows made at once: they stay in the processor's cache until they are in the picture."""

Fill = Callable[[Samples, Region, float, Sequence[float]], Iterator[Values]]
"""``(pixels [h, w, C], region, white, colour [C])`` to strips ``[rows, w, C]`` from the top down, together of
the pixels' shape; values from 0 to ``white``."""


def pixelate(pixels: Samples, region: Region, white: float, colour: Sequence[float]) -> Iterator[Values]:
    """Cells of one colour. All that is kept of the face is the rounded mean of each cell."""
    return _drawn(_cell_means(pixels, region.cell, white), pixels.shape, cv2.INTER_NEAREST)


def blur(pixels: Samples, region: Region, white: float, colour: Sequence[float]) -> Iterator[Values]:
    """The same rounded cell means as :func:`pixelate`, joined smoothly.

    What follows the rounding is a function of those few numbers, so it cannot bring detail back. The
    smoothing only serves the eye, and networks that train on the output: no edges that were not there.
    """
    means = _cell_means(pixels, region.cell, white)
    return _drawn(means, pixels.shape, cv2.INTER_LINEAR, smooth=max(1, int(region.cell / 2)))


def solid(pixels: Samples, region: Region, white: float, colour: Sequence[float]) -> Iterator[Values]:
    """One colour, whatever was there: nothing of the face is kept."""
    for rows in _strips(len(pixels)):
        yield np.full((rows.stop - rows.start, *pixels.shape[1:]), colour, np.float32)


def noise(pixels: Samples, region: Region, white: float, colour: Sequence[float]) -> Iterator[Values]:
    """Uniform noise seeded by the region's place alone: nothing of the face is kept.

    The seed makes a second run write the same bytes.
    """
    random = np.random.default_rng(list(region.box))
    for rows in _strips(len(pixels)):
        yield random.random((rows.stop - rows.start, *pixels.shape[1:]), np.float32) * white


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


def _cell_means(pixels: Samples, cell: float, white: float) -> Values:
    """``[rows, columns, C]`` means of cells that are no smaller than asked, rounded to the levels."""
    height, width, channels = pixels.shape
    grid = max(1, int(width / cell)), max(1, int(height / cell))
    known = pixels if pixels.dtype in (np.uint8, np.uint16) else pixels.astype(np.float32)
    means = cv2.resize(known, grid, interpolation=cv2.INTER_AREA).astype(np.float32)
    means = means.reshape(*grid[::-1], channels)  # OpenCV drops the last axis of a single channel
    return np.round(means / white * (LEVELS - 1)) * np.float32(white / (LEVELS - 1))


def _drawn(cells: Values, shape: tuple[int, ...], method: int, smooth: int = 1) -> Iterator[Values]:
    """The cells enlarged to ``shape``, then averaged over squares of side ``smooth``; a strip at a time.

    Both steps are linear, and the same along either axis: a pixel is a sum of cells, weighted by its row and
    by its column. The weights are what the steps make of the unit vectors.
    """
    height, width, channels = shape
    rows = _weights(len(cells), height, method, smooth)
    columns = _weights(cells.shape[1], width, method, smooth)
    across = np.einsum("xj,ijc->ixc", columns, cells).reshape(len(cells), width * channels)
    for strip in _strips(height):
        yield (rows[strip] @ across).reshape(-1, width, channels)


def _weights(count: int, size: int, method: int, smooth: int) -> Values:
    """``[size, count]``: how much each of ``count`` cells is in each of ``size`` pixels, along one axis."""
    enlarged = cv2.resize(np.eye(count, dtype=np.float32), (count, size), interpolation=method)
    return np.asarray(cv2.blur(enlarged, (1, smooth), borderType=cv2.BORDER_REPLICATE), np.float32)


def _strips(height: int) -> Iterator[slice]:
    for top in range(0, height, STRIP):
        yield slice(top, min(top + STRIP, height))


def in_channels(colour: Sequence[int], channels: int, white: float) -> list[float]:
    """An RGB colour (0 to 255) for grey, RGB or CMYK pixels (alpha is kept apart, so four are inks)."""
    red, green, blue = (value / 255 * white for value in colour)
    if channels == 3:
        return [red, green, blue]
    if channels == 4:
        light = max(red, green, blue)
        return [light - red, light - green, light - blue, white - light]
    return [0.299 * red + 0.587 * green + 0.114 * blue] * channels
