"""WebP as its RIFF chunks (WebP Container Specification)."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from pipeline.anonymize.images.exif import Exif, build_exif, read_exif
from pipeline.anonymize.images.icc import clean_profile

Chunk = tuple[bytes, bytes]
_CODED = (b"ALPH", b"VP8 ", b"VP8L")
_ICC, _ALPHA, _EXIF, _ANIMATED = 0x20, 0x10, 0x08, 0x02


class RiffError(ValueError):
    """The chunk structure is broken."""


@dataclass(frozen=True)
class Bitstream:
    """One coded picture: its ALPH, VP8 or VP8L chunks, and for an animation its place and timing."""

    chunks: tuple[Chunk, ...]
    frame: bytes = b""  # the first 16 bytes of ANMF

    @property
    def lossless(self) -> bool:
        return any(name == b"VP8L" for name, _ in self.chunks)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height by the codec's own header.

        Raises:
            RiffError: there is none.
        """
        for name, body in self.chunks:
            if name == b"VP8L" and body[:1] == b"\x2f" and len(body) >= 5:
                bits = int.from_bytes(body[1:5], "little")
                return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
            if name == b"VP8 " and body[3:6] == b"\x9d\x01\x2a" and len(body) >= 10:
                width, height = struct.unpack_from("<HH", body, 6)
                return width & 0x3FFF, height & 0x3FFF
        raise RiffError("no picture data (VP8 or VP8L)")

    def file(self) -> bytes:
        """A WebP file of this picture alone."""
        width, height = self.size
        extended = [vp8x(_ALPHA, width, height)] if len(self.chunks) > 1 else []
        return riff([*extended, *self.chunks])


@dataclass
class WebP:
    """A parsed file."""

    canvas: tuple[int, int]
    flags: int = 0
    animation: bytes = b""  # ANIM: background and loop count
    pictures: list[Bitstream] = field(default_factory=list)
    exif: Exif = field(default_factory=Exif)
    icc: bytes | None = None
    removed: list[str] = field(default_factory=list)


def parse(data: bytes) -> WebP:
    """Walk every chunk.

    Raises:
        RiffError: truncated, or no picture.
    """
    (size,) = struct.unpack_from("<I", data, 4)
    if size + 8 > len(data):
        raise RiffError("the file is shorter than it says: it is truncated")
    webp, still = WebP((0, 0)), []
    for name, body in _chunks(data[: size + 8], 12):
        if name == b"VP8X":
            webp.flags, webp.canvas = body[0], (_int24(body, 4) + 1, _int24(body, 7) + 1)
        elif name == b"ANIM":
            webp.animation = body[:6]
        elif name == b"ANMF":
            webp.pictures.append(_frame(webp, body))
        elif name in _CODED:
            still.append((name, body))
        else:
            _read_metadata(webp, name, body)
    if size + 8 + (size & 1) < len(data):
        webp.removed.append("bytes after the end of the picture")
    if (webp.animation and not webp.pictures) or (not webp.animation and not still):
        raise RiffError("no picture data (VP8, VP8L or ANMF)")
    if not webp.animation:
        webp.pictures = [Bitstream(tuple(still))]
        webp.canvas = webp.pictures[0].size
    return webp


def _chunks(data: bytes, at: int) -> list[Chunk]:
    found = []
    while at + 8 <= len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if at + 8 + size > len(data):
            raise RiffError("the file ends inside a chunk: it is truncated")
        found.append((name, data[at + 8 : at + 8 + size]))
        at += 8 + size + (size & 1)
    return found


def _int24(body: bytes, at: int) -> int:
    if at + 3 > len(body):
        raise RiffError("a chunk is too short")
    return int.from_bytes(body[at : at + 3], "little")


def _frame(webp: WebP, body: bytes) -> Bitstream:
    if len(body) < 24:
        raise RiffError("a frame (ANMF) is too short")
    inner = _chunks(body, 16)
    webp.removed += [f"{name.decode('latin1')} in a frame" for name, _ in inner if name not in _CODED]
    return Bitstream(tuple(chunk for chunk in inner if chunk[0] in _CODED), body[:16])


def _read_metadata(webp: WebP, name: bytes, body: bytes) -> None:
    if name == b"EXIF":
        webp.exif = read_exif(body)
        webp.removed += webp.exif.names
    elif name == b"ICCP":
        webp.icc = clean_profile(body)
        if webp.icc is None:
            webp.removed.append("ICC profile (damaged)")
    else:
        webp.removed.append("XMP" if name == b"XMP " else f"chunk {name.decode('latin1')}")


def assemble(webp: WebP, pictures: list[Bitstream]) -> bytes:
    """The file, with what is allowed of the metadata."""
    exif = build_exif(webp.exif)
    flags = (webp.flags & _ALPHA) | (_ICC if webp.icc else 0) | (_EXIF if exif else 0)
    if webp.animation:  # whatever the file said of itself
        flags |= _ANIMATED
    parts: list[Chunk] = []
    if flags or len(pictures[0].chunks) > 1:
        parts.append(vp8x(flags or _ALPHA, *webp.canvas))
    if webp.icc:
        parts.append((b"ICCP", webp.icc))
    if webp.animation:
        parts.append((b"ANIM", webp.animation))
        parts += [(b"ANMF", picture.frame + _joined(picture.chunks)) for picture in pictures]
    else:
        parts += pictures[0].chunks
    if exif:
        parts.append((b"EXIF", exif))
    return riff(parts)


def vp8x(flags: int, width: int, height: int) -> Chunk:
    sizes = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"VP8X", bytes((flags, 0, 0, 0)) + sizes


def riff(parts: list[Chunk]) -> bytes:
    body = b"WEBP" + _joined(parts)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _joined(parts: list[Chunk] | tuple[Chunk, ...]) -> bytes:
    return b"".join(name + struct.pack("<I", len(body)) + body + bytes(len(body) & 1) for name, body in parts)
