"""JPEG: pixels outside the regions change least when the source's own tables code them again.

Decoding for redaction replicates chroma instead of interpolating it ("fast upsampling"): averaging
it down again then returns what the file held. A picture without regions is not coded again at all.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image, ImageFile

from pipeline.anonymize.images import jpeg_planes, jpeg_segments
from pipeline.anonymize.images.borrowed import Borrowed
from pipeline.anonymize.images.jpeg_segments import Jpeg
from pipeline.anonymize.images.limits import check_size
from pipeline.anonymize.images.model import AtLeast, Frame, Picture, PictureError, Pixels, View
from pipeline.anonymize.images.raster import changed_or_none, from_rgb8, read_only, to_rgb8
from pipeline.config.schema import LimitsConfig

_PROCESSES = {
    0xC3: "lossless",
    0xC9: "arithmetic",
    0xCA: "arithmetic progressive",
    0xCB: "arithmetic lossless",
}
_SAMPLINGS = "4:4:4, 4:2:2, 4:2:0, 4:4:0, 4:1:1, 4:4:1"
_MODES = {1: "L", 3: "RGB", 4: "CMYK"}
_BUFFER = Borrowed(ImageFile, "MAXBLOCK", max)
_STREAMED = 10  # bytes of memory a pixel when the encoder holds no coefficients: see Picture.bytes_per_pixel
_MAX_SCANS = 256  # a progressive file needs about ten; thousands are an attack on time


class JpegFrame(Frame):
    """The picture of a JPEG, decoded as far as it is looked at.

    Whatever the size, the decoder reads all the coded data strictly: what is damaged or cut off is an error
    at any scale. The whole picture is decoded only for those who ask for :attr:`pixels`.

    Raises:
        PictureError: ``corrupt``, or ``unsupported`` sampling.
    """

    def __init__(self, data: bytes, jpeg: Jpeg, path: Path, at_least: AtLeast) -> None:
        self._data, self._jpeg, self._path = data, jpeg, path
        self.orientation = jpeg.exif.orientation
        self._factor = factor(jpeg.width, jpeg.height, at_least)
        self._small: Pixels | None = self._decoded(self._factor)
        self.held = self._small.nbytes

    @property
    def size(self) -> tuple[int, int]:
        return self._jpeg.width, self._jpeg.height

    @cached_property
    def pixels(self) -> Pixels:
        return self._decoded(1) if self._small is None or self._factor > 1 else self._small

    def release(self) -> None:
        """Forget what was decoded, which can be decoded again: coding needs the memory."""
        self.__dict__.pop("pixels", None)
        self._small = None

    def rgb(self) -> NDArray[np.uint8]:
        return to_rgb8(self.pixels)

    def view(self, at_least: AtLeast = None) -> View:
        small = self._small
        if small is None or self._factor == 1 or factor(*self.size, at_least) < self._factor:
            return super().view(at_least)
        return View.of_raster(to_rgb8(small), self.orientation, self._factor, self.size)

    def native_colour(self, rgb: Sequence[int]) -> tuple[int, ...]:
        return from_rgb8(rgb, self.pixels if self._small is None else self._small)

    def _decoded(self, scale: int) -> Pixels:
        try:
            return read_only(decode(self._data, len(self._jpeg.components), scale))
        except ValueError as error:
            if "subsampling" in str(error):
                factors = ", ".join(f"{c.h}x{c.v}" for c in self._jpeg.components)
                message = f"{self._path}: JPEG whose components are sampled {factors}; allowed: {_SAMPLINGS}"
                raise PictureError("unsupported", message) from error
            raise PictureError("corrupt", f"{self._path}: {error}") from error


def factor(width: int, height: int, at_least: AtLeast) -> int:
    """How many times smaller a picture may be decoded for its longer side to keep ``at_least`` pixels.

    Powers of two only: between them, the decoder is slower than without any scaling.
    """
    wanted = at_least(width, height) if callable(at_least) else at_least
    if wanted is None:
        return 1
    return next(each for each in (8, 4, 2, 1) if each == 1 or -(-max(width, height) // each) >= wanted)


def read(data: bytes, path: Path, limits: LimitsConfig, at_least: AtLeast = None) -> Picture:
    """As :class:`Codec` says; with ``at_least``, decoded no further than :meth:`Frame.view` needs."""
    try:
        jpeg = jpeg_segments.parse(data)
    except jpeg_segments.SegmentError as error:
        raise PictureError("corrupt", f"{path}: {error}") from error
    _refuse_unsupported(jpeg, path)
    check_size(path, jpeg.width, jpeg.height, limits)
    frame = JpegFrame(data, jpeg, path, at_least)
    picture = Picture(path, data, "JPEG", _MODES[len(jpeg.components)], 8, [frame], jpeg.removed, jpeg)
    streamed = _plain(jpeg) is not None and not _in_two_passes(jpeg)
    return replace(picture, bytes_per_pixel=_STREAMED) if streamed else picture


def _refuse_unsupported(jpeg: Jpeg, path: Path) -> None:
    allowed = "allowed: 8-bit baseline, extended or progressive, grey, YCbCr, RGB, CMYK, YCCK"
    if jpeg.sof not in (0xC0, 0xC1, 0xC2):
        process = _PROCESSES.get(jpeg.sof, "hierarchical" if jpeg.sof else "without a frame header")
        raise PictureError("unsupported" if jpeg.sof else "corrupt", f"{path}: JPEG, {process}; {allowed}")
    if jpeg.precision != 8:
        raise PictureError("unsupported", f"{path}: JPEG with {jpeg.precision} bits; {allowed}")
    if len(jpeg.components) not in _MODES:
        raise PictureError("unsupported", f"{path}: JPEG with {len(jpeg.components)} components; {allowed}")
    if jpeg.height == 0 or jpeg.width == 0:
        raise PictureError("unsupported", f"{path}: JPEG whose height follows its data (DNL); {allowed}")
    if jpeg.scans > _MAX_SCANS:
        raise PictureError("too_large", f"{path}: {jpeg.scans} scans; allowed: at most {_MAX_SCANS}")


def decode(data: bytes, components: int, scale: int = 1) -> Pixels:
    """Samples ``[H, W]`` or ``[H, W, C]``; a warning of the decoder (missing data) is an error.

    Args:
        scale: 1, 2, 4 or 8: how many times smaller, sides rounded up.

    Raises:
        ValueError: the data is damaged or truncated.
    """
    colours = {1: "GRAY", 3: "RGB", 4: "CMYK"}[components]
    smaller: dict[str, int] = {}
    if scale > 1:
        height, width, *_ = simplejpeg.decode_jpeg_header(data)
        smaller = {"min_height": -(-height // scale), "min_width": -(-width // scale), "min_factor": scale}
    pixels = simplejpeg.decode_jpeg(
        data, colorspace=colours, fastdct=False, fastupsample=True, strict=True, **smaller
    )
    if colours == "CMYK":
        np.subtract(255, pixels, out=pixels)  # such files count light, Veil's frames count ink
    return pixels[:, :, 0] if colours == "GRAY" else pixels


def encode(picture: Picture, redacted: Mapping[int, Pixels]) -> tuple[bytes, bool]:
    source: Jpeg = picture.state
    painted = redacted.get(0)
    frame = picture.frames[0]
    pixels = None if painted is None else changed_or_none(frame.pixels, painted)
    if pixels is None:
        return jpeg_segments.assemble(source, source), False
    if isinstance(frame, JpegFrame):
        frame.release()
    return jpeg_segments.assemble(jpeg_segments.parse(code(pixels, source)), source), True


def code(pixels: Pixels, source: Jpeg) -> bytes:
    """Code with the source's quantisation tables and subsampling.

    Where the source has the Huffman tables of the standard, as most cameras write them, so has the output;
    else they are made to measure, which takes a second pass over coefficients that are all held in memory.
    """
    subsampling = _plain(source)
    if subsampling is None:
        return jpeg_planes.encode(pixels, source)
    first, *others = source.components
    tables = [list(source.tables[c.table]) for c in (first, *others[:1])]
    twice = _in_two_passes(source)
    options: dict[str, Any] = {"qtables": tables, "optimize": twice, "progressive": source.progressive}
    if source.colour_model in ("ycc", "rgb"):
        options |= {"subsampling": subsampling, "keep_rgb": source.colour_model == "rgb"}
    image = Image.frombuffer(
        _MODES[len(source.components)], pixels.shape[1::-1], np.ascontiguousarray(pixels)
    )
    out = io.BytesIO()
    # Pillow hands libjpeg one buffer for the whole of an optimized file; fine tables need more than it thinks
    with _BUFFER.at(pixels.size * 2) if twice else nullcontext():
        image.save(out, "JPEG", **options)
    return out.getvalue()


def _in_two_passes(source: Jpeg) -> bool:
    """Whether Huffman tables have to be made to measure, from coefficients that are all held."""
    return source.progressive or not source.huffman <= _standard_huffman()


@cache
def _standard_huffman() -> set[bytes]:
    """The tables of T.81, K.3: what libjpeg writes unless it is told to make others."""
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, "JPEG")
    return jpeg_segments.parse(out.getvalue()).huffman


def _plain(source: Jpeg) -> int | None:
    """Pillow's number for the subsampling when Pillow can write all of the source's parameters."""
    first, *others = source.components
    same_tables = len({source.tables[c.table] for c in others}) <= 1
    one_table = len({source.tables[c.table] for c in source.components}) == 1
    flat = len({(c.h, c.v) for c in source.components}) == 1
    if source.colour_model == "ycc":
        known = {(1, 1): 0, (2, 1): 1, (2, 2): 2}.get((first.h, first.v))
        return known if same_tables and all((c.h, c.v) == (1, 1) for c in others) else None
    if source.colour_model == "ycck":
        return None
    return 0 if flat and one_table else None
