"""GIF, still and animated: rectangles, palettes, timing, loop and disposal stay as they are.

Only the indices of redacted pixels change, each to the nearest colour of its own image's palette.
Pillow serves as the LZW coder of single images.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.anonymize.images import gif_blocks, pillow
from pipeline.anonymize.images.animation import Animation, Cel, Disposal, Redaction, Rgba
from pipeline.anonymize.images.gif_blocks import Gif, GifImage
from pipeline.anonymize.images.limits import check_size, check_total
from pipeline.anonymize.images.model import Picture, PictureError, Pixels
from pipeline.anonymize.images.palette import nearest
from pipeline.config.schema import LimitsConfig

_DISPOSALS = {2: Disposal.background, 3: Disposal.previous}
_DUMMY = bytes(value for i in range(256) for value in (255 - i, i, 0))  # not a grey ramp: Pillow stays in P


class GifAnimation(Animation):
    """The images of a GIF as cels; the canvas grows to hold an image that lies beyond the screen."""

    def __init__(self, gif: Gif, path: Path) -> None:
        images = gif.images
        cels = [
            Cel(i.x, i.y, i.width, i.height, disposal=_DISPOSALS.get(i.disposal, Disposal.keep))
            for i in images
        ]
        width = max([gif.width, *(c.x + c.width for c in cels)])
        height = max([gif.height, *(c.y + c.height for c in cels)])
        super().__init__(path, width, height, cels)
        self.gif = gif
        self._decode = lru_cache(4)(self.indices)

    def indices(self, index: int) -> NDArray[np.uint8]:
        return _lzw_decode(self.gif.images[index])

    def colours(self, index: int) -> Rgba:
        """RGBA ``[256, 4]``; an index beyond the palette is opaque black."""
        image = self.gif.images[index]
        palette = np.frombuffer(image.palette or self.gif.palette, np.uint8).reshape(-1, 3)
        colours = np.zeros((256, 4), np.uint8)
        colours[: len(palette), :3] = palette
        colours[:, 3] = 255
        if image.transparent is not None:
            colours[image.transparent] = 0
        return colours

    def decode(self, index: int) -> Rgba:
        return self.colours(index)[self._decode(index)]

    def redrawn(self, index: int, redaction: Redaction) -> GifImage:
        """The image with its redacted pixels as the nearest palette colours."""
        image = self.gif.images[index]
        size = len(image.palette or self.gif.palette) // 3
        indices = self._decode(index).copy()
        wanted = redaction.colours[redaction.mask]
        target = np.concatenate([wanted, np.full((len(wanted), 1), 255, np.uint8)], axis=1)
        indices[redaction.mask] = nearest(target, self.colours(index)[:size])
        return image.with_code(_lzw_encode(indices, image.interlaced))


def read(data: bytes, path: Path, limits: LimitsConfig) -> Picture:
    try:
        gif = gif_blocks.parse(data)
    except gif_blocks.BlockError as error:
        raise PictureError("corrupt", f"{path}: {error}") from error
    if not gif.images:
        raise PictureError("corrupt", f"{path}: GIF without a picture")
    if any(not (image.palette or gif.palette) for image in gif.images):
        raise PictureError(
            "unsupported", f"{path}: GIF without a palette; allowed: a global or local palette"
        )
    animation = GifAnimation(gif, path)
    check_size(path, animation.width, animation.height, limits)
    check_total(path, [(animation.width, animation.height)] * len(animation), limits)
    for image in gif.images:
        check_size(path, image.width, image.height, limits)
    return Picture(path, data, "GIF", "P", 8, animation, gif.removed, animation)


def encode(picture: Picture, redacted: Mapping[int, Pixels]) -> tuple[bytes, bool]:
    animation: GifAnimation = picture.state
    images = list(animation.gif.images)
    changed = animation.redactions(redacted)
    for index, redaction in changed.items():
        images[index] = animation.redrawn(index, redaction)
    return gif_blocks.assemble(animation.gif, images), bool(changed)


def _lzw_decode(image: GifImage) -> NDArray[np.uint8]:
    """Indices ``[H, W]``, by a GIF of that one image."""
    bare = GifImage(0, 0, image.width, image.height, image.interlaced, b"", False, image.code)
    frame = Gif(b"GIF89a", image.width, image.height, 0x87 | 0x70, 0, 0, _DUMMY)
    return pillow.decode(gif_blocks.assemble(frame, [bare]))


def _lzw_encode(indices: NDArray[np.uint8], interlaced: bool) -> bytes:
    picture = Image.fromarray(indices, "P")
    picture.putpalette(_DUMMY)
    out = io.BytesIO()
    picture.save(out, "GIF", optimize=False, interlace=int(interlaced))
    return gif_blocks.parse(out.getvalue()).images[0].code
