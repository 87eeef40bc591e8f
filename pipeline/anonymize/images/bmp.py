"""BMP, uncompressed: the rows are written where they were, in the source's own depth.

Rows are few lines to read and write, and no library keeps 1, 4, 16 and 32 bits as they are.
"""

from __future__ import annotations

import functools
import operator
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.anonymize.images.icc import clean_profile
from pipeline.anonymize.images.limits import check_size
from pipeline.anonymize.images.model import Frame, Picture, PictureError, Pixels
from pipeline.anonymize.images.palette import PaletteFrame
from pipeline.anonymize.images.raster import RasterFrame, changed_or_none
from pipeline.config.schema import LimitsConfig

_COMPRESSIONS = {1: "RLE8", 2: "RLE4", 4: "JPEG", 5: "PNG"}
_DEFAULT_MASKS = {16: (0x7C00, 0x03E0, 0x001F, 0), 32: (0xFF0000, 0x00FF00, 0x0000FF, 0)}
_EMBEDDED = b"DEBM"  # PROFILE_EMBEDDED of BITMAPV5HEADER as it is stored


@dataclass
class Bmp:
    """A parsed file: headers with masks and palette, and the stored rows."""

    info: bytes  # info header, with the masks that follow a 40-byte one
    width: int
    height: int
    top_down: bool
    bits: int
    masks: tuple[int, ...]
    palette: bytes
    entry: int  # bytes a palette entry
    rows: NDArray[np.uint8]  # [H, stride], in stored order
    icc: bytes | None

    @property
    def raster(self) -> NDArray[np.uint8]:
        """The rows from top to bottom."""
        return self.rows if self.top_down else self.rows[::-1]


def read(data: bytes, path: Path, limits: LimitsConfig) -> Picture:
    try:
        bmp = _parse(data, path, limits)
    except struct.error as error:
        raise PictureError("corrupt", f"{path}: the header is too short") from error
    removed = []
    if len(_assemble(bmp, bmp.rows)) < len(data):
        removed.append("bytes outside the picture")
    mode = "P" if bmp.bits <= 8 else "RGBA" if bmp.masks[3] else "RGB"
    return Picture(path, data, "BMP", mode, bmp.bits if bmp.bits <= 8 else 8, [_frame(bmp)], removed, bmp)


def _parse(data: bytes, path: Path, limits: LimitsConfig) -> Bmp:
    (start, length) = struct.unpack_from("<II", data, 10)
    core = length == 12
    width, height, _, bits = struct.unpack_from("<hHHH" if core else "<iiHH", data, 18)
    compression = 0 if core else struct.unpack_from("<I", data, 30)[0]
    allowed = "allowed: BMP without compression, 1, 4, 8, 16, 24 or 32 bits"
    if length not in (12, 40, 52, 56, 108, 124) or bits not in (1, 4, 8, 16, 24, 32):
        raise PictureError("unsupported", f"{path}: BMP with header {length} and {bits} bits; {allowed}")
    if compression not in (0, 3, 6) or (compression and bits not in (16, 32)):
        name = _COMPRESSIONS.get(compression, compression)
        raise PictureError("unsupported", f"{path}: BMP with compression {name}; {allowed}")
    check_size(path, width, abs(height), limits)
    extra = {3: 12, 6: 16}.get(compression, 0) if length == 40 else 0
    at = 14 + length + extra
    masks = _masks(data, compression, bits, length)
    entry = 3 if core else 4
    count = _entries(data, core, bits)
    stride = (width * bits + 31) // 32 * 4
    end = start + stride * abs(height)
    if start < at + count * entry or end > len(data):
        raise PictureError("corrupt", f"{path}: the pixels run beyond the file: it is truncated")
    rows = np.frombuffer(data, np.uint8, stride * abs(height), start).reshape(abs(height), stride)
    palette = data[at : at + count * entry]
    icc = _profile(data) if length == 124 else None
    return Bmp(data[14:at], width, abs(height), height < 0, bits, masks, palette, entry, rows, icc)


def _entries(data: bytes, core: bool, bits: int) -> int:
    used = 0 if core else struct.unpack_from("<I", data, 46)[0]
    most = 1 << bits if bits <= 8 else 0
    return min(used or most, most)


def _masks(data: bytes, compression: int, bits: int, length: int) -> tuple[int, ...]:
    """Red, green, blue and alpha masks of 16- and 32-bit pixels."""
    if compression == 0:
        return _DEFAULT_MASKS.get(bits, (0, 0, 0, 0))
    alpha = compression == 6 or length >= 56
    return (*struct.unpack_from("<III", data, 54), struct.unpack_from("<I", data, 66)[0] if alpha else 0)


def _profile(data: bytes) -> bytes | None:
    kind = data[14 + 56 : 14 + 60]
    start, size = struct.unpack_from("<II", data, 14 + 112)
    return clean_profile(data[14 + start : 14 + start + size]) if kind == _EMBEDDED else None


