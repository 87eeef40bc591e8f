"""Animations: what a viewer sees is composed of cels; what is redacted must be the cels themselves.

A cel is the picture of one step, smaller than the canvas as often as not, laid over what earlier
steps left. A face seen in step 9 may therefore be stored in the cel of step 2. Redaction keeps
the structure (rectangles, timing, disposal, blending) and paints each covered pixel in every cel that
shows at that step. The same pixel is then redacted in all steps that show that cel.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.anonymize.images.model import Frame, PictureError, Pixels
from pipeline.anonymize.images.raster import changed_or_none

Rgba = NDArray[np.uint8]
Mask = NDArray[np.bool_]


class Disposal(Enum):
    """What happens to a cel's rectangle before the next step."""

    keep = "keep"
    background = "background"
    previous = "previous"


@dataclass(frozen=True)
class Cel:
    """Where a cel lies on the canvas, and how it is laid and taken away.

    Attributes:
        over: laid over what is there by its opacity; otherwise it replaces the rectangle.
    """

    x: int
    y: int
    width: int
    height: int
    over: bool = True
    disposal: Disposal = Disposal.keep

    @property
    def area(self) -> tuple[slice, slice]:
        return slice(self.y, self.y + self.height), slice(self.x, self.x + self.width)


class Animation(Sequence["AnimationFrame"]):
    """The steps of an animation as a viewer sees them; cels are decoded when asked for, in order at best."""

    def __init__(
        self, path: Path, width: int, height: int, cels: Sequence[Cel], orientation: int = 1
    ) -> None:
        self.path, self.width, self.height, self.cels = path, width, height, cels
        self.orientation = orientation
        self._last: tuple[int, Rgba, Rgba] | None = None  # step, as shown, as the next step finds it

    @abstractmethod
    def decode(self, index: int) -> Rgba:
        """The cel's RGBA ``[height, width, 4]``; may raise whatever damaged bytes provoke."""

    def cel(self, index: int) -> Rgba:
        """The cel's RGBA ``[height, width, 4]``.

        Raises:
            PictureError: ``corrupt``.
        """
        cel = self.cels[index]
        try:
            pixels = self.decode(index)
        except Exception as error:
            raise PictureError("corrupt", f"{self.path}: frame {index}: {error}") from error
        if pixels.shape != (cel.height, cel.width, 4):
            raise PictureError("corrupt", f"{self.path}: frame {index} has not the size it claims")
        return pixels

    def __len__(self) -> int:
        return len(self.cels)

    def __getitem__(self, index: int) -> AnimationFrame:  # type: ignore[override]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return AnimationFrame(self, index % len(self))

    def __iter__(self) -> Iterator[AnimationFrame]:
        return (AnimationFrame(self, index) for index in range(len(self)))

    def shown(self, index: int) -> Rgba:
        """RGBA ``[H, W, 4]`` of the whole canvas at a step."""
        if self._last is None or self._last[0] > index:
            self._last = None
        step = -1 if self._last is None else self._last[0]
        while step < index:
            step += 1
            before = np.zeros((self.height, self.width, 4), np.uint8) if self._last is None else self._last[2]
            self._last = (step, *self._draw(step, before))
        assert self._last is not None
        return self._last[1]

    def _draw(self, index: int, before: Rgba) -> tuple[Rgba, Rgba]:
        cel, pixels = self.cels[index], self.cel(index)
        shown = before.copy()
        shown[cel.area] = _over(before[cel.area], pixels) if cel.over else pixels
        if cel.disposal is Disposal.previous:
            return shown, before
        if cel.disposal is Disposal.background:
            after = shown.copy()
            after[cel.area] = 0
            return shown, after
        return shown, shown

    def redactions(self, redacted: Mapping[int, Pixels]) -> dict[int, Redaction]:
        """Which pixels of which cels must change, given the redacted canvas of some steps."""
        found: dict[int, Redaction] = {}
        masks = {i: self._changed(i, redacted[i]) for i in sorted(redacted)}
        masks = {i: mask for i, mask in masks.items() if mask.any()}
        covers = {}
        for index in range(max(masks, default=-1) + 1):
            opacity = self.cel(index)[:, :, 3]
            covers[index] = (np.packbits(opacity > 0), np.packbits(opacity == 255))
        for step, mask in masks.items():  # a step's own redaction goes before what others ask of its cel
            self._paint(step, mask, redacted[step], covers, found)
        for step, mask in masks.items():
            self._trace(step, mask, redacted[step], covers, found)
        return found

    def _changed(self, index: int, redacted: Pixels) -> Mask:
        before = self[index].pixels
        after = changed_or_none(before, redacted)
        return np.zeros(before.shape[:2], np.bool_) if after is None else (before != after).any(axis=2)

    def _trace(
        self, step: int, mask: Mask, colours: Pixels, covers: _Covers, found: dict[int, Redaction]
    ) -> None:
        """Follow the masked pixels back through the cels that show at ``step``."""
        left = self._uncovered(step, mask, covers)
        for index in range(step - 1, -1, -1):
            if not left.any():
                return
            disposal = self.cels[index].disposal
            if disposal is Disposal.background:
                left[self.cels[index].area] = False
            elif disposal is Disposal.keep:
                self._paint(index, left, colours, covers, found)
                left = self._uncovered(index, left, covers)

    def _paint(
        self, index: int, mask: Mask, colours: Pixels, covers: _Covers, found: dict[int, Redaction]
    ) -> None:
        cel = self.cels[index]
        wanted = mask[cel.area]
        if not wanted.any():
            return
        wanted = wanted & _unpack(covers[index][0], cel)
        redaction = found.setdefault(index, Redaction.none(cel))
        new = wanted & ~redaction.mask
        redaction.mask |= new
        redaction.colours[new] = colours[cel.area][new]

    def _uncovered(self, index: int, mask: Mask, covers: _Covers) -> Mask:
        """The masked pixels below which earlier cels still show."""
        cel, left = self.cels[index], mask.copy()
        left[cel.area] &= ~_unpack(covers[index][1], cel) if cel.over else False
        return left


