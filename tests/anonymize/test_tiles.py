"""Small faces in large pictures: where tiles lie, what they find, and how that becomes one list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.anonymize import Detections, anonymize_array, anonymize_folder, stages
from pipeline.anonymize.detect.canvas import SLACK, size_for
from pipeline.anonymize.manifest import Journal
from pipeline.anonymize.mirror import mirrored
from pipeline.anonymize.recheck import verify_folder
from pipeline.anonymize.tiles import NEEDED, NEEDED_FOR_DOUBT, Tile, TiledDetector, Tiling, tiled
from pipeline.anonymize.tiles.detector import TOGETHER, one_colour
from pipeline.anonymize.tiles.merge import Seen, merged
from pipeline.anonymize.views import detect_small, views
from pipeline.boxes import Boxes
from pipeline.config.schema import (
    AnonymizeConfig,
    DetectorConfig,
    LimitsConfig,
    VerifyConfig,
    VerifyOutputConfig,
)
from pipeline.config.validate import validate
from pipeline.errors import UserError
from tests.anonymize.squares import Picture, SquareDetector, boxes_of, scene

MIN_FACE = 40


def spread(width: int, height: int, sizes: list[int]) -> list[tuple[int, int, int]]:
    """Faces of these sizes at places of no pattern, apart from each other, in rows."""
    random = np.random.default_rng(7)
    faces, left, top, row = [], 3, 3, 0
    for size in sizes:
        if left + size >= width:
            left, top, row = 3 + int(random.integers(0, 40)), top + row + 9, 0
        if top + size >= height:
            break
        faces.append((left, top, size))
        left, row = left + size + int(random.integers(9, 60)), max(row, size)
    return faces


@pytest.mark.parametrize("tiles", ["auto", "3"])
def test_every_wanted_face_of_twelve_megapixels_is_found_once_and_where_it_is(tiles: str) -> None:
    small = np.random.default_rng(1).integers(MIN_FACE, 165, 600).tolist()
    faces = spread(4000, 3000, [1200, 700, 500, 350, 260, *small])
    assert len(faces) > 150
    picture = scene(4000, 3000, faces)
    alone = SquareDetector()
    (found,) = TiledDetector(alone, Tiling(tiles, MIN_FACE, 768)).detect([picture])
    overlap = boxes_of(faces).iou(found.boxes)
    assert len(found) == len(faces)
    assert (overlap.max(axis=1) > 0.85).all()
    assert alone.views == 10
    (whole,) = alone.detect([picture])
    assert len(whole) < 0.6 * len(faces)


def test_coordinates_are_exact_where_tiles_are_not_scaled() -> None:
    faces = [(17, 23, 26), (700, 690, 41), (760, 760, 30), (1300, 900, 33)]
    tiling = Tiling("auto", NEEDED, 768)
    assert tiling.resolution(1470, 1000) == 1
    (found,) = TiledDetector(SquareDetector(), tiling).detect([scene(1470, 1000, faces)])
    order = np.argsort(found.boxes.xyxy[:, 0])
    np.testing.assert_allclose(found.boxes.xyxy[order], boxes_of(faces).xyxy)


@settings(max_examples=300, deadline=None)
@given(
    st.integers(50, 20_000),
    st.integers(50, 12_000),
    st.sampled_from(["auto", "auto", "2", "5"]),
    st.floats(8, 60),
    st.sampled_from([256, 640, 768, 1024]),
    st.booleans(),
    st.data(),
)
def test_whatever_the_picture_some_view_shows_a_face_whole_and_large_enough(
    width: int, height: int, tiles: str, min_face: float, side: int, oblong: bool, data: st.DataObject
) -> None:
    tiling = Tiling(tiles, min_face, side, oblong=oblong)
    grid = tiling.grid(width, height)
    views = [Tile(0, 0, width, height), *grid]
    longest = max(width, height)
    least = min_face if tiles == "auto" else NEEDED / (tiling.resolution(width, height) or 0)
    limit = NEEDED * longest / side  # the full view shows faces from here on
    share = data.draw(st.sampled_from([0.0, 0.1, 0.5, 0.9, 0.999]))
    most = data.draw(st.sampled_from([max(least, limit), max(least, longest)]))
    size = min(least + share * (most - least), longest)
    box = [min(size, width), min(size, height)]
    seam = data.draw(st.sampled_from(views))
    cut = data.draw(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]))
    left = float(np.clip(seam.right - cut * box[0], 0, width - box[0]))
    top = float(np.clip(seam.bottom - cut * box[1], 0, height - box[1]))
    assert any(_shows(view, left, top, box, (width, height), side, oblong) for view in views)
    for tile in grid:
        assert 0 <= tile.left < tile.right <= width and 0 <= tile.top < tile.bottom <= height


def _shows(
    view: Tile, left: float, top: float, box: list[float], size: tuple[int, int], side: int, oblong: bool
) -> bool:
    extent = view.bottom - view.top, view.right - view.left
    canvas = size_for(*extent, side, oblong)
    scale = min(each / length for each, length in zip(canvas, extent, strict=True))
    needed = (1 - SLACK) * NEEDED if oblong else NEEDED
    margins = [
        view.margin if inner else 0.0
        for inner in (view.left > 0, view.top > 0, view.right < size[0], view.bottom < size[1])
    ]
    whole = (
        left >= view.left + margins[0]
        and top >= view.top + margins[1]
        and left + box[0] <= view.right - margins[2]
        and top + box[1] <= view.bottom - margins[3]
    )
    return whole and max(box) * scale >= needed - 1e-6


def test_pictures_small_enough_take_one_view() -> None:
    detector = SquareDetector()
    found = TiledDetector(detector, Tiling("auto", MIN_FACE, 768)).detect(
        [scene(1536, 1536, [(9, 9, 50)]), scene(1537, 600, [])]
    )
    assert len(found[0]) == 1
    assert detector.shown[0][0] == (1536, 1536)
    assert detector.views == 1 + 3


def test_tiles_are_as_small_as_their_number_allows() -> None:
    """The same six runs of the network, and faces an eighth larger in them."""
    tiling = Tiling("auto", MIN_FACE, 896)
    assert len(tiling.grid(4000, 3000)) == 6
    seen = MIN_FACE * (tiling.resolution(4000, 3000) or 0)
    assert seen > 1.12 * NEEDED


@pytest.mark.parametrize(
    ("size", "canvas"),
    [
        ((4000, 3000), (640, 768)),
        ((3000, 4000), (768, 640)),
        ((6000, 4000), (768, 768)),
        ((2560, 1920), (768, 640)),
        ((2400, 1600), (768, 640)),  # 512 would do, if faces were shown smaller
    ],
)
def test_tiles_fill_the_shortest_canvas_that_shows_as_much_in_as_few(
    size: tuple[int, int], canvas: tuple[int, int]
) -> None:
    """Four runs of the network on five sixths of a square, and faces no smaller in them."""
    squares, oblong = (Tiling("auto", MIN_FACE, 768, NEEDED_FOR_DOUBT, each) for each in (False, True))
    tiles = oblong.grid(*size)
    assert len(tiles) == len(squares.grid(*size))
    assert {size_for(tile.bottom - tile.top, tile.right - tile.left, 768, True) for tile in tiles} == {canvas}
    assert oblong.resolution(*size) == squares.resolution(*size)


def test_tiles_are_squares_unless_the_detector_takes_others() -> None:
    detector = SquareDetector()
    assert isinstance(look := tiled(detector, "auto", MIN_FACE), TiledDetector)
    assert not look.tiling.oblong
    detector.oblong = True  # type: ignore[attr-defined]  # as the released ones say
    for asked in (detector, mirrored(detector, "auto", 0.5)):
        assert isinstance(look := tiled(asked, "auto", MIN_FACE), TiledDetector)
        assert look.tiling.oblong


def test_coarser_tiles_come_between_where_the_full_view_sees_too_little() -> None:
    """In a panorama no face between what the finest tiles and the full view see is lost, at fair cost."""
    tiling = Tiling("auto", MIN_FACE, 768)
    sizes = {tile.right - tile.left for tile in tiling.grid(30_000, 5_000)}
    assert len(sizes) > 1
    assert len(tiling.grid(30_000, 5_000)) < 130


FULL, LEFT, RIGHT = (0, 0, 1000, 500), (0, 0, 600, 500), (400, 0, 1000, 500)


def _view(tile: tuple[int, int, int, int], *found: tuple[list[float], float]) -> Seen:
    boxes, scores = [box for box, _ in found], [score for _, score in found]
    largest = 350.0 if tile != FULL else np.inf
    return Seen(
        Tile(*tile, margin=4.0, largest=largest),
        Detections(Boxes(np.array(boxes).reshape(-1, 4)), np.array(scores)),
    )


@pytest.mark.parametrize(
    ("views", "expected"),
    [
        pytest.param(
            [
                _view(FULL),
                _view(LEFT, ([450, 100, 500, 150], 0.7)),
                _view(RIGHT, ([452, 101, 501, 150], 0.8)),
            ],
            [([452, 101, 501, 150], 0.8)],
            id="whole in two tiles: the better one",
        ),
        pytest.param(
            [
                _view(FULL, ([560, 100, 660, 200], 0.6)),
                _view(LEFT, ([561, 101, 599, 200], 0.9)),
                _view(RIGHT),
            ],
            [([560, 100, 660, 200], 0.9)],
            id="a part gives way to the whole, and leaves it its score",
        ),
        pytest.param(
            [
                _view(FULL, ([560, 100, 660, 200], 0.6)),
                _view(LEFT, ([561, 101, 597, 200], 0.3)),
                _view(RIGHT),
            ],
            [([560, 100, 660, 200], 0.6)],
            id="also when its box ends just before the tile does",
        ),
        pytest.param(
            [
                _view(FULL),
                _view(LEFT, ([300, 100, 600, 400], 0.7)),
                _view(RIGHT, ([400, 100, 700, 400], 0.6)),
            ],
            [([300, 100, 600, 400], 0.7), ([400, 100, 700, 400], 0.6)],
            id="nobody saw it whole: the parts stay",
        ),
        pytest.param(
            [_view(FULL, ([100, 0, 700, 500], 0.1)), _view(LEFT, ([570, 240, 600, 280], 0.9)), _view(RIGHT)],
            [([570, 240, 600, 280], 0.9), ([100, 0, 700, 500], 0.1)],
            id="a small face in a large doubtful box is no part of it",
        ),
        pytest.param(
            [_view(FULL, ([0, 100, 50, 150], 0.6)), _view(LEFT, ([0, 100, 50, 151], 0.6)), _view(RIGHT)],
            [([0, 100, 50, 151], 0.6)],
            id="at the picture's own border nothing is cut; of equal scores the larger",
        ),
        pytest.param(
            [_view(FULL, ([0, 0, 590, 490], 0.2)), _view(LEFT, ([0, 0, 590, 480], 0.9)), _view(RIGHT)],
            [([0, 0, 590, 490], 0.2)],
            id="what is too large for a tile is the full view's to find",
        ),
        pytest.param(
            [_view(FULL, ([10, 10, 200, 200], 0.9)), _view(LEFT, ([50, 50, 100, 100], 0.8)), _view(RIGHT)],
            [([10, 10, 200, 200], 0.9), ([50, 50, 100, 100], 0.8)],
            id="a face within a face stays: its region need not be covered",
        ),
    ],
)
def test_views_become_one_list(views: list[Seen], expected: list[tuple[list[float], float]]) -> None:
    for order in permutations(views):
        found = merged(order, 1000, 500)
        assert [
            (box.tolist(), score) for box, score in zip(found.boxes, found.scores, strict=True)
        ] == expected


def test_faces_larger_than_tiles_come_from_the_full_view_alone() -> None:
    faces = [(300, 200, 2500)]
    (found,) = TiledDetector(SquareDetector(), Tiling("auto", MIN_FACE, 768)).detect(
        [scene(4000, 3000, faces)]
    )
    assert len(found) == 1
    assert boxes_of(faces).iou(found.boxes)[0, 0] > 0.99


def test_views_come_a_few_at_a_time_and_are_not_copied() -> None:
    picture = scene(4000, 3000)

    class Watching(SquareDetector):
        def detect(self, pictures: Sequence[Picture]) -> list[Detections]:
            assert all(np.shares_memory(each, picture) for each in pictures)
            return super().detect(pictures)

    detector = Watching(input_size=64, needed=4)
    TiledDetector(detector, Tiling("auto", 64, 192)).detect([picture, picture])
    assert max(map(len, detector.shown)) == TOGETHER
    assert detector.views > 60
    assert detector.shown[0][0] == (3000, 4000)


def test_only_tiles_of_one_colour_are_left_out() -> None:
    picture = np.full((3000, 4000, 3), 90, np.uint8)
    detector = SquareDetector()
    look = TiledDetector(detector, Tiling("auto", MIN_FACE, 768))
    look.detect([picture])
    assert detector.views == 1
    picture[2900, 3901, 2] = 91  # no sample of the first, sparse look
    detector.shown.clear()
    look.detect([picture])
    assert detector.shown == [[(3000, 4000), (1449, 1449)]]


def test_the_first_look_at_a_tile_is_not_the_last() -> None:
    pixels = np.zeros((200, 300, 3), np.uint8)
    assert one_colour(pixels)
    pixels[199, 298, 1] = 1
    assert not one_colour(pixels)


def test_a_picture_that_is_given_smaller_is_looked_at_as_what_it_is() -> None:
    faces = spread(4000, 3000, [50, 64, 90] * 30)
    small = scene(4000, 3000, faces)[::2, ::2]
    detector = SquareDetector()
    (found,) = TiledDetector(detector, Tiling("auto", MIN_FACE, 768)).detect([small], [2])
    assert detector.views == 10
    assert len(found) == len(faces)


@pytest.mark.parametrize(("min_face", "factor"), [(36, 1), (48, 2), (96, 4)])
def test_no_more_is_decoded_than_the_tiles_need(tmp_path: Path, min_face: int, factor: int) -> None:
    faces = [(100, 100, 100), (3000, 2000, 110), (1111, 1777, 200)]
    Image.fromarray(scene(6144, 3000, faces)).save(tmp_path / "a.jpg", quality=90)
    detector = TiledDetector(SquareDetector(), Tiling("auto", min_face, 768))
    picture = stages.decode(tmp_path / "a.jpg", LimitsConfig(), stages.wanted_side(detector))
    assert picture.frames[0].view(detector.wanted_side).factor == factor
    (found,) = stages.detect(stages.Shared(detector), [picture])
    assert not isinstance(found, Exception)
    assert (boxes_of(faces).iou(found[0].boxes).max(axis=1) > 0.85).all()


def test_what_a_detector_says_of_itself_is_passed_on() -> None:
    detector = SquareDetector()
    look = tiled(detector, "2", 32)
    assert isinstance(look, TiledDetector) and look.digest == "squares" and look.input_size == 768
    assert tiled(look, "auto", 32) is look
    assert tiled(detector, "off", 32) is detector
    assert not hasattr(look, "runtime")


CONFIG = AnonymizeConfig(
    detector=DetectorConfig(tiles="auto", min_face=MIN_FACE), verify=VerifyConfig(enabled=False)
)


@pytest.fixture
def crowd(tmp_path: Path) -> Path:
    folder = tmp_path / "crowd"
    folder.mkdir()
    Image.fromarray(scene(2000, 500, [(100, 100, 50), (1500, 50, 400)])).save(
        folder / "a.png", compress_level=1
    )
    return folder


def test_other_tiles_redo_a_folder_and_the_manifest_says_which(crowd: Path) -> None:
    def run(**given: object) -> tuple[int, dict[str, object], int]:
        asked = AnonymizeConfig(detector=DetectorConfig(**given), verify=VerifyConfig(enabled=False))  # type: ignore[arg-type]
        summary = anonymize_folder(crowd, detector=SquareDetector(), config=asked)
        (entry,) = Journal.read(summary.out).entries.values()
        return sum(summary.made.values()), entry.settings["detector"], len(entry.faces)

    made, said, faces = run(tiles="off")
    assert (made, said["tiles"], "min_face" in said, faces) == (1, "off", False, 1)
    assert run(tiles="off", min_face=64)[0] == 0
    made, said, faces = run(tiles="auto", min_face=48.0)
    assert (made, said["tiles"], said["min_face"], faces) == (1, "auto", 48.0, 2)
    assert run(tiles="auto", min_face=48.0)[0] == 0
    assert run(tiles="auto", min_face=36.0)[0] == 1
    assert run(tiles="2", min_face=36.0)[0] == 1


def test_a_detector_that_does_not_say_what_it_sees_is_shown_whole_pictures(crowd: Path) -> None:
    detector = SquareDetector()
    del detector.input_size
    detector._detect = lambda picture: Detections()  # type: ignore[method-assign]
    summary = anonymize_folder(crowd, detector=detector, config=CONFIG)
    (entry,) = Journal.read(summary.out).entries.values()
    assert entry.settings["detector"]["tiles"] == "off"
    assert detector.views == 1


def test_the_second_look_uses_the_same_tiles(crowd: Path) -> None:
    """A small face that the first look was not shown is found by one that is."""
    asked = AnonymizeConfig(detector=DetectorConfig(tiles="off"), verify=VerifyConfig(enabled=False))
    out = anonymize_folder(crowd, detector=SquareDetector(), config=asked).out
    for tiles, findings in (("off", 0), ("auto", 1)):
        again = VerifyOutputConfig(out=str(out), detector=DetectorConfig(tiles=tiles, min_face=48))
        problems = verify_folder(again, SquareDetector()).problems
        assert [problem.kind for problem in problems] == ["face"] * findings


def test_the_second_look_of_a_run_leaves_out_tiles_that_nothing_changed(tmp_path: Path) -> None:
    """Only the run itself may: what looks at the output later, looks at all of it."""
    (tmp_path / "in").mkdir()
    Image.fromarray(scene(4000, 3000, [(100, 100, 300)])).save(tmp_path / "in" / "a.png", compress_level=1)
    views = {}
    for threshold in (0.5, 0.45):
        detector = SquareDetector()
        looked = VerifyConfig(scales=[1.0], score_threshold=threshold)
        config = replace(CONFIG, verify=looked)
        out = anonymize_folder(
            tmp_path / "in", tmp_path / f"{threshold}", detector=detector, config=config
        ).out
        views[threshold] = detector.views
    assert views == {0.5: 10 + 2, 0.45: 10 + 10}
    detector.shown.clear()
    verify_folder(VerifyOutputConfig(out=str(out), detector=CONFIG.detector), detector)
    assert detector.views == 10


def test_an_array_is_looked_at_in_tiles_too() -> None:
    picture = scene(2400, 1200, [(100, 100, 52)])
    assert len(anonymize_array(picture, SquareDetector(), tiles="off").faces) == 0
    assert len(anonymize_array(picture, SquareDetector(), tiles="auto", min_face=48).faces) == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tiles": "9"}, "one of auto, off, 2"),
        ({"tiles": "none"}, "tiles"),
        ({"min_face": 7.0}, "min_face"),
    ],
)
def test_other_tilings_are_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        validate(DetectorConfig(**given), unasked=("model",))  # type: ignore[arg-type]


def test_views_that_share_a_canvas_are_seen_at_once_and_never_in_tiles() -> None:
    """They are small already: a canvas of them is no picture in which faces would be smaller still."""
    detector = SquareDetector()
    tiling = tiled(detector, "3", MIN_FACE)
    picture = scene(2000, 1500, [(200, 300, 400)])
    small = list(views(picture, [0.5], [0]))
    (found,) = detect_small(tiling, small)
    assert detector.views == 1
    assert found.boxes.iou(boxes_of([(200, 300, 400)])).max() > 0.9


def test_no_tile_of_a_strip_comes_twice() -> None:
    tiles = Tiling("8", MIN_FACE, 896).grid(10_000, 100)
    assert len(set(tiles)) == len(tiles) == 8