def _frame(bmp: Bmp) -> Frame:
    if bmp.bits <= 8:
        indices = _unpack(bmp.raster, bmp.bits)[:, : bmp.width]
        entries = np.frombuffer(bmp.palette, np.uint8).reshape(-1, bmp.entry)
        return PaletteFrame(indices, np.ascontiguousarray(entries[:, 2::-1]))
    if bmp.bits == 24:
        return RasterFrame(bmp.raster[:, : 3 * bmp.width].reshape(bmp.height, bmp.width, 3)[:, :, ::-1])
    values = _words(bmp)
    channels = [_field(values, mask) for mask in bmp.masks]
    alpha = channels[3] if bmp.masks[3] else None
    return RasterFrame(np.dstack(channels[:3]), alpha=alpha)


def _words(bmp: Bmp) -> NDArray[np.uint32]:
    packed = np.ascontiguousarray(bmp.raster).view("<u2" if bmp.bits == 16 else "<u4")
    return packed[:, : bmp.width].astype(np.uint32)


def _field(values: NDArray[np.uint32], mask: int) -> NDArray[np.uint8]:
    """One channel of masked words, stretched to 0 to 255."""
    if mask == 0:
        return np.zeros(values.shape, np.uint8)
    shift = (mask & -mask).bit_length() - 1
    top = mask >> shift
    return (((values & mask) >> shift).astype(np.uint64) * 255 // top).astype(np.uint8)


def _unpack(rows: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    if bits == 8:
        return rows
    each = 8 // bits
    parts = [rows >> (8 - bits * (place + 1)) & ((1 << bits) - 1) for place in range(each)]
    return np.stack(parts, axis=2).reshape(len(rows), -1)


def encode(picture: Picture, redacted: Mapping[int, Pixels]) -> tuple[bytes, bool]:
    bmp: Bmp = picture.state
    frame = picture.frames[0]
    pixels = changed_or_none(frame.pixels, redacted.get(0))
    if pixels is None:
        return _assemble(bmp, bmp.rows), False
    raster = np.zeros((bmp.height, bmp.rows.shape[1]), np.uint8)
    drawn = _drawn(bmp, frame, pixels)
    raster[:, : drawn.shape[1]] = drawn
    return _assemble(bmp, raster if bmp.top_down else raster[::-1]), True


def _drawn(bmp: Bmp, frame: Frame, pixels: Pixels) -> NDArray[np.uint8]:
    """Redacted pixels as rows of bytes."""
    if isinstance(frame, PaletteFrame):
        return _pack(frame.requantised(pixels), bmp.bits)
    if bmp.bits == 24:
        return pixels[:, :, ::-1].reshape(bmp.height, -1)
    values = _words(bmp)
    changed = (pixels != frame.pixels).any(axis=2)
    for channel, mask in zip(np.moveaxis(pixels, 2, 0), bmp.masks, strict=False):
        if mask:
            shift = (mask & -mask).bit_length() - 1
            top = mask >> shift
            scaled = (channel[changed].astype(np.uint64) * top + 127) // 255 << shift
            values[changed] = values[changed] & ~np.uint32(mask) | scaled.astype(np.uint32)
    values[changed] &= np.uint32(functools.reduce(operator.or_, bmp.masks))  # spare bits may hold anything
    return values.astype("<u2" if bmp.bits == 16 else "<u4").view(np.uint8)


def _pack(indices: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    each = 8 // bits
    padded = np.pad(indices, ((0, 0), (0, -indices.shape[1] % each)))
    packed = np.zeros((len(indices), padded.shape[1] // each), np.uint8)
    for place in range(each):
        packed |= padded[:, place::each] << (8 - bits * (place + 1))
    return packed


def _assemble(bmp: Bmp, rows: NDArray[np.uint8]) -> bytes:
    """Headers, palette, rows and profile without a gap; padding of rows is zero."""
    used = (bmp.width * bmp.bits + 7) // 8
    clean = np.zeros_like(rows)
    clean[:, :used] = rows[:, :used]
    info = bytearray(bmp.info)
    start = 14 + len(info) + len(bmp.palette)
    if bmp.entry == 4:
        struct.pack_into("<I", info, 20, clean.nbytes)
    if len(info) >= 124:
        embedded = bmp.icc is not None
        if info[56:60] in (_EMBEDDED, b"KNIL"):
            info[56:60] = _EMBEDDED if embedded else b"BGRs"  # a linked profile names a path: sRGB instead
        place = (start - 14 + clean.nbytes, len(bmp.icc)) if bmp.icc else (0, 0)
        struct.pack_into("<III", info, 112, *place, 0)
    profile = bmp.icc or b""
    size = start + clean.nbytes + len(profile)
    head = struct.pack("<2sIHHI", b"BM", size, 0, 0, start)
    return b"".join([head, bytes(info), bmp.palette, clean.tobytes(), profile])
