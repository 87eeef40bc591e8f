"""Animated PNG: the frames as cels, each coded like a PNG of its own (W3C PNG, third edition, 4.9).

A picture that viewers without animation show, when it is none of the frames, counts as a frame before
the others: it is in the file.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from pipeline.anonymize.images import png_chunks, png_coding
from pipeline.anonymize.images.animation import Animation, Cel, Disposal, Redaction, Rgba
from pipeline.anonymize.images.limits import check_size, check_total
from pipeline.anonymize.images.model import Picture, PictureError, Pixels
from pipeline.anonymize.images.palette import PaletteFrame
from pipeline.anonymize.images.png_chunks import ChunkError, Header, Png, chunk
from pipeline.config.schema import LimitsConfig

_DISPOSALS = {0: Disposal.keep, 1: Disposal.background, 2: Disposal.previous}
_CONTROL = ">IIIIHHBB"  # fcTL behind its sequence number


@dataclass(frozen=True)
class _Coded:
    """One frame: its control (fcTL without the number; empty for a default picture) and coded data."""

    control: bytes
    data: bytes
    in_idat: bool


class PngAnimation(Animation):
    """The frames of an APNG as cels."""

    def __init__(self, png: Png, frames: list[_Coded], path: Path) -> None:
        cels = [_cel(frame, png.header) for frame in frames]
        super().__init__(path, png.header.width, png.header.height, cels, png.exif.orientation)
        self.png, self.coded = png, frames
        self._decode = lru_cache(4)(self.samples)

    def header(self, index: int) -> Header:
        return replace(self.png.header, width=self.cels[index].width, height=self.cels[index].height)

    def samples(self, index: int) -> Pixels:
        """As stored; the coded stream is checked first.

        Raises:
            ChunkError: it is damaged.
        """
        png_coding.filters_of(self.coded[index].data, self.header(index))
        return png_coding.decode(self.header(index), self.png.kept.get(b"PLTE"), self.coded[index].data)

    def frame(self, index: int) -> PaletteFrame:
        colours = np.frombuffer(self.png.kept[b"PLTE"], np.uint8).reshape(-1, 3)
        key = self.png.kept.get(b"tRNS")
        return PaletteFrame(
            self._decode(index), colours, None if key is None else np.frombuffer(key, np.uint8)
        )

    def decode(self, index: int) -> Rgba:
        samples = self._decode(index)
        if self.png.header.colour == 6:
            return samples
        if self.png.header.colour == 2:
            return np.dstack([samples, np.full(samples.shape[:2], 255, np.uint8)])
        frame = self.frame(index)
        alpha = frame.alpha
        return np.dstack([frame.rgb(), np.full(samples.shape, 255, np.uint8) if alpha is None else alpha])

    def redrawn(self, index: int, redaction: Redaction) -> _Coded:
        """The frame with its redacted pixels, coded as it was."""
        coded, header = self.coded[index], self.header(index)
        changed = redaction.applied(self.cel(index))
        if header.colour == 3:
            samples: Pixels = self.frame(index).requantised(changed[:, :, :3])
        else:
            samples = changed if header.colour == 6 else changed[:, :, :3]
        filters, _ = png_coding.filters_of(coded.data, header)
        return replace(coded, data=png_coding.code(samples, header, filters, png_coding.level_of(coded.data)))


def _cel(frame: _Coded, header: Header) -> Cel:
    if not frame.control:
        return Cel(0, 0, header.width, header.height, over=False, disposal=Disposal.background)
    width, height, x, y, _, _, disposal, blend = struct.unpack(_CONTROL, frame.control)
    return Cel(x, y, width, height, over=blend == 1, disposal=_DISPOSALS[disposal])


def read(data: bytes, path: Path, png: Png, limits: LimitsConfig) -> Picture:
    """A PNG whose chunks hold an animation.

    Raises:
        ChunkError: order or values that cannot be. PictureError: a mode that is not supported.
    """
    header = png.header
    keyed = header.colour == 2 and b"tRNS" in png.kept
    if header.colour not in (2, 3, 6) or header.bits != 8 or header.interlaced or keyed:
        mode = f"colour type {header.colour}, {header.bits} bits"
        allowed = "allowed: APNG in RGB, RGBA or palette, 8 bits, not interlaced, no transparent colour"
        raise PictureError("unsupported", f"{path}: APNG with {mode}; {allowed}")
    frames = _frames(png)
    animation = PngAnimation(png, frames, path)
    check_total(path, [(header.width, header.height)] * len(animation), limits)
    for cel in animation.cels:
        check_size(path, cel.width, cel.height, limits)
        if cel.x + cel.width > header.width or cel.y + cel.height > header.height:
            raise ChunkError("a frame lies outside the picture")
    mode = {2: "RGB", 3: "P", 6: "RGBA"}[header.colour]
    return Picture(path, data, "PNG", mode, 8, animation, png.removed, animation)


def _frames(png: Png) -> list[_Coded]:
    """The frames in order; the default picture first when it has no control."""
    controls: list[bytes] = []
    parts: list[list[bytes]] = []
    homes: list[bool] = []
    for name, payload in png.animation:
        if name == b"fcTL" and len(payload) == 26 and payload[24] <= 2 and payload[25] <= 1:
            controls.append(payload[4:])
            parts.append([])
            homes.append(False)
        elif name == b"IDAT":
            if not controls:
                controls, parts, homes = [b""], [[]], [True]
            homes[-1] = True
            parts[-1].append(payload)
        elif name == b"fdAT" and parts and not homes[-1]:
            parts[-1].append(payload[4:])
        elif name != b"acTL":
            raise ChunkError("the chunks of the animation are out of order")
    announced = next(struct.unpack(">II", p)[0] for n, p in png.animation if n == b"acTL")
    if announced != len([c for c in controls if c]) or not all(parts):
        raise ChunkError("the animation has not as many frames as it says: it is truncated")
    return [_Coded(c, b"".join(p), home) for c, p, home in zip(controls, parts, homes, strict=True)]


def encode(animation: PngAnimation, redacted: Mapping[int, Pixels]) -> tuple[bytes, bool]:
    changed = animation.redactions(redacted)
    parts = png_chunks.head(animation.png)
    parts.append(chunk(b"acTL", next(body for name, body in animation.png.animation if name == b"acTL")))
    number = 0
    for index, frame in enumerate(animation.coded):
        coded = animation.redrawn(index, changed[index]) if index in changed else frame
        if coded.control:
            parts.append(chunk(b"fcTL", struct.pack(">I", number) + coded.control))
            number += 1
        if coded.in_idat:
            parts.append(chunk(b"IDAT", coded.data))
        else:
            parts.append(chunk(b"fdAT", struct.pack(">I", number) + coded.data))
            number += 1
    return b"".join([*parts, chunk(b"IEND", b"")]), bool(changed)
