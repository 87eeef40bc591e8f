"""PNG's coded picture: what must be inflated, and filtering samples again row by row.

A row is filtered as the source filtered it, so that the file keeps its size; decoding is left to
libpng by way of Pillow and imagecodecs, since undoing a filter is sequential.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from pipeline.anonymize.images import pillow
from pipeline.anonymize.images.model import Pixels
from pipeline.anonymize.images.png_chunks import ChunkError, Header, Png, assemble

Bytes = NDArray[np.uint8]
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_BAND = 1 << 22  # bytes filtered at once


def passes(header: Header) -> Iterator[tuple[slice, slice, int, int]]:
    """Rows, columns, height and width of each non-empty pass; one pass without interlacing."""
    steps = _ADAM7 if header.interlaced else ((0, 0, 1, 1),)
    for x, y, dx, dy in steps:
        width, height = -(-(header.width - x) // dx), -(-(header.height - y) // dy)
        if width > 0 and height > 0:
            yield slice(y, None, dy), slice(x, None, dx), height, width


def row_bytes(header: Header, width: int) -> int:
    return (width * header.bits * header.channels + 7) // 8


def filters_of(idat: bytes, header: Header) -> tuple[list[Bytes], bool]:
    """The filter of every row, pass by pass, and whether the stream holds the picture and nothing else.

    Raises:
        ChunkError: the stream is damaged or too short; it is never inflated beyond the picture's size.
    """
    expected = sum(height * (1 + row_bytes(header, width)) for _, _, height, width in passes(header))
    inflater = zlib.decompressobj()
    try:
        raw = inflater.decompress(idat, expected + 1)
        while len(raw) <= expected and not inflater.eof and inflater.unconsumed_tail:
            raw += inflater.decompress(inflater.unconsumed_tail, expected + 1 - len(raw))
    except zlib.error as error:
        raise ChunkError(f"picture data cannot be inflated ({error})") from error
    if len(raw) < expected:
        raise ChunkError("picture data is too short: it is truncated")
    pure = len(raw) == expected and inflater.eof and not inflater.unused_data
    filters, at, samples = [], 0, np.frombuffer(raw, np.uint8)
    for _, _, height, width in passes(header):
        stride = 1 + row_bytes(header, width)
        filters.append(samples[at : at + height * stride : stride].copy())
        at += height * stride
        if filters[-1].max() > 4:
            raise ChunkError("unknown row filter")
    return filters, pure


def decode(header: Header, palette: bytes | None, idat: bytes) -> Pixels:
    """Samples as stored: indices for a palette, ``0 … 2**bits - 1`` for grey.

    The decoder sees a file of these parts alone: no transparency or gamma that it might apply.
    """
    data = assemble(Png(header, {} if palette is None else {b"PLTE": palette}), idat)
    if header.bits == 16:
        return np.asarray(imagecodecs.png_decode(data))
    samples = pillow.decode(data)
    if header.colour == 0 and header.bits < 8:
        return samples.astype(np.uint8) if header.bits == 1 else samples // (255 // (2**header.bits - 1))
    return samples


def level_of(idat: bytes) -> int:
    """A compression level like the source's, which its zlib header tells in four steps."""
    return (1, 4, 6, 7)[idat[1] >> 6]


def code(samples: Pixels, header: Header, filters: list[Bytes], level: int) -> bytes:
    """The IDAT payload of samples ``[H, W]`` or ``[H, W, C]`` as stored (indices, not colours)."""
    deflater, parts = zlib.compressobj(level, zlib.DEFLATED, 15, 9), []
    bpp = max(1, header.bits * header.channels // 8)
    for (rows, columns, _, _), kinds in zip(passes(header), filters, strict=True):
        part = samples[rows, columns]
        step = max(1, _BAND // max(1, part[0].nbytes))
        above = None
        for start in range(0, len(part), step):
            packed = _pack(part[start : start + step], header.bits)
            filtered = _filter(packed, kinds[start : start + step], bpp, above)
            parts.append(deflater.compress(filtered.tobytes()))
            above = packed[-1]
    return b"".join([*parts, deflater.flush()])


def _pack(samples: Pixels, bits: int) -> Bytes:
    """Rows of bytes, most significant first."""
    rows = samples.reshape(len(samples), -1)
    if bits == 16:
        return rows.astype(">u2").view(np.uint8).reshape(len(rows), -1)
    if bits == 8:
        return np.ascontiguousarray(rows, dtype=np.uint8)
    each = 8 // bits
    padded = np.zeros((len(rows), -(-rows.shape[1] // each) * each), np.uint8)
    padded[:, : rows.shape[1]] = rows
    packed = np.zeros((len(rows), padded.shape[1] // each), np.uint8)
    for place in range(each):
        packed |= padded[:, place::each] << (8 - bits * (place + 1))
    return packed


def _filter(rows: Bytes, kinds: Bytes, bpp: int, above: Bytes | None) -> Bytes:
    """Each row by its own filter type (0 none, 1 sub, 2 up, 3 average, 4 Paeth), its type in front."""
    out = np.empty((len(rows), rows.shape[1] + 1), np.uint8)
    out[:, 0] = kinds
    first = np.zeros((1, rows.shape[1]), np.uint8) if above is None else above[None]
    for kind in np.unique(kinds):
        where = np.flatnonzero(kinds == kind)
        row = rows[where]
        up = np.where((where > 0)[:, None], rows[where - 1], first) if kind > 1 else row
        out[where, 1:] = row - _prediction(int(kind), row, up, bpp)
    return out


def _prediction(kind: int, row: Bytes, up: Bytes, bpp: int) -> Bytes:
    if kind == 0:
        return np.zeros_like(row)
    left = _shifted(row, bpp)
    if kind == 1:
        return left
    if kind == 2:
        return up
    if kind == 3:
        return ((left.astype(np.uint16) + up) >> 1).astype(np.uint8)
    corner = _shifted(up, bpp)
    a, b, c = (part.astype(np.int16) for part in (left, up, corner))
    to_left, to_up, to_corner = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
    nearest_up = np.where(to_up <= to_corner, up, corner)
    return np.where((to_left <= to_up) & (to_left <= to_corner), left, nearest_up)


def _shifted(row: Bytes, bpp: int) -> Bytes:
    shifted = np.zeros_like(row)
    shifted[:, bpp:] = row[:, :-bpp]
    return shifted
