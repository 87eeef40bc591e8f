"""Strips and tiles of a TIFF page: from coded bytes to samples and back, one at a time."""

from __future__ import annotations

import lzma
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from pipeline.anonymize.images import jpeg, jpeg_segments

NONE, LZW, JPEG, DEFLATE, PACKBITS, OLD_DEFLATE, LZMA, ZSTD = 1, 5, 7, 8, 32773, 32946, 34925, 50000


def without_tail(segment: bytes, compression: int, size: int) -> bytes:
    """The segment up to where its coded data ends, as far as its compression tells.

    Args:
        size: bytes that it codes.
    """
    if compression == NONE:
        return segment[:size]
    if compression in (DEFLATE, OLD_DEFLATE):
        return _ended(zlib.decompressobj(), segment)
    return _ended(lzma.LZMADecompressor(), segment) if compression == LZMA else segment


def _ended(decoder: Any, segment: bytes) -> bytes:
    """Inflated in small pieces and forgotten: only where the stream ends matters."""
    try:
        decoder.decompress(segment, PIECE)
        while not decoder.eof:
            left = getattr(decoder, "unconsumed_tail", b"")
            if not decoder.decompress(left, PIECE) and not left:
                return segment  # cut short: decoding it says so
    except (zlib.error, lzma.LZMAError):
        return segment
    return segment[: len(segment) - len(decoder.unused_data)]


def _zlib(data: bytes, size: int) -> bytes:
    return zlib.decompressobj().decompress(data, size)


_DECODERS: dict[int, Callable[[bytes, int], bytes | bytearray]] = {
    NONE: lambda data, size: data[:size],
    LZW: lambda data, size: imagecodecs.lzw_decode(data, out=size),
    DEFLATE: _zlib,
    OLD_DEFLATE: _zlib,
    PACKBITS: lambda data, size: imagecodecs.packbits_decode(data, out=size),
    LZMA: lambda data, size: imagecodecs.lzma_decode(data, out=size),
    ZSTD: lambda data, size: imagecodecs.zstd_decode(data, out=size),
}
_ENCODERS: dict[int, Callable[[NDArray[np.uint8]], bytes | bytearray]] = {
    NONE: lambda rows: rows.tobytes(),
    LZW: lambda rows: imagecodecs.lzw_encode(rows.tobytes()),
    DEFLATE: lambda rows: zlib.compress(rows.tobytes(), 6),
    OLD_DEFLATE: lambda rows: zlib.compress(rows.tobytes(), 6),
    PACKBITS: lambda rows: b"".join(imagecodecs.packbits_encode(row.tobytes()) for row in rows),
    LZMA: lambda rows: imagecodecs.lzma_encode(rows.tobytes()),
    ZSTD: lambda rows: imagecodecs.zstd_encode(rows.tobytes()),
}
COMPRESSIONS = frozenset({*_DECODERS, JPEG})
PIECE = 1 << 20
"""Bytes that are decoded at once where the end of a stream is looked for."""


class SegmentError(ValueError):
    """Coded data that is damaged or too short."""


