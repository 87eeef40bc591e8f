"""GIF as its blocks (GIF89a specification)."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace

from pipeline.anonymize.images.icc import clean_profile

_LOOP = (b"NETSCAPE2.0", b"ANIMEXTS1.0")
_ICC = b"ICCRGBG1012"


class BlockError(ValueError):
    """The block structure is broken."""


@dataclass(frozen=True)
class GifImage:
    """One image block. ``control`` is the four bytes of its graphic control extension, or empty."""

    x: int
    y: int
    width: int
    height: int
    interlaced: bool
    palette: bytes  # the local one; empty when the global one counts
    sorted: bool
    code: bytes  # LZW: minimum code size, sub-blocks, terminator
    control: bytes = b""

    @property
    def transparent(self) -> int | None:
        """Index of the transparent colour."""
        return self.control[3] if self.control and self.control[0] & 1 else None

    @property
    def disposal(self) -> int:
        return self.control[0] >> 2 & 7 if self.control else 0

    def with_code(self, code: bytes) -> GifImage:
        return replace(self, code=code)


@dataclass
class Gif:
    """A parsed file."""

    version: bytes
    width: int
    height: int
    flags: int
    background: int
    aspect: int
    palette: bytes = b""
    loop: int | None = None
    icc: bytes | None = None
    images: list[GifImage] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)


def parse(data: bytes) -> Gif:
    """Walk every block up to the trailer.

    Raises:
        BlockError: truncated, or a block that cannot be.
    """
    try:
        return _parse(data)
    except (IndexError, struct.error) as error:
        raise BlockError("the file ends inside a block: it is truncated") from error


def _parse(data: bytes) -> Gif:
    gif = Gif(data[:6], *struct.unpack_from("<HHBBB", data, 6))
    at = 13
    if gif.flags & 0x80:
        gif.palette, at = _take(data, at, 3 << (gif.flags & 7) + 1)
    control = b""
    while data[at] != 0x3B:
        if data[at] == 0x2C:
            image, at = _image(data, at + 1, control)
            gif.images.append(image)
            control = b""
        elif data[at] == 0x21:
            label, start = data[at + 1], at + 2
            blocks, at = _sub_blocks(data, start)
            if label == 0xF9 and blocks and len(blocks[0]) == 4:
                control = blocks[0]
            else:
                control = control if label != 0x01 else b""
                _read_extension(gif, label, blocks)
        else:
            raise BlockError(f"unknown block {data[at]:#04x} at byte {at}")
    if at + 1 < len(data):
        gif.removed.append("bytes after the end of the picture")
    return gif


def _take(data: bytes, at: int, size: int) -> tuple[bytes, int]:
    if at + size > len(data):
        raise IndexError(at)
    return data[at : at + size], at + size


def _image(data: bytes, at: int, control: bytes) -> tuple[GifImage, int]:
    x, y, width, height, flags = struct.unpack_from("<HHHHB", data, at)
    palette, at = _take(data, at + 9, 3 << (flags & 7) + 1 if flags & 0x80 else 0)
    start = at
    _, at = _sub_blocks(data, at + 1)
    return GifImage(
        x, y, width, height, bool(flags & 0x40), palette, bool(flags & 0x20), data[start:at], control
    ), at


def _sub_blocks(data: bytes, at: int) -> tuple[list[bytes], int]:
    blocks = []
    while data[at]:
        block, following = _take(data, at + 1, data[at])
        blocks.append(block)
        at = following
    return blocks, at + 1


def _read_extension(gif: Gif, label: int, blocks: list[bytes]) -> None:
    name = blocks[0] if blocks else b""
    if label == 0xFF and name in _LOOP and len(blocks) > 1 and len(blocks[1]) == 3 and blocks[1][0] == 1:
        gif.loop = int.from_bytes(blocks[1][1:3], "little")
    elif label == 0xFF and name == _ICC:
        gif.icc = clean_profile(b"".join(blocks[1:]))
    elif label == 0xFF and name == b"XMP DataXMP":
        gif.removed.append("XMP")
    else:
        known = {0xFF: "application extension", 0xFE: "comment", 0x01: "plain text extension"}
        gif.removed.append(known.get(label, f"extension {label:#04x}"))


def assemble(gif: Gif, images: list[GifImage]) -> bytes:
    """The file, with loop count and profile and no other extension."""
    parts = [gif.version, struct.pack("<HHBBB", gif.width, gif.height, gif.flags, gif.background, gif.aspect)]
    parts.append(gif.palette)
    if gif.icc:
        blocks = b"".join(bytes((len(b),)) + b for b in _cut(gif.icc))
        parts.append(b"\x21\xff\x0b" + _ICC + blocks + b"\0")
    if gif.loop is not None:
        parts.append(b"\x21\xff\x0b" + _LOOP[0] + b"\3\1" + struct.pack("<H", gif.loop) + b"\0")
    for image in images:
        if image.control:
            parts.append(b"\x21\xf9\4" + image.control + b"\0")
        size = (len(image.palette) // 3).bit_length() - 2 if image.palette else 0
        flags = bool(image.palette) << 7 | image.interlaced << 6 | image.sorted << 5 | size
        parts.append(struct.pack("<BHHHHB", 0x2C, image.x, image.y, image.width, image.height, flags))
        parts += [image.palette, image.code]
    return b"".join([*parts, b"\x3b"])


def _cut(data: bytes) -> list[bytes]:
    return [data[i : i + 255] for i in range(0, len(data), 255)]
