"""Sizes are judged from the header, before anything is decoded."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pipeline.anonymize.images.model import PictureError
from pipeline.config.schema import LimitsConfig


def check_size(path: Path, width: int, height: int, limits: LimitsConfig) -> None:
    """Refuse a frame above the limit.

    Raises:
        PictureError: ``too_large``, or ``corrupt`` for a side of zero.
    """
    if width < 1 or height < 1:
        raise PictureError("corrupt", f"{path}: {width} x {height} pixels is no picture")
    megapixels = width * height / 1e6
    if megapixels > limits.max_megapixels:
        raise PictureError(
            "too_large",
            f"{path}: {megapixels:.0f} megapixels; limits.max_megapixels allows {limits.max_megapixels:g}",
        )


def check_total(path: Path, sizes: Iterable[tuple[int, int]], limits: LimitsConfig) -> None:
    """Refuse an animation or document whose redacted frames together might not fit in memory.

    Args:
        sizes: width and height of each frame as it is shown.

    Raises:
        PictureError: ``too_large``.
    """
    sizes = list(sizes)
    megapixels = sum(width * height for width, height in sizes) / 1e6
    if len(sizes) > 1 and megapixels > limits.max_total_megapixels:
        raise PictureError(
            "too_large",
            f"{path}: {megapixels:.0f} megapixels in {len(sizes)} frames; "
            f"limits.max_total_megapixels allows {limits.max_total_megapixels:g}",
        )
