"""JPEG as its marker segments (ITU-T T.81, B): what codes the picture, and what only accompanies it."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field

from pipeline.anonymize.images.exif import Exif, build_exif, read_exif
from pipeline.anonymize.images.icc import clean_profile

SOI, EOI, SOS, DHT, COM = 0xD8, 0xD9, 0xDA, 0xC4, 0xFE
_CODING = {DHT, 0xDB, 0xDD}  # DHT, DQT, DRI; SOF and SOS come to them
_SOF = set(range(0xC0, 0xD0)) - {DHT, 0xC8, 0xCC}
_SCAN_END = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_ICC = b"ICC_PROFILE\0"
# where each value of a table in rows and columns stands in the stored zigzag (T.81, figure 5)
_PLACES = (
    *(0, 1, 5, 6, 14, 15, 27, 28, 2, 4, 7, 13, 16, 26, 29, 42, 3, 8, 12, 17, 25, 30, 41, 43),
    *(9, 11, 18, 24, 31, 40, 44, 53, 10, 19, 23, 32, 39, 45, 52, 54, 20, 22, 33, 38, 46, 51, 55, 60),
    *(21, 34, 37, 47, 50, 56, 59, 61, 35, 36, 48, 49, 57, 58, 62, 63),
)


class SegmentError(ValueError):
    """The marker structure is broken."""


@dataclass(frozen=True)
class Component:
    """One colour component: its identifier, sampling factors and quantisation table number."""

    id: int
    h: int
    v: int
    table: int


@dataclass
class Jpeg:
    """A parsed file.

    ``coding`` holds the bytes that code the picture, in order, EOI excluded; ``tables`` the quantisation
    tables by number, in rows and columns; ``huffman`` every Huffman table as it is stored, class and number
    first.
    """

    coding: list[bytes] = field(default_factory=list)
    sof: int = 0
    precision: int = 8
    width: int = 0
    height: int = 0
    components: tuple[Component, ...] = ()
    tables: dict[int, tuple[int, ...]] = field(default_factory=dict)
    huffman: set[bytes] = field(default_factory=set)
    scans: int = 0
    adobe: int | None = None  # colour transform 0, 1 or 2; None without an Adobe marker
    jfif: tuple[int, int, int] | None = None  # density unit, x, y
    exif: Exif = field(default_factory=Exif)
    exif_seen: bool = False
    icc: bytes | None = None  # cleaned
    removed: list[str] = field(default_factory=list)

    @property
    def progressive(self) -> bool:
        return self.sof == 0xC2

    @property
    def colour_model(self) -> str:
        """``grey``, ``ycc``, ``rgb``, ``cmyk`` or ``ycck``, by the rules that libjpeg follows."""
        if len(self.components) == 1:
            return "grey"
        if len(self.components) == 4:
            return "ycck" if self.adobe == 2 else "cmyk"
        if self.jfif is not None:
            return "ycc"
        if self.adobe is not None:
            return "rgb" if self.adobe == 0 else "ycc"
        return "rgb" if bytes(c.id for c in self.components) == b"RGB" else "ycc"


def parse(data: bytes) -> Jpeg:
    """Walk every segment up to the end of the picture.

    Raises:
        SegmentError: a marker or length that cannot be, or no end of picture.
    """
    jpeg, icc, at = Jpeg(), dict[int, bytes](), 2
    while True:
        marker, at = _marker(data, at)
        if marker == EOI:
            break
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:
            continue
        payload, end = _payload(data, at)
        if marker == SOS:
            match = _SCAN_END.search(data, end)
            if match is None:
                raise SegmentError("the picture has no end: it is truncated")
            end = match.start()
        if marker in _CODING or marker in _SOF or marker == SOS:
            jpeg.coding.append(bytes((0xFF, marker)) + data[at:end])
            _read_coding(jpeg, marker, payload)
        else:
            _read_application(jpeg, icc, marker, payload)
        at = end
    if at < len(data):
        jpeg.removed.append("bytes after the end of the picture")
    _join_icc(jpeg, icc)
    return jpeg


def _marker(data: bytes, at: int) -> tuple[int, int]:
    if data[at : at + 1] != b"\xff":
        raise SegmentError(f"no marker at byte {at}")
    while data[at : at + 1] == b"\xff":
        at += 1
    if at >= len(data) or data[at] in (0, SOI):
        raise SegmentError(f"no marker at byte {at}")
    return data[at], at + 1


def _payload(data: bytes, at: int) -> tuple[bytes, int]:
    length = int.from_bytes(data[at : at + 2], "big")
    if length < 2 or at + length > len(data):
        raise SegmentError(f"segment at byte {at} runs beyond the file: it is truncated")
    return data[at + 2 : at + length], at + length


def _read_coding(jpeg: Jpeg, marker: int, payload: bytes) -> None:
    try:
        if marker == 0xDB:
            _read_tables(jpeg, payload)
        elif marker == DHT:
            _read_huffman(jpeg, payload)
        elif marker == SOS:
            jpeg.scans += 1
        elif marker in _SOF:
            if jpeg.sof:
                raise SegmentError("two pictures in one frame structure")
            jpeg.sof = marker
            jpeg.precision, jpeg.height, jpeg.width, count = struct.unpack_from(">BHHB", payload)
            rows = [struct.unpack_from(">BBB", payload, 6 + 3 * i) for i in range(count)]
            jpeg.components = tuple(Component(i, hv >> 4, hv & 15, table) for i, hv, table in rows)
    except struct.error as error:
        raise SegmentError(f"short segment FF{marker:02X}") from error


def _read_tables(jpeg: Jpeg, payload: bytes) -> None:
    at = 0
    while at < len(payload):
        wide, number = payload[at] >> 4, payload[at] & 15
        stored = struct.unpack_from(">64H" if wide else ">64B", payload, at + 1)
        jpeg.tables[number] = tuple(stored[place] for place in _PLACES)
        at += 129 if wide else 65


def _read_huffman(jpeg: Jpeg, payload: bytes) -> None:
    at = 0
    while at < len(payload):
        end = at + 17 + sum(payload[at + 1 : at + 17])
        jpeg.huffman.add(payload[at:end])
        at = end


def _read_application(jpeg: Jpeg, icc: dict[int, bytes], marker: int, payload: bytes) -> None:
    """Take what is allowed from an application or comment segment; name the rest."""
    name = _name(marker, payload)
    if name == "JFIF" and len(payload) >= 14:
        jpeg.jfif = struct.unpack_from(">BHH", payload, 7)
        if len(payload) > 14:
            jpeg.removed.append("JFIF thumbnail")
    elif name == "Adobe" and len(payload) >= 12:
        jpeg.adobe = payload[11]
    elif name == "ICC" and len(payload) > len(_ICC) + 2:
        icc[payload[len(_ICC)]] = payload[len(_ICC) + 2 :]
    elif name == "EXIF":
        found = read_exif(payload)
        jpeg.removed += found.names
        if not jpeg.exif_seen:  # viewers go by the first
            jpeg.exif, jpeg.exif_seen = found, True
    else:
        jpeg.removed.append(name)


_KNOWN = (
    (0xE0, b"JFIF\0", "JFIF"),
    (0xE0, b"JFXX\0", "JFXX thumbnail"),
    (0xE1, b"Exif\0\0", "EXIF"),
    (0xE1, b"http://ns.adobe.com/xap/1.0/\0", "XMP"),
    (0xE1, b"http://ns.adobe.com/xmp/extension/\0", "XMP (extended)"),
    (0xE2, _ICC, "ICC"),
    (0xE2, b"MPF\0", "MPF (further pictures)"),
    (0xEB, b"JP", "JUMBF (provenance)"),
    (0xED, b"Photoshop 3.0\0", "Photoshop and IPTC"),
    (0xEE, b"Adobe", "Adobe"),
)


def _name(marker: int, payload: bytes) -> str:
    for known, start, name in _KNOWN:
        if marker == known and payload.startswith(start):
            return name
    return (
        "comment" if marker == COM else f"APP{marker - 0xE0}" if marker >= 0xE0 else f"segment FF{marker:02X}"
    )


def _join_icc(jpeg: Jpeg, parts: dict[int, bytes]) -> None:
    if parts:
        jpeg.icc = clean_profile(b"".join(parts[number] for number in sorted(parts)))
        if jpeg.icc is None:
            jpeg.removed.append("ICC profile (damaged)")


def assemble(coding: Jpeg, source: Jpeg) -> bytes:
    """The picture that ``coding`` codes, with what is allowed of ``source``'s metadata.

    ``coding`` is ``source`` itself when the coefficients are copied. JFIF and Adobe markers say how the
    colours are coded, so they go by ``coding``; density, orientation and profile come from ``source``.
    """
    parts = [b"\xff\xd8"]
    if coding.jfif is not None:
        parts.append(
            segment(0xE0, b"JFIF\0\1\1" + struct.pack(">BHHBB", *(source.jfif or coding.jfif), 0, 0))
        )
    exif = build_exif(source.exif)
    if exif:
        parts.append(segment(0xE1, b"Exif\0\0" + exif))
    if coding.adobe is not None:
        parts.append(segment(0xEE, b"Adobe" + struct.pack(">HHHB", 100, 0, 0, coding.adobe)))
    if source.icc:
        size = 65519
        pieces = [source.icc[i : i + size] for i in range(0, len(source.icc), size)]
        for number, piece in enumerate(pieces, 1):
            parts.append(segment(0xE2, _ICC + bytes((number, len(pieces))) + piece))
    return b"".join([*parts, *coding.coding, b"\xff\xd9"])


def segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def zigzag(table: tuple[int, ...]) -> tuple[int, ...]:
    """A table in rows and columns, in the order in which it is stored."""
    stored = [0] * 64
    for value, place in zip(table, _PLACES, strict=True):
        stored[place] = value
    return tuple(stored)
