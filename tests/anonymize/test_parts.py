"""Where a detector is in doubt: which parts it is shown larger, and what becomes of what it sees there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import pytest

from pipeline.anonymize import Detections
from pipeline.anonymize.looks import looking
from pipeline.anonymize.mirror import MirroredDetector
from pipeline.anonymize.parts import Scale, parts, turned, turned_back
from pipeline.anonymize.tiles import NEEDED, NEEDED_FOR_DOUBT, TOGETHER, Tile
from pipeline.boxes import Boxes
from pipeline.config.schema import DetectorConfig
from tests.anonymize.squares import Picture, SquareDetector, boxes_of, scene

SCALE = Scale(width=800, height=600, shown=0.5, part=128)
"""The whole view shows 400 x 300 pixels; a part has 128, of a region of 128 pixels twice as large as that."""


def found(*faces: tuple[int, int, int]) -> list[tuple[int, ...]]:
    return [tile[:4] for tile in parts(boxes_of(faces), SCALE)]


def test_a_part_lies_around_its_doubt_and_shows_it_twice_as_large() -> None:
    (tile,) = found((300, 200, 20))
    assert tile == (246, 146, 374, 274)
    shown = SCALE.part / (tile[2] - tile[0])
    assert shown == 2 * SCALE.shown


def test_a_part_stays_in_the_picture() -> None:
    assert found((0, 0, 20)) == [(0, 0, 128, 128)]
    assert found((780, 580, 20)) == [(672, 472, 800, 600)]
    narrow = Scale(width=800, height=60, shown=0.5, part=128)
    assert [tile[:4] for tile in parts(boxes_of([(300, 20, 20)]), narrow)] == [(246, 0, 374, 60)]


@pytest.mark.parametrize(("side", "extent"), [(50, 128), (60, 150), (102, 256)])
def test_around_a_larger_face_a_part_is_larger(side: int, extent: int) -> None:
    (tile,) = found((300, 200, side))
    assert (tile[2] - tile[0], tile[3] - tile[1]) == (extent, extent)


def test_for_the_largest_face_the_part_is_the_picture() -> None:
    assert found((100, 50, 500)) == [(0, 0, 800, 600)]


def test_doubts_side_by_side_share_a_part() -> None:
    assert len(found((300, 200, 20), (320, 220, 20))) == 1
    assert len(found((300, 200, 20), (345, 200, 20))) == 2, "half a face of room, or it has one of its own"
    assert len(found((300, 200, 20), (320, 220, 60))) == 2, "the larger one needs a larger part"
    assert len(found((0, 200, 20), (1, 230, 20))) == 1, "where the picture ends nothing is cut"
    assert len(found((300, 200, 20), (300, 200, 20))) == 1
    many = [(20 * (n % 30), 18 * (n // 30), 16) for n in range(900)]
    assert len(found(*many)) < 100


def test_what_a_part_shows_comes_back_to_its_place() -> None:
    picture = scene(800, 600, [(310, 210, 20), (340, 260, 40)])
    (tile,) = parts(boxes_of([(300, 200, 20)]), SCALE)
    seen = SquareDetector(input_size=128, needed=8).detect([turned(picture, tile)])[0]
    assert len(seen) == 2
    back = turned_back(seen, tile, (SCALE.width, SCALE.height))
    np.testing.assert_allclose(back.boxes.xyxy, boxes_of([(310, 210, 20)]).xyxy, atol=1)


@pytest.mark.parametrize(
    ("box", "kept"),
    [
        ([104, 140, 120, 160], True),
        ([103, 140, 120, 160], False),
        ([180, 140, 196, 160], True),
        ([180, 140, 198, 160], False),
        ([120, 0, 140, 20], True),
        ([120, 180, 140, 196], True),
        ([120, 180, 140, 197], False),
        ([110, 10, 160, 60], True),
        ([110, 10, 161, 60], False),
    ],
)
def test_what_a_part_cuts_or_is_too_small_for_is_left_to_others(box: list[int], kept: bool) -> None:
    tile = Tile(100, 0, 200, 200, margin=3, largest=50)
    xmin, ymin, xmax, ymax = box
    seen = Detections(Boxes(np.array([[200.0 - xmax, ymin, 200.0 - xmin, ymax]])), np.array([0.9]))
    back = turned_back(seen, tile, (SCALE.width, SCALE.height))
    assert len(back) == kept
    if kept:
        assert back.boxes.xyxy.tolist() == [box]


class Unsure(SquareDetector):
    """Is in doubt of faces of less than ``sure`` pixels of its canvas, and sure of larger ones."""

    part_size = 128

    def __init__(self, sure: int = 30) -> None:
        super().__init__(input_size=400, needed=8)
        self.sure = sure
        self.parts: list[tuple[int, ...]] = []

    def _detect(self, picture: Picture) -> Detections:
        seen = super()._detect(picture)
        larger = self.input_size / max(picture.shape[:2])
        return Detections(seen.boxes, np.where(seen.boxes.sizes.max(axis=1) * larger < self.sure, 0.2, 0.9))

    def detect_parts(self, pictures: Sequence[Picture]) -> list[Detections]:
        self.parts += [picture.shape[:2] for picture in pictures]
        small = Unsure(self.sure)
        small.input_size = self.part_size
        return [small._detect(picture) for picture in pictures]


def test_where_it_is_in_doubt_it_is_shown_that_part_and_no_more() -> None:
    faces = [(200, 100, 40), (500, 300, 80)]
    detector = Unsure()
    (seen,) = MirroredDetector(detector, "auto", 0.5).detect([scene(800, 600, faces)])
    assert detector.views == 1 and detector.parts == [(128, 128)]
    np.testing.assert_allclose(seen.scores, [0.9, 0.9 * 0.9])
    np.testing.assert_allclose(seen.boxes.xyxy, boxes_of(faces[::-1]).xyxy, atol=2)


def test_what_only_a_part_shows_counts_for_less() -> None:
    """Twelve pixels are too few for the whole view, which shows six."""
    detector = Unsure(sure=11)
    (seen,) = MirroredDetector(detector, "auto", 0.5).detect(
        [scene(800, 600, [(200, 100, 16), (230, 100, 12)])]
    )
    np.testing.assert_allclose(seen.scores, [0.9 * 0.9, 0.9 * 0.8])


@pytest.mark.parametrize(("mirror", "views", "shown"), [("off", 1, 0), ("always", 2, 0), ("auto", 1, 2)])
def test_the_setting_decides_what_is_shown_again(mirror: str, views: int, shown: int) -> None:
    detector = Unsure(sure=99)
    picture = scene(800, 600, [(200, 100, 150), (600, 500, 30)])
    looking(detector, DetectorConfig(tiles="off", mirror=mirror)).detect([picture])
    assert (detector.views, len(detector.parts)) == (views, shown)


def test_nothing_is_asked_where_nothing_is_in_doubt() -> None:
    detector = Unsure(sure=0)
    MirroredDetector(detector, "auto", 0.5).detect([scene(800, 600, [(200, 100, 40)]), scene(800, 600)])
    assert detector.views == 2 and not detector.parts


def test_who_enlarges_what_is_in_doubt_needs_fewer_tiles() -> None:
    for mirror, needed in (("auto", NEEDED_FOR_DOUBT), ("always", NEEDED), ("off", NEEDED)):
        assert looking(Unsure(), DetectorConfig(mirror=mirror)).tiling.needed == needed  # type: ignore[attr-defined]
    assert looking(SquareDetector(), DetectorConfig()).tiling.needed == NEEDED  # type: ignore[attr-defined]
    many, few = (
        len(looking(Unsure(), DetectorConfig(mirror=mirror)).tiling.grid(4000, 3000))  # type: ignore[attr-defined]
        for mirror in ("off", "auto")
    )
    assert few < 0.7 * many


def test_a_tile_does_not_ask_again_for_what_it_leaves_to_the_whole_view() -> None:
    detector = Unsure(sure=999)
    picture = scene(1600, 1200, [(100, 100, 900)])
    looking(detector, DetectorConfig(min_face=20)).detect([picture])
    assert detector.views > 1 and detector.parts == [(1200, 1600)], "once in the whole, and in no tile"


def test_a_picture_is_decoded_as_large_as_the_parts_of_its_tiles_show_it() -> None:
    for mirror, times in (("off", 1), ("auto", 2)):
        look = looking(Unsure(), DetectorConfig(mirror=mirror))
        shown = 4000 * look.tiling.resolution(4000, 3000)  # type: ignore[attr-defined]
        assert look.wanted_side(4000, 3000) == np.ceil(times * shown)  # type: ignore[attr-defined]


def test_few_parts_at_a_time_are_in_memory() -> None:
    class Counting(Unsure):
        asked: ClassVar[list[int]] = []

        def detect_parts(self, pictures: Sequence[Picture]) -> list[Detections]:
            self.asked.append(len(pictures))
            return super().detect_parts(pictures)

    faces = [(left, top, 40) for left in range(20, 1500, 300) for top in range(20, 1100, 300)]
    detector = Counting(sure=15)
    (seen,) = MirroredDetector(detector, "auto", 0.5).detect([scene(1600, 1200, faces)])
    assert sum(detector.asked) > 2 * TOGETHER and max(detector.asked) == TOGETHER
    assert len(seen) == len(faces) and seen.scores.min() > 0.7


def test_tiles_have_parts_of_their_own() -> None:
    """Each in its own tile, so that a face there becomes larger than the finest tile shows it."""
    detector = Unsure(sure=40)
    picture = scene(1600, 1200, [(700, 500, 40)])
    (seen,) = looking(detector, DetectorConfig(min_face=20)).detect([picture])
    np.testing.assert_allclose(seen.boxes.xyxy, boxes_of([(700, 500, 40)]).xyxy, atol=2)
    assert seen.scores[0] > 0.8 and detector.parts