_Covers = Mapping[int, tuple[NDArray[np.uint8], NDArray[np.uint8]]]


@dataclass
class Redaction:
    """Pixels of one cel to change: ``mask`` ``[h, w]``, ``colours`` RGB ``[h, w, 3]``."""

    mask: Mask
    colours: NDArray[np.uint8] = field(repr=False)

    @classmethod
    def none(cls, cel: Cel) -> Redaction:
        return cls(
            np.zeros((cel.height, cel.width), np.bool_), np.zeros((cel.height, cel.width, 3), np.uint8)
        )

    def applied(self, rgba: Rgba) -> Rgba:
        """The cel with its colours changed; opacity stays."""
        changed = rgba.copy()
        changed[:, :, :3][self.mask] = self.colours[self.mask]
        return changed


class AnimationFrame(Frame):
    """One step of an animation, as a viewer sees it."""

    def __init__(self, animation: Animation, index: int) -> None:
        self._animation, self._index = animation, index
        self.orientation = animation.orientation

    @property
    def size(self) -> tuple[int, int]:
        return self._animation.width, self._animation.height

    @property
    def pixels(self) -> Pixels:
        return self.rgb()

    @property
    def alpha(self) -> Pixels | None:
        return self._animation.shown(self._index)[:, :, 3]

    def rgb(self) -> NDArray[np.uint8]:
        return np.ascontiguousarray(self._animation.shown(self._index)[:, :, :3])

    def native_colour(self, rgb: Sequence[int]) -> tuple[int, ...]:
        return tuple(rgb)


def _unpack(bits: NDArray[np.uint8], cel: Cel) -> Mask:
    flat = np.unpackbits(bits, count=cel.width * cel.height)
    return flat.reshape(cel.height, cel.width).astype(np.bool_)


def _over(below: Rgba, above: Rgba) -> Rgba:
    """Porter and Duff's *over* on straight RGBA."""
    opacity = above[:, :, 3:]
    if bool(((opacity == 0) | (opacity == 255)).all()):
        return np.where(opacity == 255, above, below)
    top, bottom = above[:, :, 3:].astype(np.float32) / 255, below[:, :, 3:].astype(np.float32) / 255
    alpha = top + bottom * (1 - top)
    colour = above[:, :, :3] * top + below[:, :, :3] * bottom * (1 - top)
    colour = np.divide(colour, alpha, out=np.zeros_like(colour), where=alpha > 0)
    return np.rint(np.dstack([colour, alpha * 255])).astype(np.uint8)
