"""Opening a set's pictures: upright, RGB, whole.

A picture's EXIF orientation is applied here and nowhere else on the training side; records and
COCO files are in the upright frame.
"""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import imagehash
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from pillow_heif import register_heif_opener

register_heif_opener()
HASH_SIDE = 16
ORIENTATION_TAG = 0x0112
UNREADABLE = (
    *(OSError, ValueError, SyntaxError, EOFError, RuntimeError, Image.DecompressionBombError),
    *(struct.error, zlib.error, TypeError, LookupError, ArithmeticError),
)
"""What Pillow and its plug-ins raise on broken files of one format or another."""


@dataclass(frozen=True)
class Opened:
    """What one full decoding tells.

    Attributes:
        size, stored_size: width and height, upright and as stored.
        orientation: EXIF, 1 to 8.
        dhash: bool ``[2, 256]``, of the upright picture and of its mirror image.
        plain: an RGB JPEG that is upright as stored, whose bytes a record can hold unchanged.
    """

    size: tuple[int, int]
    stored_size: tuple[int, int]
    orientation: int
    dhash: NDArray[np.bool_]
    plain: bool


def examine(path: Path) -> Opened:
    """Decodes the whole picture once.

    Raises:
        one of :data:`UNREADABLE`: not a picture, truncated, or too large to decode safely.
    """
    with Image.open(path) as stored:
        stored_size = stored.size
        orientation = stored.getexif().get(ORIENTATION_TAG, 1)
        plain = stored.format == "JPEG" and stored.mode == "RGB" and orientation in (0, 1)
        upright = to_rgb(ImageOps.exif_transpose(stored))
    hashes = [imagehash.dhash(picture, HASH_SIDE).hash for picture in (upright, ImageOps.mirror(upright))]
    valid = orientation if orientation in range(1, 9) else 1
    return Opened(upright.size, stored_size, valid, np.stack([h.ravel() for h in hashes]), plain)


def to_rgb(picture: Image.Image) -> Image.Image:
    """Any mode to 8-bit RGB. Alpha is dropped: colours under transparent pixels are picture too."""
    if picture.mode.startswith("I"):  # 16 bit; Pillow would clip it to white instead of scaling
        values = np.asarray(picture, dtype=np.float64)
        picture = Image.fromarray((values / 257).clip(0, 255).astype(np.uint8))
    elif picture.mode == "F":
        picture = Image.fromarray(np.asarray(picture).clip(0, 255).astype(np.uint8))
    if picture.mode == "P" and "transparency" in picture.info:
        picture = picture.convert("RGBA")
    return picture.convert("RGB")


def read_upright(path: Path) -> Image.Image:
    """The picture as a viewer shows it, mode RGB."""
    with Image.open(path) as stored:
        return to_rgb(ImageOps.exif_transpose(stored))


def encode(path: Path, bit_exact: bool) -> bytes:
    """The bytes a record holds: the file's own if ``bit_exact``, else a JPEG of quality 95, 4:4:4."""
    if bit_exact:
        return path.read_bytes()
    buffer = io.BytesIO()
    read_upright(path).save(buffer, "JPEG", quality=95, subsampling=0)
    return buffer.getvalue()


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
