"""The two things of EXIF that an output may carry, orientation and resolution; the rest only by name."""

from __future__ import annotations

import struct
import threading
import warnings
from dataclasses import dataclass

from PIL import ExifTags, Image

from pipeline.anonymize.images import orientation

_ORIENTATION, _X, _Y, _UNIT = 0x0112, 0x011A, 0x011B, 0x0128
_BELOW = (
    ("GPS", ExifTags.IFD.GPSInfo, None),
    ("thumbnail (IFD1)", ExifTags.IFD.IFD1, None),
    ("MakerNote", ExifTags.IFD.Exif, 0x927C),
)
_WARNINGS = threading.Lock()  # what is shown of warnings is a setting of the whole process
_ALLOWED = {_ORIENTATION, _X, _Y, _UNIT}


@dataclass(frozen=True)
class Exif:
    """What was found.

    Attributes:
        orientation: 1 to 8.
        resolution: x, y, and the EXIF unit (2 inch, 3 centimetre), when given and sensible.
        names: the tags and blocks that will not be carried over.
    """

    orientation: int = 1
    resolution: tuple[float, float, int] | None = None
    names: tuple[str, ...] = ()


def read_exif(block: bytes) -> Exif:
    """Read a TIFF-structured EXIF block (with or without the leading ``Exif`` and two zeros).

    A block that cannot be parsed is one unnamed thing to remove, as viewers ignore it too. Damage in a
    directory below the first does not cost the orientation.
    """
    exif = Image.Exif()
    with _WARNINGS, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of damaged values; they are dropped anyway
        try:
            exif.load(block if block.startswith(b"Exif\0\0") else b"Exif\0\0" + block)
            tags = dict(exif)
        except Exception:  # whatever the bytes provoke: struct, key and syntax errors …
            return Exif(names=("EXIF (damaged)",))
        names = [ExifTags.TAGS.get(tag, f"0x{tag:04X}") for tag in tags if tag not in _ALLOWED]
        names += [name for name, ifd, tag in _BELOW if _has(exif, ifd, tag)]
    turn = orientation.valid(tags.get(_ORIENTATION))
    return Exif(turn, _resolution(tags), tuple(f"EXIF {name}" for name in names))


def _has(exif: Image.Exif, ifd: int, tag: int | None) -> bool:
    """Whether a directory below the first holds anything, or a certain tag."""
    try:
        found = exif.get_ifd(ifd)
    except Exception:
        return True
    return bool(found) if tag is None else tag in found


def _resolution(tags: dict[int, object]) -> tuple[float, float, int] | None:
    try:
        x, y = float(tags[_X]), float(tags[_Y])  # type: ignore[arg-type]
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    unit = tags.get(_UNIT, 2)
    sensible = 1 <= x <= 1e5 and 1 <= y <= 1e5 and unit in (2, 3)
    return (x, y, int(unit)) if sensible else None  # type: ignore[call-overload]


def build_exif(exif: Exif) -> bytes:
    """A TIFF block that says orientation and resolution, and nothing else; empty when neither matters."""
    entries, extra = [], b""
    if exif.orientation != 1:
        entries.append(struct.pack(">HHIHH", _ORIENTATION, 3, 1, exif.orientation, 0))
    if exif.resolution:
        x, y, unit = exif.resolution
        start = 8 + 2 + 12 * (len(entries) + 3) + 4
        entries.append(struct.pack(">HHII", _X, 5, 1, start))
        entries.append(struct.pack(">HHII", _Y, 5, 1, start + 8))
        entries.append(struct.pack(">HHIHH", _UNIT, 3, 1, unit, 0))
        extra = b"".join(struct.pack(">II", round(value * 100), 100) for value in (x, y))
    if not entries:
        return b""
    return b"MM\0*" + struct.pack(">IH", 8, len(entries)) + b"".join(entries) + struct.pack(">I", 0) + extra
