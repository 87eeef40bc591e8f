"""Where a detector looks: one full view, and tiles in which a small face is large enough to be seen."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from pipeline.anonymize.detect.canvas import Size, whole_sizes
from pipeline.anonymize.detect.common import Picture

NEEDED, NEEDED_FOR_DOUBT = 20, 14
"""Pixels of the network's canvas that a face must have: docs/tiles.md shows what is found below and above.
The second is for a detector that looks again, larger, where it is in doubt. Where as many tiles may be
smaller, they are, so most faces have more."""
RESPONSIBLE = 1.5
"""A finer view looks after faces of up to that many times what the next coarser one needs: at that
one's limit much is still missed."""
TRUSTED = 2
"""A tile's boxes count up to that many times the largest face that it looks after. What is larger has three
times what is needed in the coarser view, which sees more of what is around it: measured, such boxes of tiles
found no face, and were most of the false alarms that tiles add."""
MARGIN = 4
"""Pixels of the canvas by which the box of a cut face may end before the tile does."""
MOST_LEVELS = 4


class Tile(NamedTuple):
    """A part of a picture, in its pixels; the maximum exclusive.

    Attributes:
        margin: a box that ends so near to a side within the picture may be of a face that goes on there.
        largest: a box with a longer side is left to coarser views.
    """

    left: int
    top: int
    right: int
    bottom: int
    margin: float = 0.0
    largest: float = math.inf

    def of(self, picture: Picture) -> Picture:
        """Its pixels, not copied."""
        return picture[self.top : self.bottom, self.left : self.right]


@dataclass(frozen=True)
class Tiling:
    """How a picture is divided.

    Attributes:
        tiles: ``auto`` (as few as show a face of ``min_face`` at the size that is needed), ``off``, or a
            number: so many across and so many down.
        min_face: smallest wanted face, in pixels of the full picture; only ``auto`` asks for it.
        side: longer one of the canvas that the network sees, in its pixels.
        needed: pixels of it that a face must have.
        oblong: the canvas' other side may be shorter.
    """

    tiles: str
    min_face: float
    side: int
    needed: int = NEEDED
    oblong: bool = False

    def grid(self, width: int, height: int, reduced: float = 1.0) -> list[Tile]:
        """The tiles of a picture beside its full view; none where that is enough.

        Args:
            width: of the picture as it is given, in pixels, like ``height``.
            reduced: how many times smaller it is given than it is.
        """
        longest = max(width, height)
        if self.tiles == "off":
            return []
        if self.tiles == "auto":
            finest = self._shows(self.min_face / reduced)
            return [] if longest <= finest else self._fewest(width, height, finest)
        count = int(self.tiles)
        tiles = self._numbered(width, height, count)
        return list(dict.fromkeys(tiles))  # a strip has few rows to divide

    def resolution(self, width: int, height: int) -> float | None:
        """Pixels of the network's canvas for one of the picture, in the finest tile; None without tiles."""
        tiles = self.grid(width, height)
        if not tiles:
            return None
        return self.side / min(max(each.right - each.left, each.bottom - each.top) for each in tiles)

    def _shows(self, face: float) -> float:
        """The widest view, in pixels of the picture, in which such a face is as large as is needed."""
        return face * self.side / self.needed

    def _fewest(self, width: int, height: int, finest: float) -> list[Tile]:
        """One level of tiles or several, between ``finest`` and the full view: what takes the fewest.

        Neighbours overlap by the largest face that their level looks after. Where the full view sees only
        much larger ones, a coarser level between costs less than the overlap.
        """
        longest = max(width, height)
        choices = []
        for count in range(1, MOST_LEVELS + 1):
            step = (longest / finest) ** (1 / count)
            sizes = [finest * step**level for level in range(count + 1)]
            pairs = list(pairwise(sizes))
            overlaps = [self._overlap(size, coarser) for size, coarser in pairs]
            if all(math.ceil(each) < math.floor(size) for each, size in zip(overlaps, sizes, strict=False)):
                choices.append([tile for pair in pairs for tile in self._level(width, height, *pair)])
        if not choices:
            raise ValueError(
                f"tiles: a network that sees {self.side} pixels cannot be shown tiles; use tiles=off"
            )
        return min(choices, key=len)

    def _looked_after(self, coarser: float) -> float:
        """Side of the largest face that tiles look after, where the next coarser view is so wide."""
        return RESPONSIBLE * self.needed * coarser / self.side

    def _overlap(self, size: float, coarser: float) -> float:
        """Pixels that neighbours share: the largest face that they look after, and a margin on both sides."""
        return self._looked_after(coarser) + 2 * MARGIN * size / self.side

    def _level(self, width: int, height: int, size: float, coarser: float) -> list[Tile]:
        """Tiles of one size: as few as may be, showing most for so few, on the shortest canvas for that."""
        shapes = sorted(whole_sizes(self.side, self.oblong), key=math.prod)
        choices = (self._shaped(width, height, size, coarser, shape) for shape in shapes)
        return min(filter(None, choices), key=lambda tiles: (len(tiles), tiles[0].margin))

    def _shaped(self, width: int, height: int, size: float, coarser: float, canvas: Size) -> list[Tile]:
        """The level, with tiles that fill such a canvas; none if one is no longer than an overlap.

        Args:
            size: longer side of a tile at most, in pixels of the picture.
        """
        lengths, overlap = (height, width), self._overlap(size, coarser)
        most = [math.floor(size * (side / self.side)) for side in canvas]
        if min(most) <= math.ceil(overlap):
            return []
        counts = [_spans_of(*each, overlap) for each in zip(lengths, most, strict=True)]
        least = [_divided(*each, overlap)[0][1] for each in zip(lengths, counts, strict=True)]
        scale = max(extent / side for extent, side in zip(least, canvas, strict=True))
        down, across = (
            _spread(length, count, round(side * scale))
            for length, count, side in zip(lengths, counts, canvas, strict=True)
        )
        margin, largest = MARGIN * scale, TRUSTED * self._looked_after(coarser)
        return [
            Tile(left, top, right, bottom, margin, largest) for top, bottom in down for left, right in across
        ]

    def _numbered(self, width: int, height: int, count: int) -> Iterator[Tile]:
        longest = max(width, height)
        overlap = self._overlap(longest, longest)
        largest = TRUSTED * self._looked_after(longest)
        for top, bottom in _divided(height, count, overlap):
            for left, right in _divided(width, count, overlap):
                margin = MARGIN * max(right - left, bottom - top) / self.side
                yield Tile(left, top, right, bottom, margin, largest)


def _spans_of(length: int, size: int, overlap: float) -> int:
    """How many spans of at most that size share at least ``overlap``."""
    return 1 if length <= size else 1 + math.ceil((length - size) / (size - math.ceil(overlap)))


def _spread(length: int, count: int, size: int) -> list[tuple[int, int]]:
    """So many spans of that size, evenly from end to end."""
    starts = [max(0, length - size) * number // max(1, count - 1) for number in range(count)]
    return [(start, min(length, start + size)) for start in starts]


def _divided(length: int, count: int, overlap: float) -> list[tuple[int, int]]:
    """So many spans, as short as share ``overlap``."""
    return _spread(length, count, min(length, math.ceil((length + (count - 1) * overlap) / count)))
