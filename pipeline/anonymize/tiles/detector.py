"""Any detector, shown tiles as well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from pipeline.anonymize import timings
from pipeline.anonymize.detect.common import Detections, Detector, Picture, Wrapped
from pipeline.anonymize.tiles.grid import NEEDED, NEEDED_FOR_DOUBT, Tile, Tiling
from pipeline.anonymize.tiles.merge import Seen, merged
from pipeline.boxes import Boxes

TOGETHER = 4
"""Views handed to the detector at once, or parts of one: whatever the picture, no more are in memory."""
_SPARSE = 61
"""A first look at every so many pixels tells almost every tile that is not of one colour."""


@dataclass(frozen=True)
class TiledDetector(Wrapped):
    """A detector that sees small faces in large pictures: see :class:`Tiling`.

    What it finds in tiles comes beside what it finds in the full view.
    """

    tiling: Tiling

    def wanted_side(self, width: int, height: int) -> int | None:
        """Pixels that the longer side of a picture of that size must keep; None: all.

        Those of the finest tile, and of parts of it that are shown larger.
        """
        alone = getattr(self.detector, "wanted_side", None)
        resolution = self.tiling.resolution(width, height)
        if resolution is None or alone is None:
            return None if alone is None else int(alone)
        longest = max(width, height)
        return min(longest, max(int(alone), int(np.ceil(longest * resolution * _enlarged(self.detector)))))

    def detect(
        self, pictures: Sequence[Picture], reduced: Sequence[float] = (), only: Boxes | None = None
    ) -> list[Detections]:
        """See :class:`Detector`.

        Args:
            reduced: how many times smaller each picture is given than it is, which ``min_face`` is of;
                default: not at all.
            only: tiles that touch none of these boxes need not be looked at; default: all are.
        """
        seen: list[list[Seen]] = [[] for _ in pictures]
        for together in _chunks(self._views(pictures, reduced or [1.0] * len(pictures), only), TOGETHER):
            found = self._asked([tile.of(pictures[number]) for number, tile in together], together)
            for (number, tile), each in zip(together, found, strict=True):
                seen[number].append(Seen(tile, _moved(each, tile)))
        with timings.stage("merge"):
            return [
                merged(views, picture.shape[1], picture.shape[0])
                for views, picture in zip(seen, pictures, strict=True)
            ]

    def _asked(self, views: list[Picture], together: list[tuple[int, Tile]]) -> list[Detections]:
        if _enlarged(self.detector) > 1:  # where it looks again is told what is left to others
            largest = [tile.largest for _, tile in together]
            return self.detector.detect(views, largest)  # type: ignore[call-arg]
        return self.detector.detect(views)

    def _views(
        self, pictures: Sequence[Picture], reduced: Sequence[float], only: Boxes | None
    ) -> Iterator[tuple[int, Tile]]:
        for number, (picture, factor) in enumerate(zip(pictures, reduced, strict=True)):
            height, width = picture.shape[:2]
            yield number, Tile(0, 0, width, height)
            for tile in self.tiling.grid(width, height, factor):
                asked = only is None or Boxes(np.array([tile[:4]])).intersection(only).any()
                if asked and not one_colour(tile.of(picture)):
                    yield number, tile


def one_colour(pixels: Picture) -> bool:
    """Whether every pixel is the same: then no face can be there, to whoever looks.

    Nothing weaker is safe: a face of least contrast is still one to who stretches it.
    """
    return not (pixels[::_SPARSE, ::_SPARSE] != pixels[0, 0]).any() and not (pixels != pixels[0, 0]).any()


def look(
    detector: Detector, pictures: Sequence[Picture], reduced: Sequence[float], only: Boxes | None = None
) -> list[Detections]:
    """As :meth:`TiledDetector.detect`, of any detector."""
    if getattr(detector, "tiling", None) is None:
        return list(detector.detect(pictures))
    return detector.detect(pictures, reduced, only)  # type: ignore[call-arg]  # it tiles


def tiled(detector: Detector, tiles: str, min_face: float) -> Detector:
    """The detector, looking as the settings say.

    One that does not say its ``input_size`` is left as it is: nobody knows what it can see.
    """
    side = getattr(detector, "input_size", None)
    if tiles == "off" or side is None or getattr(detector, "tiling", None) is not None:
        return detector
    needed = NEEDED_FOR_DOUBT if _enlarged(detector) > 1 else NEEDED
    oblong = bool(getattr(detector, "oblong", False))
    return TiledDetector(detector, Tiling(tiles, min_face, int(side), needed, oblong))


def _enlarged(detector: Detector) -> float:
    return float(getattr(detector, "enlarged", 1.0))


def _moved(found: Detections, tile: Tile) -> Detections:
    if not len(found):
        return found
    return Detections(Boxes(found.boxes.xyxy + [tile.left, tile.top, tile.left, tile.top]), found.scores)


def _chunks(items: Iterator[tuple[int, Tile]], size: int) -> Iterator[list[tuple[int, Tile]]]:
    while chunk := list(islice(items, size)):
        yield chunk