@dataclass(frozen=True)
class Layout:
    """How a page's samples lie in its strips or tiles.

    Attributes:
        block: rows and columns of a full strip or tile.
        samples: samples a pixel. separate: one plane after the other.
        ycbcr: JPEG data is YCbCr, not what the page's samples are.
    """

    height: int
    width: int
    block: tuple[int, int]
    tiled: bool
    samples: int
    bits: int
    separate: bool
    compression: int
    predictor: bool
    byteorder: str
    ycbcr: bool = False
    tables: bytes = b""

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.uint16 if self.bits == 16 else np.uint8)

    @property
    def count(self) -> int:
        """How many strips or tiles there must be."""
        rows, columns = self.block
        each = -(-self.height // rows) * -(-self.width // columns)
        return each * (self.samples if self.separate else 1)

    def places(self) -> Iterator[tuple[slice, slice, slice, int]]:
        """Rows, columns and samples of each segment, and how many rows it codes, in stored order."""
        rows, columns = self.block
        for plane in range(self.samples if self.separate else 1):
            channels = slice(plane, plane + 1) if self.separate else slice(None)
            for top in range(0, self.height, rows):
                bottom = min(top + rows, self.height)
                for left in range(0, self.width, columns):
                    right = min(left + columns, self.width)
                    yield (
                        slice(top, bottom),
                        slice(left, right),
                        channels,
                        rows if self.tiled else bottom - top,
                    )

    def sizes(self) -> Iterator[int]:
        """Bytes that each segment codes, in stored order."""
        for _, _, channels, rows in self.places():
            samples = len(range(self.samples)[channels])
            yield rows * ((self.block[1] * samples * self.bits + 7) // 8)

    def decode(self, segments: list[bytes]) -> NDArray[Any]:
        """Samples ``[H, W, S]``; 1-bit ones as 0 and 1.

        Raises:
            SegmentError: a segment is damaged or too short.
        """
        page = np.empty((self.height, self.width, self.samples), self.dtype)
        for segment, (rows, columns, channels, coded) in zip(segments, self.places(), strict=True):
            part = self._decode_one(segment, coded, page[0, 0, channels].size)
            page[rows, columns, channels] = part[: rows.stop - rows.start, : columns.stop - columns.start]
        return page

    def _decode_one(self, segment: bytes, rows: int, samples: int) -> NDArray[Any]:
        shape = (rows, self.block[1], samples)
        if self.compression == JPEG:
            return _decode_jpeg(segment, self).reshape(shape)
        row = (self.block[1] * samples * self.bits + 7) // 8
        raw = _DECODERS[self.compression](segment, rows * row)
        if len(raw) < rows * row:
            raise SegmentError("a strip or tile is too short: it is truncated")
        if self.bits == 1:
            bits = np.unpackbits(np.frombuffer(raw, np.uint8).reshape(rows, row), axis=1)
            return bits[:, : self.block[1] * samples].reshape(shape)
        stored = np.frombuffer(raw, f"{self.byteorder}u{self.bits // 8}").astype(self.dtype).reshape(shape)
        return np.cumsum(stored, axis=1, dtype=self.dtype) if self.predictor else stored

    def encode(self, page: NDArray[Any], before: NDArray[Any], segments: list[bytes]) -> list[bytes]:
        """The segments of changed samples; a segment without a change stays as it was coded."""
        coded = []
        for segment, (rows, columns, channels, count) in zip(segments, self.places(), strict=True):
            part = page[rows, columns, channels]
            if not np.array_equal(part, before[rows, columns, channels]):
                pad = ((0, count - part.shape[0]), (0, self.block[1] - part.shape[1]), (0, 0))
                segment = self._encode_one(np.pad(part, pad, mode="edge"), segment)
            coded.append(segment)
        return coded

    def _encode_one(self, part: NDArray[Any], segment: bytes) -> bytes:
        if self.compression == JPEG:
            return _encode_jpeg(part, segment, self)
        if self.bits == 1:
            return bytes(_ENCODERS[self.compression](np.packbits(part.reshape(len(part), -1), axis=1)))
        if self.predictor:
            part = np.concatenate([part[:, :1], part[:, 1:] - part[:, :-1]], axis=1)
        stored = np.ascontiguousarray(part.astype(f"{self.byteorder}u{self.bits // 8}"))
        return bytes(_ENCODERS[self.compression](stored.reshape(len(part), -1).view(np.uint8)))


def _whole_jpeg(segment: bytes, layout: Layout) -> bytes:
    """A file of its own: the shared tables and the colour model are put in front."""
    adobe = jpeg_segments.segment(0xEE, b"Adobe" + bytes((0, 100, 0, 0, 0, 0, layout.ycbcr)))
    tables = layout.tables[2:-2]
    return segment[:2] + adobe + tables + segment[2:]


def _decode_jpeg(segment: bytes, layout: Layout) -> NDArray[np.uint8]:
    whole = _whole_jpeg(segment, layout)
    parsed = jpeg_segments.parse(whole)
    parsed.jfif = None
    if parsed.width != layout.block[1]:
        raise SegmentError("a JPEG strip or tile has not the size it should have")
    return jpeg.decode(whole, len(parsed.components))


def _encode_jpeg(part: NDArray[np.uint8], segment: bytes, layout: Layout) -> bytes:
    source = jpeg_segments.parse(_whole_jpeg(segment, layout))
    pixels = part[:, :, 0] if part.shape[2] == 1 else part
    return clean_jpeg(jpeg.code(np.ascontiguousarray(pixels), source))


def clean_jpeg(stream: bytes) -> bytes:
    """A JPEG stream (or the shared tables) without any application segment."""
    return b"".join([b"\xff\xd8", *jpeg_segments.parse(stream).coding, b"\xff\xd9"])
