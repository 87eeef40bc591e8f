"""Frames that are plain arrays, and how their samples look as RGB."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.anonymize.images.model import Frame, MismatchError, Pixels

_COMPARED = 1 << 20  # bytes compared at once: the result of a comparison is as large as what is compared
_COUNTED = 64  # rows whose samples are counted at once: that takes 8 bytes a sample
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


class RasterFrame(Frame):
    """A frame whose samples are at hand.

    Args:
        pixels: ``[H, W]`` grey, ``[H, W, 3]`` RGB or ``[H, W, 4]`` CMYK (0 is no ink), uint8 or uint16.
        alpha: ``[H, W]``.
        white_is_zero: grey that counts ink, as faxes do.
    """

    def __init__(
        self,
        pixels: Pixels,
        orientation: int = 1,
        alpha: Pixels | None = None,
        white_is_zero: bool = False,
    ) -> None:
        self._pixels = read_only(pixels)
        self._alpha = None if alpha is None else read_only(alpha)
        self._inverted = white_is_zero
        self.orientation = orientation

    @property
    def size(self) -> tuple[int, int]:
        return self._pixels.shape[1], self._pixels.shape[0]

    @property
    def pixels(self) -> Pixels:
        return self._pixels

    @property
    def alpha(self) -> Pixels | None:
        return self._alpha

    def rgb(self) -> NDArray[np.uint8]:
        return to_rgb8(self._pixels, self._inverted)

    def native_colour(self, rgb: Sequence[int]) -> tuple[int, ...]:
        return from_rgb8(rgb, self._pixels, self._inverted)


def read_only(array: Pixels) -> Pixels:
    """The same samples, as a view that nobody can write to."""
    view = array.view()
    view.setflags(write=False)
    return view


def to_rgb8(pixels: Pixels, white_is_zero: bool = False) -> NDArray[np.uint8]:
    """Grey, RGB or CMYK samples as RGB uint8 ``[H, W, 3]``, for detection.

    CMYK goes the plain way, ``(255 - ink) * (255 - black) / 255``: a detector needs no proof colours.
    16-bit samples that use only the low 10, 12 or 14 bits, as scientific cameras write them, would be
    black after a plain shift; the shift therefore goes by the highest bit in use, but for a thousandth of the
    samples, which may be hot pixels or a text burnt in, and become white.
    """
    if pixels.dtype != np.uint8:
        bits = max(_nearly_highest(pixels).bit_length(), 8)
        shifted = pixels >> (bits - 8)
        pixels = np.minimum(shifted, 255, out=shifted).astype(np.uint8)
    if white_is_zero:
        pixels = 255 - pixels
    if pixels.ndim == 2:
        return np.repeat(pixels[:, :, None], 3, axis=2)
    if pixels.shape[2] == 4:
        ink = 255 - pixels[:, :, :3].astype(np.uint16)
        return (ink * (255 - pixels[:, :, 3:].astype(np.uint16)) // 255).astype(np.uint8)
    return pixels


def _nearly_highest(pixels: Pixels) -> int:
    """The least value that all but a thousandth of the samples do not exceed."""
    counts = np.zeros(1 << 16, np.int64)
    for top in range(0, len(pixels), _COUNTED):
        counts += np.bincount(pixels[top : top + _COUNTED].ravel(), minlength=len(counts))
    seen = np.cumsum(counts)
    return int(np.searchsorted(seen, seen[-1] * 0.999))


def from_rgb8(rgb: Sequence[int], like: Pixels, white_is_zero: bool = False) -> tuple[int, ...]:
    """An RGB colour as one value a channel of ``like``."""
    channels: list[float]
    if like.ndim == 2:
        grey = sum(share * value for share, value in zip(_LUMA, rgb, strict=True))
        channels = [255 - grey if white_is_zero else grey]
    elif like.shape[2] == 4:
        black = 255 - max(rgb)
        scale = 255 / (255 - black) if black < 255 else 0.0
        channels = [(255 - black - value) * scale for value in rgb] + [black]
    else:
        channels = list(rgb)
    factor = 257 if like.dtype == np.uint16 else 1
    return tuple(round(value) * factor for value in channels)


def changed_or_none(before: Pixels, after: NDArray[Any] | None) -> Pixels | None:
    """``after`` when it is a real change of ``before``; None when there is nothing to write anew.

    Raises:
        MismatchError: shape or type is not that of the frame's pixels.
    """
    if after is None:
        return None
    if after.shape != before.shape or after.dtype != before.dtype:
        raise MismatchError(
            f"redacted pixels: expected {before.dtype}{list(before.shape)}, "
            f"got {after.dtype}{list(after.shape)}"
        )
    rows = max(1, _COMPARED // max(1, before[:1].nbytes))
    same = all(
        np.array_equal(before[top : top + rows], after[top : top + rows])
        for top in range(0, len(before), rows)
    )
    return None if same else after
