"""Palette pictures stay palette pictures: a redacted colour becomes the nearest entry."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.anonymize.images.model import Frame, Pixels

_ALPHA_WEIGHT = 4  # above 3, so that no colour distance outweighs going from opaque to transparent


class PaletteFrame(Frame):
    """Indices ``[H, W]`` and their colours ``[N, 3]``, with the opacity ``[N]`` of each entry."""

    def __init__(
        self,
        indices: NDArray[np.uint8],
        colours: NDArray[np.uint8],
        opacity: NDArray[np.uint8] | None = None,
        orientation: int = 1,
    ) -> None:
        self.indices = indices
        self.colours = _padded(colours, 0)
        self.opacity = None if opacity is None else _padded(opacity, 255)
        self.entries = len(colours)
        self.orientation = orientation

    @property
    def size(self) -> tuple[int, int]:
        return self.indices.shape[1], self.indices.shape[0]

    @property
    def pixels(self) -> Pixels:
        return self.rgb()

    @property
    def alpha(self) -> Pixels | None:
        return None if self.opacity is None else self.opacity[self.indices]

    def rgb(self) -> NDArray[np.uint8]:
        return self.colours[self.indices]

    def native_colour(self, rgb: Sequence[int]) -> tuple[int, ...]:
        return tuple(rgb)

    def requantised(self, redacted: Pixels) -> NDArray[np.uint8]:
        """Indices for redacted RGB ``[H, W, 3]``: a pixel whose colour is unchanged keeps its index."""
        changed = (self.rgb() != redacted).any(axis=2)
        indices = self.indices.copy()
        opacity = np.full(256, 255, np.uint8) if self.opacity is None else self.opacity
        target = np.concatenate([redacted[changed], opacity[self.indices[changed]][:, None]], axis=1)
        entries = np.concatenate([self.colours, opacity[:, None]], axis=1)[: self.entries]
        indices[changed] = nearest(target, entries)
        return indices


def _padded(values: NDArray[np.uint8], fill: int) -> NDArray[np.uint8]:
    """256 entries, so that an index beyond a short palette is defined (black, as libpng shows it)."""
    padded = np.full((256, *values.shape[1:]), fill, np.uint8)
    padded[: len(values)] = values
    return padded


def nearest(target: NDArray[np.uint8], entries: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """For each RGBA row of ``target`` ``[M, 4]`` the index of the nearest row of ``entries`` ``[N, 4]``.

    Distance is over colours multiplied by opacity: what hides below transparent pixels collapses to
    one entry, and opacity changes only where nothing near has the same.
    """
    unique, inverse = np.unique(target, axis=0, return_inverse=True)
    goal, choice = _premultiplied(unique), _premultiplied(entries)
    found = np.empty(len(unique), np.uint8)
    for start in range(0, len(unique), 4096):
        distance = ((goal[start : start + 4096, None, :] - choice[None]) ** 2).sum(axis=2)
        found[start : start + 4096] = distance.argmin(axis=1)
    return found[inverse.reshape(-1)]


def _premultiplied(rgba: NDArray[np.uint8]) -> NDArray[np.float32]:
    values = rgba.astype(np.float32)
    values[:, :3] *= values[:, 3:] / 255
    values[:, 3] *= _ALPHA_WEIGHT**0.5
    return values
