"""A second opinion where a detector is in doubt: when it is asked, and what becomes of two answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.anonymize import Detections, anonymize_array, anonymize_file, anonymize_folder, stages
from pipeline.anonymize.detect import look_once
from pipeline.anonymize.looks import looking, mirror_of
from pipeline.anonymize.mirror import MirroredDetector, together
from pipeline.anonymize.recheck import verify_folder
from pipeline.boxes import Boxes
from pipeline.config.schema import AnonymizeConfig, DetectorConfig, EvaluationConfig, VerifyOutputConfig
from pipeline.config.validate import validate
from pipeline.errors import UserError
from tests.anonymize.squares import Picture, SquareDetector, boxes_of, scene

FACE = (200, 100, 60)


class OneEyed(SquareDetector):
    """Sees what is in the left half of its view, and of what is in the right half only a little."""

    def __init__(self, dim: float = 0.3) -> None:
        super().__init__(input_size=400)
        self.dim = dim

    def _detect(self, picture: Picture) -> Detections:
        found = super()._detect(picture)
        right = found.boxes.xyxy[:, [0, 2]].mean(axis=1) > picture.shape[1] / 2
        return Detections(found.boxes, np.where(right, self.dim, found.scores))


def picture(faces: Sequence[tuple[int, int, int]] = (FACE,)) -> Picture:
    return scene(300, 240, faces)


def test_where_it_is_in_doubt_the_mirror_image_decides() -> None:
    detector = OneEyed()
    (found,) = MirroredDetector(detector, mirror="auto", threshold=0.5).detect([picture()])
    np.testing.assert_allclose(found.scores, [0.9])
    np.testing.assert_allclose(found.boxes.xyxy, boxes_of([FACE]).xyxy, atol=1)
    assert detector.views == 2


@pytest.mark.parametrize(
    ("dim", "threshold", "views"),
    [
        (0.3, 0.5, 2),
        (0.1, 0.5, 2),
        (0.09, 0.5, 1),
        (0.5, 0.5, 1),
        (0.3, 0.2, 1),
        (0.09, 0.2, 2),
        (0.045, 0.2, 1),
    ],
)
def test_a_doubt_is_a_score_from_a_fifth_of_the_threshold_up_to_it_if_the_tool_keeps_it(
    dim: float, threshold: float, views: int
) -> None:
    detector = OneEyed(dim)
    MirroredDetector(detector, mirror="auto", threshold=threshold).detect([picture()])
    assert detector.views == views


def test_only_pictures_in_doubt_are_looked_at_again_unless_all_are_to_be() -> None:
    pictures = [picture([(20, 30, 50)]), picture(), picture([])]
    for mirror, shown in (("auto", [3, 1]), ("always", [3, 1, 1, 1])):
        detector = OneEyed()
        found = MirroredDetector(detector, mirror, 0.5).detect(pictures)
        assert [len(each) for each in found] == [1, 1, 0]
        assert [len(each) for each in detector.shown] == shown


def seen(boxes: Sequence[Sequence[float]], scores: Sequence[float]) -> Detections:
    return Detections(Boxes(np.array(boxes, float).reshape(-1, 4)), np.array(scores, float))


def test_what_either_is_sure_of_counts_and_both_draw_it() -> None:
    one = seen([[10, 10, 20, 20], [50, 50, 60, 60]], [0.9, 0.2])
    other = seen([[12, 10, 22, 20], [80, 80, 90, 90]], [0.3, 0.7])
    for both in (together(one, other, 200, 100), together(other, one, 200, 100)):
        np.testing.assert_allclose(both.scores, [0.9, 0.7, 0.2])
        np.testing.assert_allclose(both.boxes.xyxy[0], [10.5, 10, 20.5, 20])
        np.testing.assert_allclose(both.boxes.xyxy[1:], [[80, 80, 90, 90], [50, 50, 60, 60]])


def test_two_faces_side_by_side_stay_two() -> None:
    one, other = seen([[50, 10, 70, 30], [60, 10, 80, 30]], [0.9, 0.3]), seen([[61, 10, 81, 30]], [0.8])
    both = together(one, other, 200, 100)
    np.testing.assert_allclose(both.scores, [0.9, 0.8])
    np.testing.assert_allclose(both.boxes.xyxy[0], [50, 10, 70, 30])
    assert 60 < both.boxes.xyxy[1, 0] < 61


def test_who_overlaps_more_is_the_partner_and_not_who_scores_more() -> None:
    one = seen([[0, 50, 100, 150], [35, 50, 135, 150]], [0.9, 0.3])
    both = together(one, seen([[33, 50, 133, 150]], [0.8]), 400, 300)
    np.testing.assert_allclose(both.boxes.xyxy[0], [0, 50, 100, 150])  # the surer one keeps its place
    assert both.scores[0] == 0.9


def test_one_box_of_a_face_that_the_other_saw_twice() -> None:
    one, other = seen([[0, 0, 10, 10]], [0.4]), seen([[0, 0, 10, 9], [0, 3, 10, 13]], [0.8, 0.6])
    assert len(together(one, other, 99, 99)) == 2  # its two overlap by less than half: two, for all we know
    nearer = seen([[0, 0, 10, 9], [0, 2.5, 10, 12]], [0.8, 0.6])
    assert len(together(one, nearer, 99, 99)) == 1


@pytest.mark.parametrize("empty", ["one", "other", "both"])
def test_what_only_one_saw_or_neither(empty: str) -> None:
    face, nothing = seen([[10, 10, 20, 20]], [0.6]), Detections()
    pair = {"one": (nothing, face), "other": (face, nothing), "both": (nothing, nothing)}[empty]
    both = together(*pair, 99, 99)
    expected = nothing if empty == "both" else face
    np.testing.assert_array_equal(both.boxes.xyxy, expected.boxes.xyxy)
    np.testing.assert_array_equal(both.scores, expected.scores)


def test_a_face_that_ends_with_the_picture_for_either_look_does() -> None:
    one = seen([[0, 20, 30, 60], [170, 20, 195, 60], [80, 2, 110, 30]], [0.3, 0.3, 0.3])
    other = seen([[4, 20, 30, 60], [170, 20, 200, 60], [80, 0, 110, 26]], [0.9, 0.9, 0.9])
    boxes = together(one, other, 200, 100).boxes
    assert {0.0} == {boxes.xyxy[:, 0].min(), boxes.xyxy[:, 1].min()} and boxes.xyxy[:, 2].max() == 200
    assert 26 < boxes.xyxy[boxes.xyxy[:, 1] == 0, 3] < 30


def test_a_face_cut_by_a_tile_is_still_known_for_a_part_of_it() -> None:
    """The wide view shows it whole, if weaker; the mirror image of the tile ends its part before the side."""

    class Cut(SquareDetector):
        def _detect(self, picture: Picture) -> Detections:
            width = picture.shape[1]
            if width == 800:
                return seen([[360, 100, 460, 200]], [0.55])
            light = int(picture[0, :, 0].argmax()) < width / 2  # which way round it is
            if picture[0, :, 0].max() < 200:
                return Detections()
            return (
                seen([[360, 100, width, 200]], [0.3]) if light else seen([[15, 100, width - 360, 200]], [0.9])
            )

    pixels = np.random.default_rng(0).integers(0, 99, (600, 800, 1), dtype=np.uint8).repeat(3, axis=2)
    pixels[0, 5] = 255  # in the first tile alone
    asked = DetectorConfig(tiles="2", min_face=20)
    (found,) = looking(Cut(input_size=400), asked).detect([pixels])
    assert len(found) == 1
    np.testing.assert_allclose(found.boxes.xyxy[0], [360, 100, 460, 200])
    np.testing.assert_allclose(found.scores, [0.9])


def test_scores_of_nothing_are_no_division_by_it() -> None:
    nought = seen([[10, 10, 20, 20]], [0])
    assert np.isfinite(together(nought, nought, 99, 99).boxes.xyxy).all()


def test_tiles_in_doubt_are_looked_at_again_and_no_other() -> None:
    detector = OneEyed()
    asked = DetectorConfig(tiles="2", min_face=20)
    (found,) = looking(detector, asked).detect([scene(800, 600, [(620, 100, 60)])])
    np.testing.assert_allclose(found.scores.max(), 0.9)
    whole_and_tiles = 5
    assert whole_and_tiles < detector.views < 2 * whole_and_tiles


def test_a_look_at_once_is_one_whatever_the_detector_would_do_alone() -> None:
    for wrapped in (lambda each: each, stages.Shared):
        detector = OneEyed()
        plainly = look_once(
            wrapped(looking(detector, DetectorConfig(tiles="3", mirror="always"))), [picture()]
        )
        assert detector.views == 1
        np.testing.assert_allclose(plainly[0].scores, [0.3])


def test_the_settings_decide() -> None:
    for config in (DetectorConfig, EvaluationConfig):
        assert getattr(looking(OneEyed(), config(mirror="off")), "mirror", None) is None
        assert looking(OneEyed(), config()).mirror == "auto"  # type: ignore[attr-defined]
    whole = DetectorConfig(tiles="off")
    twice = looking(looking(OneEyed(), replace(whole, score_threshold=0.2)), whole)
    assert isinstance(twice, MirroredDetector) and isinstance(twice.detector, OneEyed)
    assert (twice.threshold, mirror_of(twice)) == (0.5, "auto")
    tiling = looking(OneEyed(), DetectorConfig(tiles="2"))
    assert looking(tiling, whole) is tiling and mirror_of(tiling) == "auto"
    assert mirror_of(looking(OneEyed(), DetectorConfig(mirror="off"))) == "off"
    with pytest.raises(UserError, match=r"detector\.mirror: .*sometimes.*auto, off, always"):
        asked = AnonymizeConfig(detector=DetectorConfig(mirror="sometimes"))
        validate(asked, unasked=("data", "detector.model"))


def test_the_library_asks_twice_too(tmp_path: Path) -> None:
    assert len(anonymize_array(picture(), OneEyed()).faces) == 1
    assert len(anonymize_array(picture(), OneEyed(), mirror="off").faces) == 0
    Image.fromarray(picture()).save(tmp_path / "a.png")
    entry = anonymize_file(tmp_path / "a.png", tmp_path / "b.png", OneEyed())
    assert len(entry.faces) == 1
    assert entry.settings["detector"]["mirror"] == "auto"


def test_a_folder_is_done_anew_when_it_is_to_be_looked_at_otherwise(tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    Image.fromarray(picture()).save(data / "a.png")
    config = AnonymizeConfig(detector=DetectorConfig(mirror="off"))
    for mirror, faces, todo in (("off", 0, 1), ("off", 0, 0), ("auto", 1, 1)):
        asked = replace(config, detector=DetectorConfig(mirror=mirror))
        summary = anonymize_folder(data, out, detector=OneEyed(), config=asked)
        assert (summary.faces, len(summary.todo)) == (faces, todo)
    last = json.loads((out / "manifest.jsonl").read_text().splitlines()[-1])
    assert last["settings"]["detector"]["mirror"] == "auto"


def test_a_second_look_at_a_whole_output_asks_as_it_is_told(tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    Image.fromarray(picture()).save(data / "a.png")
    anonymize_folder(
        data, out, detector=OneEyed(), config=AnonymizeConfig(detector=DetectorConfig(mirror="off"))
    )
    for mirror, kinds in (("off", []), ("auto", ["face"])):
        config = VerifyOutputConfig(out=str(out), detector=DetectorConfig(mirror=mirror))
        assert [each.kind for each in verify_folder(config, OneEyed()).problems] == kinds


def test_a_detector_that_does_not_say_what_it_sees_is_asked_twice_and_never_in_tiles(tmp_path: Path) -> None:
    class Reticent(OneEyed):
        def __init__(self) -> None:
            super().__init__()
            del self.input_size, self.wanted_side

        def _detect(self, picture: Picture) -> Detections:
            self.input_size = 400
            found = super()._detect(picture)
            del self.input_size
            return found

    data = tmp_path / "data"
    data.mkdir()
    Image.fromarray(picture()).save(data / "a.png")
    summary = anonymize_folder(data, tmp_path / "out", detector=Reticent())
    assert summary.faces == 1
    settings = summary.entries["a.png"].settings["detector"]
    assert (settings["tiles"], settings["mirror"]) == ("off", "auto")
