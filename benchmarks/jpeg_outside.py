"""What coding a JPEG anew does to the pixels that nothing was redacted in.

    python -m benchmarks.jpeg_outside FOLDER [COUNT]

takes an even selection of COUNT (400) of the JPEGs below FOLDER, sets a region of a sixth of each one's width
and height to its mean, writes it, and prints the PSNR of the pixels outside the 16 × 16 blocks that it
touches, and the size against the source's. Written without a region, each must show the same pixels. Takes:
half a minute.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from pipeline.anonymize.images import PictureError, open_picture, write_picture
from pipeline.config.schema import LimitsConfig

BLOCK = 16


def measured(path: Path, out: Path) -> tuple[float, float, bool] | None:
    """PSNR outside the region in dB, size against the source, and whether pixels stay without a region.

    None: Veil leaves the file out.
    """
    try:
        picture = open_picture(path, LimitsConfig())
    except PictureError:
        return None
    before = np.asarray(Image.open(path))
    write_picture(picture, {}, out)
    same = bool(np.array_equal(np.asarray(Image.open(out)), before))
    height, width = before.shape[:2]
    top, left = height // 3, width // 3
    bottom, right = top + max(1, height // 6), left + max(1, width // 6)
    pixels = picture.frames[0].pixels.copy()
    pixels[top:bottom, left:right] = pixels[top:bottom, left:right].mean(axis=(0, 1))
    write_picture(picture, {0: pixels}, out)
    outside = np.ones((height, width), bool)
    outside[
        top // BLOCK * BLOCK : -(-bottom // BLOCK) * BLOCK, left // BLOCK * BLOCK : -(-right // BLOCK) * BLOCK
    ] = False
    after = np.asarray(Image.open(out))
    return cv2.PSNR(after[outside], before[outside]), out.stat().st_size / path.stat().st_size, same


def main(folder: str, count: str = "400") -> None:
    """See the module."""
    paths = sorted(path for path in Path(folder).rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
    if not paths:
        sys.exit(f"error: {folder!r} holds no JPEG; allowed: a folder of photographs")
    chosen = [
        paths[i] for i in np.linspace(0, len(paths) - 1, min(int(count), len(paths))).round().astype(int)
    ]
    with tempfile.TemporaryDirectory() as scratch:
        found = list(_each(chosen, Path(scratch) / "out.jpg"))
    ratios, sizes = (np.array([each[column] for each in found]) for column in range(2))
    low, least = np.percentile(ratios, 5), ratios.min()
    small, large = np.percentile(sizes, [5, 95])
    print(f"{len(found)} photographs, {len(chosen) - len(found)} left out")
    print(f"outside: {np.median(ratios):.1f} dB (median; 5 % are below {low:.1f}, the least is {least:.1f})")
    print(f"size: {np.median(sizes):.3f} of the source (5 to 95 %: {small:.2f} to {large:.2f})")
    print(f"without a region: identical pixels in {sum(each[2] for each in found)}")


def _each(paths: list[Path], out: Path) -> Iterator[tuple[float, float, bool]]:
    for path in paths:
        if (figures := measured(path, out)) is not None:
            yield figures


if __name__ == "__main__":
    main(*sys.argv[1:])
