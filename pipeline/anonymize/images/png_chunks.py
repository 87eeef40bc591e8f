"""PNG as its chunks (W3C PNG, third edition): which stay, and which are only named."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field

from pipeline.anonymize.images.exif import Exif, build_exif, read_exif
from pipeline.anonymize.images.icc import clean_profile

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_BEFORE_PALETTE = (b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"cICP", b"mDCV", b"cLLI")
_AFTER_PALETTE = (b"tRNS", b"bKGD", b"pHYs")
_ANIMATION = (b"acTL", b"fcTL", b"fdAT")
_MAX_PROFILE = 1 << 24  # bytes an embedded profile may inflate to
_NAMES = {b"tEXt": "text", b"zTXt": "text", b"iTXt": "text", b"tIME": "time"}


class ChunkError(ValueError):
    """The chunk structure is broken."""


@dataclass
class Header:
    """IHDR."""

    width: int
    height: int
    bits: int
    colour: int  # 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha
    interlaced: bool

    @property
    def channels(self) -> int:
        return {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[self.colour]


@dataclass
class Png:
    """A parsed file: the header, the kept chunks by name, and the coded picture."""

    header: Header
    kept: dict[bytes, bytes] = field(default_factory=dict)
    idat: bytes = b""
    animation: list[tuple[bytes, bytes]] = field(default_factory=list)  # acTL, fcTL, fdAT and IDAT in order
    exif: Exif = field(default_factory=Exif)
    icc: bytes | None = None
    removed: list[str] = field(default_factory=list)


def chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """Every chunk up to IEND, each checked against its CRC.

    Raises:
        ChunkError: truncated, or a check value differs.
    """
    found: list[tuple[bytes, bytes]] = []
    at = len(SIGNATURE)
    while not found or found[-1][0] != b"IEND":
        if at + 12 > len(data):
            raise ChunkError("the file ends before IEND: it is truncated")
        length, name = struct.unpack_from(">I4s", data, at)
        if at + 12 + length > len(data):
            raise ChunkError("the file ends inside a chunk: it is truncated")
        payload = data[at + 8 : at + 8 + length]
        (expected,) = struct.unpack_from(">I", data, at + 8 + length)
        if zlib.crc32(payload, zlib.crc32(name)) != expected:
            raise ChunkError(f"chunk {name.decode('latin1')} fails its check")
        found.append((name, payload))
        at += 12 + length
    if at < len(data):
        found.append((b"", data[at:]))
    return found


def parse(data: bytes) -> Png:
    """Sort the chunks into what is kept and what is named as removed.

    Raises:
        ChunkError: structure, order, or values that cannot be.
    """
    found = chunks(data)
    png, parts = Png(_header(found[0])), []
    for name, payload in found[1:]:
        if name == b"IDAT":
            parts.append(payload)
            png.animation.append((name, payload))
        elif name in _ANIMATION:
            png.animation.append((name, payload))
        elif name in _BEFORE_PALETTE or name in _AFTER_PALETTE or name == b"PLTE":
            png.kept[name] = payload
        elif name != b"IEND":
            _read_ancillary(png, name, payload)
    if not parts:
        raise ChunkError("no picture data (IDAT)")
    png.idat = b"".join(parts)
    _check_palette(png)
    _cut_transparency(png)
    return png


def _header(first: tuple[bytes, bytes]) -> Header:
    name, payload = first
    if name != b"IHDR" or len(payload) != 13:
        raise ChunkError("no header (IHDR)")
    width, height, bits, colour, compression, filters, interlace = struct.unpack(">IIBBBBB", payload)
    depths = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
    if bits not in depths.get(colour, ()) or compression or filters or interlace > 1:
        raise ChunkError(f"header with colour type {colour} and {bits} bits cannot be")
    return Header(width, height, bits, colour, bool(interlace))


def _check_palette(png: Png) -> None:
    size = len(png.kept.get(b"PLTE", b""))
    if png.header.colour == 3 and not (0 < size <= 768 and size % 3 == 0):
        raise ChunkError("no palette (PLTE)")
    if png.header.colour != 3 and png.kept.pop(b"PLTE", None) is not None:
        png.removed.append("PLTE (a palette that no pixel uses)")


def _cut_transparency(png: Png) -> None:
    """A tRNS chunk is as long as its colour type says; what follows no decoder reads."""
    key = png.kept.pop(b"tRNS", None)
    if key is None:
        return
    entries = len(png.kept.get(b"PLTE", b"")) // 3
    room = {0: 2, 2: 6, 3: min(len(key), entries)}.get(png.header.colour, 0)
    if room and len(key) >= room:
        png.kept[b"tRNS"] = key[:room]
    if len(key) != room:
        png.removed.append("tRNS (bytes that are no transparency)")


def _read_ancillary(png: Png, name: bytes, payload: bytes) -> None:
    if name == b"eXIf":
        png.exif = read_exif(payload)
        png.removed += png.exif.names
    elif name == b"iCCP":
        png.icc = clean_profile(_inflate_profile(payload))
        if png.icc is None:
            png.removed.append("ICC profile (damaged)")
    elif name == b"":
        png.removed.append("bytes after the end of the picture")
    elif not name[0] & 32:
        raise ChunkError(f"unknown critical chunk {name.decode('latin1')}")
    else:
        text = name.decode("latin1")
        png.removed.append(f"{text} ({_NAMES[name]})" if name in _NAMES else f"{text} chunk")


def _inflate_profile(payload: bytes) -> bytes:
    _, _, rest = payload.partition(b"\0")
    try:
        return zlib.decompressobj().decompress(rest[1:], _MAX_PROFILE)
    except zlib.error:
        return b""


def assemble(source: Png, idat: bytes) -> bytes:
    """The file of a coded picture, with what is allowed of ``source``."""
    return b"".join([*head(source), chunk(b"IDAT", idat), chunk(b"IEND", b"")])


def head(source: Png) -> list[bytes]:
    """Everything before the coded picture."""
    header = source.header
    ihdr = struct.pack(
        ">IIBBBBB", header.width, header.height, header.bits, header.colour, 0, 0, header.interlaced
    )
    parts = [SIGNATURE, chunk(b"IHDR", ihdr)]
    parts += [chunk(name, source.kept[name]) for name in _BEFORE_PALETTE if name in source.kept]
    if source.icc:
        parts.append(chunk(b"iCCP", b"icc\0\0" + zlib.compress(source.icc, 9)))
    parts += [chunk(name, source.kept[name]) for name in (b"PLTE", *_AFTER_PALETTE) if name in source.kept]
    exif = build_exif(source.exif)
    if exif:
        parts.append(chunk(b"eXIf", exif))
    return parts


def chunk(name: bytes, payload: bytes) -> bytes:
    crc = zlib.crc32(payload, zlib.crc32(name))
    return struct.pack(">I4s", len(payload), name) + payload + struct.pack(">I", crc)
