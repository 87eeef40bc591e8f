"""WebP, still and animated, lossy and lossless: only pictures with regions are coded again.

A lossless picture stays lossless, colours below transparent pixels included (``exact``). A lossy one
is coded at the quality that its own quantiser stands for, a little higher.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import imagecodecs
import numpy as np
from PIL import Image

from pipeline.anonymize.images import webp_chunks
from pipeline.anonymize.images.animation import Animation, Cel, Disposal, Rgba
from pipeline.anonymize.images.limits import check_size, check_total
from pipeline.anonymize.images.model import Picture, PictureError, Pixels
from pipeline.anonymize.images.raster import RasterFrame, changed_or_none
from pipeline.anonymize.images.webp_chunks import Bitstream, RiffError, WebP
from pipeline.anonymize.images.webp_quality import quality_of
from pipeline.config.schema import LimitsConfig


class WebPAnimation(Animation):
    """The frames of an animated WebP as cels."""

    def __init__(self, webp: WebP, path: Path) -> None:
        cels = [_cel(picture) for picture in webp.pictures]
        super().__init__(path, *webp.canvas, cels, webp.exif.orientation)
        self.webp = webp
        self._decode = lru_cache(4)(lambda index: _decode(webp.pictures[index]))

    def decode(self, index: int) -> Rgba:
        pixels = self._decode(index)
        if pixels.shape[2] == 4:
            return pixels
        return np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])


def _cel(picture: Bitstream) -> Cel:
    header = picture.frame
    x, y, width, height = (int.from_bytes(header[i : i + 3], "little") for i in (0, 3, 6, 9))
    disposal = Disposal.background if header[15] & 1 else Disposal.keep
    return Cel(2 * x, 2 * y, width + 1, height + 1, over=not header[15] & 2, disposal=disposal)


def read(data: bytes, path: Path, limits: LimitsConfig) -> Picture:
    try:
        webp = webp_chunks.parse(data)
        check_size(path, *webp.canvas, limits)
        check_total(path, [webp.canvas] * len(webp.pictures), limits)
        for picture in webp.pictures:
            check_size(path, *picture.size, limits)
    except RiffError as error:
        raise PictureError("corrupt", f"{path}: {error}") from error
    if not webp.animation:
        pixels = _decode(webp.pictures[0])
        alpha = pixels[:, :, 3] if pixels.shape[2] == 4 else None
        frame = RasterFrame(pixels[:, :, :3], webp.exif.orientation, alpha)
        mode = "RGB" if alpha is None else "RGBA"
        return Picture(path, data, "WebP", mode, 8, [frame], webp.removed, webp)
    for cel in (_cel(picture) for picture in webp.pictures):
        if cel.x + cel.width > webp.canvas[0] or cel.y + cel.height > webp.canvas[1]:
            raise PictureError("corrupt", f"{path}: a frame lies outside the canvas")
    animation = WebPAnimation(webp, path)
    return Picture(path, data, "WebP", "RGBA", 8, animation, webp.removed, animation)


def encode(picture: Picture, redacted: Mapping[int, Pixels]) -> tuple[bytes, bool]:
    if isinstance(picture.state, WebPAnimation):
        return _encode_animation(picture.state, redacted)
    webp: WebP = picture.state
    frame = picture.frames[0]
    pixels = changed_or_none(frame.pixels, redacted.get(0))
    if pixels is None:
        return webp_chunks.assemble(webp, webp.pictures), False
    whole = pixels if frame.alpha is None else np.dstack([pixels, frame.alpha])
    return webp_chunks.assemble(webp, [_encode(whole, webp.pictures[0])]), True


def _encode_animation(animation: WebPAnimation, redacted: Mapping[int, Pixels]) -> tuple[bytes, bool]:
    pictures = list(animation.webp.pictures)
    changed = animation.redactions(redacted)
    for index, redaction in changed.items():
        pictures[index] = _encode(redaction.applied(animation.cel(index)), pictures[index])
    return webp_chunks.assemble(animation.webp, pictures), bool(changed)


def _decode(picture: Bitstream) -> Pixels:
    return np.asarray(imagecodecs.webp_decode(picture.file()))


def _encode(pixels: Pixels, source: Bitstream) -> Bitstream:
    """The picture coded as ``source`` was, at its place."""
    out = io.BytesIO()
    if source.lossless:
        options = {"lossless": True, "quality": 80, "method": 4}
    else:
        options = {"quality": quality_of(source), "method": 4, "alpha_quality": 100}
    Image.fromarray(np.ascontiguousarray(pixels)).save(out, "WEBP", exact=True, **options)
    (coded,) = webp_chunks.parse(out.getvalue()).pictures
    return Bitstream(coded.chunks, source.frame)
