"""TIFF directories: which tags describe the picture, and writing them again (TIFF 6.0, BigTIFF).

tifffile reads the tags; the file is written here, because no library writes a page's coded strips and
tiles through as they are, in every byte order and compression.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

_SHORT, _LONG, _RATIONAL, _BYTES, _LONG8 = 3, 4, 5, 7, 16
_FORMATS = {_SHORT: "H", _LONG: "I", _RATIONAL: "I", _BYTES: "B", _LONG8: "Q"}
# what describes the picture; everything else is metadata
KEPT = {
    254: _LONG,  # NewSubfileType
    256: _LONG,  # ImageWidth
    257: _LONG,  # ImageLength
    258: _SHORT,  # BitsPerSample
    259: _SHORT,  # Compression
    262: _SHORT,  # PhotometricInterpretation
    274: _SHORT,  # Orientation
    277: _SHORT,  # SamplesPerPixel
    278: _LONG,  # RowsPerStrip
    282: _RATIONAL,  # XResolution
    283: _RATIONAL,  # YResolution
    284: _SHORT,  # PlanarConfiguration
    296: _SHORT,  # ResolutionUnit
    301: _SHORT,  # TransferFunction
    317: _SHORT,  # Predictor
    318: _RATIONAL,  # WhitePoint
    319: _RATIONAL,  # PrimaryChromaticities
    320: _SHORT,  # ColorMap
    322: _LONG,  # TileWidth
    323: _LONG,  # TileLength
    332: _SHORT,  # InkSet
    338: _SHORT,  # ExtraSamples
    339: _SHORT,  # SampleFormat
    347: _BYTES,  # JPEGTables
    529: _RATIONAL,  # YCbCrCoefficients
    530: _SHORT,  # YCbCrSubSampling
    531: _SHORT,  # YCbCrPositioning
    532: _RATIONAL,  # ReferenceBlackWhite
    34675: _BYTES,  # ICC profile
}
_PER_SAMPLE = (258, 339)
_FIXED = {282: 1, 283: 1, 318: 2, 319: 6, 529: 3, 530: 2, 532: 6}
PLACES = (273, 279, 324, 325)  # offsets and byte counts: written anew


@dataclass(frozen=True)
class Form:
    """What tells how many values a page's tags have; ``extra`` samples are no colours."""

    bits: int
    samples: int
    extra: int
    palette: bool


@dataclass
class Directory:
    """One page to write: tag values by number, and its coded strips or tiles."""

    tags: dict[int, tuple[int, ...] | bytes]
    segments: list[bytes]

    @property
    def tiled(self) -> bool:
        return 322 in self.tags


def kept(tag: int, value: Any, form: Form) -> tuple[int, ...] | bytes | None:
    """What is kept of a tag: as many values as its meaning asks for, since more of them may say anything.

    None if it is no tag that describes such a page, or not in so many values.
    """
    if tag not in KEPT:
        return None
    given = values(value)
    if KEPT[tag] == _BYTES:
        return given
    numbers = tuple(given)
    levels = 1 << form.bits
    if tag == 301:
        curves = [numbers[start : start + levels] for start in range(0, len(numbers), levels)]
        rising = all(curve == tuple(sorted(curve)) for curve in curves)
        return numbers if len(numbers) in (levels, 3 * levels) and rising else None
    if tag == 320:
        return numbers if form.palette and len(numbers) == 3 * levels else None
    if tag == 338:
        return numbers if len(numbers) == form.extra else None
    if tag in _FIXED:
        return numbers if len(numbers) == _FIXED[tag] * (2 if KEPT[tag] == _RATIONAL else 1) else None
    return numbers[: form.samples if tag in _PER_SAMPLE else 1]


def values(value: Any) -> tuple[int, ...] | bytes:
    """A tag's value as tifffile gives it, as plain integers (rationals flat) or bytes."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, (tuple, list)):
        return tuple(int(v) for v in value)
    if hasattr(value, "tolist"):
        return values(value.ravel().tolist()) if value.ndim else (int(value),)
    return (int(value),)


def write(pages: list[Directory], byteorder: str, big: bool) -> bytes:
    """The file: for each page its coded data, then its directory.

    Raises:
        ValueError: more than 4 GiB in a file that is not BigTIFF.
    """
    out = bytearray(_header(byteorder, big))
    link = len(out) - (8 if big else 4)
    for page in pages:
        offsets = []
        for segment in page.segments:
            out += bytes(len(out) % 2)
            offsets.append(len(out))
            out += segment
        out += bytes(-len(out) % 8)
        if not big and len(out) >= 1 << 32:
            raise ValueError("more than 4 GiB in a classic TIFF")
        struct.pack_into(byteorder + ("Q" if big else "I"), out, link, len(out))
        link = _append_directory(out, page, offsets, byteorder, big)
    return bytes(out)


def _header(byteorder: str, big: bool) -> bytes:
    mark = b"II" if byteorder == "<" else b"MM"
    if big:
        return mark + struct.pack(byteorder + "HHHQ", 43, 8, 0, 0)
    return mark + struct.pack(byteorder + "HI", 42, 0)


def _append_directory(out: bytearray, page: Directory, offsets: list[int], order: str, big: bool) -> int:
    """Append the directory; returns where its link to the next one stands."""
    places = (324, 325) if page.tiled else (273, 279)
    wide = _LONG8 if big else _LONG
    entries = {tag: (KEPT[tag], value) for tag, value in page.tags.items()}
    entries[places[0]] = (wide, tuple(offsets))
    entries[places[1]] = (wide, tuple(len(s) for s in page.segments))
    entry, inline, count = (20, 8, "Q") if big else (12, 4, "H")
    head = struct.calcsize(order + count)
    at = len(out) + head + entry * len(entries) + inline  # where values that do not fit inline go
    table, extra = b"", b""
    for tag in sorted(entries):
        kind, value = entries[tag]
        packed = _pack(order, kind, value)
        number = len(value) // 2 if kind == _RATIONAL else len(value)
        table += struct.pack(order + ("HHQ" if big else "HHI"), tag, kind, number)
        if len(packed) <= inline:
            table += packed.ljust(inline, b"\0")
        else:
            table += struct.pack(order + ("Q" if big else "I"), at + len(extra))
            extra += packed + bytes(len(packed) % 2)
    out += struct.pack(order + count, len(entries)) + table
    link = len(out)
    out += bytes(inline) + extra
    return link


def _pack(order: str, kind: int, value: tuple[int, ...] | bytes) -> bytes:
    if isinstance(value, bytes):
        return value
    return struct.pack(f"{order}{len(value)}{_FORMATS[kind]}", *value)
