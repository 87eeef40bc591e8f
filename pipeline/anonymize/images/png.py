"""PNG: every depth and colour type, written with the source's own depth, palette, filters and interlacing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.anonymize.images import apng, png_chunks, png_coding
from pipeline.anonymize.images.limits import check_size
from pipeline.anonymize.images.model import Frame, Picture, PictureError, Pixels
from pipeline.anonymize.images.palette import PaletteFrame
from pipeline.anonymize.images.png_chunks import ChunkError, Header, Png
from pipeline.anonymize.images.png_coding import decode
from pipeline.anonymize.images.raster import RasterFrame, changed_or_none
from pipeline.config.schema import LimitsConfig

_MODES = {0: "L", 2: "RGB", 3: "P", 4: "LA", 6: "RGBA"}


@dataclass
class _State:
    png: Png
    filters: list[png_coding.Bytes]
    pure: bool  # the coded stream holds the picture and nothing else


def read(data: bytes, path: Path, limits: LimitsConfig) -> Picture:
    try:
        png = png_chunks.parse(data)
        check_size(path, png.header.width, png.header.height, limits)
        if any(name == b"acTL" for name, _ in png.animation):
            return apng.read(data, path, png, limits)
        filters, pure = png_coding.filters_of(png.idat, png.header)
    except ChunkError as error:
        raise PictureError("corrupt", f"{path}: {error}") from error
    samples = decode(png.header, png.kept.get(b"PLTE"), png.idat)
    frame = _frame(samples, png)
    mode = "1" if png.header.colour == 0 and png.header.bits == 1 else _MODES[png.header.colour]
    return Picture(path, data, "PNG", mode, png.header.bits, [frame], png.removed, _State(png, filters, pure))


def _frame(samples: Pixels, png: Png) -> Frame:
    header, key, turn = png.header, png.kept.get(b"tRNS"), png.exif.orientation
    if header.colour == 3:
        colours = np.frombuffer(png.kept[b"PLTE"], np.uint8).reshape(-1, 3)
        opacity = None if key is None else np.frombuffer(key[:256], np.uint8)
        return PaletteFrame(samples, colours, opacity, turn)
    if header.colour in (4, 6):
        colour = samples[..., 0] if header.colour == 4 else samples[..., :3]
        return RasterFrame(colour, turn, samples[..., -1])
    pixels = samples if header.bits >= 8 else samples * np.uint8(255 // (2**header.bits - 1))
    transparent = _transparent(samples, header, key)
    alpha = None if transparent is None else np.where(transparent, 0, 255).astype(np.uint8)
    return RasterFrame(pixels, turn, alpha)


def _transparent(samples: Pixels, header: Header, key: bytes | None) -> np.ndarray | None:
    """Where a grey or RGB picture has the one colour that tRNS declares transparent."""
    if key is None or header.colour not in (0, 2):
        return None
    colour = np.frombuffer(key, ">u2")
    return samples == colour[0] if header.colour == 0 else (samples == colour[:3]).all(axis=2)


def encode(picture: Picture, redacted: Mapping[int, Pixels]) -> tuple[bytes, bool]:
    if isinstance(picture.state, apng.PngAnimation):
        return apng.encode(picture.state, redacted)
    state, frame = picture.state, picture.frames[0]
    pixels = changed_or_none(frame.pixels, redacted.get(0))
    if pixels is None and state.pure:
        return png_chunks.assemble(state.png, state.png.idat), False
    samples = _samples(frame, frame.pixels if pixels is None else pixels, state.png)
    level = png_coding.level_of(state.png.idat)
    coded = png_coding.code(samples, state.png.header, state.filters, level)
    return png_chunks.assemble(state.png, coded), True


def _samples(frame: Frame, pixels: Pixels, png: Png) -> Pixels:
    """Redacted pixels as the stored samples: indices, the nearest grey level, alpha added again."""
    header = png.header
    if isinstance(frame, PaletteFrame):
        return frame.requantised(pixels)
    if header.colour in (4, 6):
        assert frame.alpha is not None
        return np.dstack([pixels, frame.alpha])
    if header.bits < 8:
        top = 2**header.bits - 1
        pixels = ((pixels.astype(np.uint16) * top + 127) // 255).astype(np.uint8)
    return _keep_key(pixels, frame, png)


def _keep_key(samples: Pixels, frame: Frame, png: Png) -> Pixels:
    """With a transparent colour: its pixels keep it, and no other pixel may fall on it."""
    now = _transparent(samples, png.header, png.kept.get(b"tRNS"))
    if now is None:
        return samples
    was = frame.alpha == 0
    colour = np.frombuffer(png.kept[b"tRNS"], ">u2").astype(samples.dtype)
    samples = samples.copy()
    samples[was] = colour[: png.header.channels] if samples.ndim == 3 else colour[0]
    beside = colour[0] - 1 if colour[0] else colour[0] + 1
    samples[now & ~was] = [beside, *colour[1:3]] if samples.ndim == 3 else beside
    return samples
