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
from pipeline.anonymize.looks import looking
from pipeline.anonymize.mirror import MirroredDetector, together
from pipeline.anonymize.tiles import look_once
from pipeline.boxes import Boxes
from pipeline.config.schema import AnonymizeConfig, DetectorConfig, EvaluationConfig
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
    (found,) = MirroredDetector(detector, always=False, threshold=0.5).detect([picture()])
    np.testing.assert_allclose(found.scores, [0.9])
    np.testing.assert_allclose(found.boxes.xyxy, boxes_of([FACE]).xyxy, atol=1)
    assert detector.views == 2


@pytest.mark.parametrize(
    ("dim", "threshold", "views"),
    [(0.3, 0.5, 2), (0.1, 0.5, 2), (0.09, 0.5, 1), (0.5, 0.5, 1), (0.3, 0.2, 1), (0.09, 0.2, 2)],
)
def test_a_doubt_is_a_score_from_a_fifth_of_the_threshold_up_to_it(
    dim: float, threshold: float, views: int
) -> None:
    detector = OneEyed(dim)
    MirroredDetector(detector, always=False, threshold=threshold).detect([picture()])
    assert detector.views == views


def test_only_pictures_in_doubt_are_looked_at_again_unless_all_are_to_be() -> None:
    pictures = [picture([(20, 30, 50)]), picture(), picture([])]
    for always, shown in ((False, [3, 1]), (True, [3, 3])):
        detector = OneEyed()
        found = MirroredDetector(detector, always, 0.5).detect(pictures)
        assert [len(each) for each in found] == [1, 1, 0]
        assert [len(each) for each in detector.shown] == shown


def test_what_either_is_sure_of_counts_and_both_draw_it() -> None:
    one = Detections(Boxes(np.array([[0.0, 0, 10, 10], [50, 50, 60, 60]])), np.array([0.9, 0.2]))
    other = Detections(Boxes(np.array([[2.0, 0, 12, 10], [80, 80, 90, 90]])), np.array([0.3, 0.7]))
    for both in (together(one, other), together(other, one)):
        np.testing.assert_allclose(both.scores, [0.9, 0.7, 0.2])
        np.testing.assert_allclose(both.boxes.xyxy[0], [0.5, 0, 10.5, 10])
        np.testing.assert_allclose(both.boxes.xyxy[1:], [[80, 80, 90, 90], [50, 50, 60, 60]])


def test_one_box_of_a_face_that_the_other_saw_twice() -> None:
    one = Detections(Boxes(np.array([[0.0, 0, 10, 10]])), np.array([0.4]))
    other = Detections(Boxes(np.array([[0.0, 0, 10, 9], [0, 3, 10, 13]])), np.array([0.8, 0.6]))
    assert len(together(one, other)) == 2  # its two overlap by less than half: two faces, for all we know
    nearer = Detections(Boxes(np.array([[0.0, 0, 10, 9], [0, 2.5, 10, 12]])), np.array([0.8, 0.6]))
    assert len(together(one, nearer)) == 1


@pytest.mark.parametrize("empty", ["one", "other", "both"])
def test_what_only_one_saw_or_neither(empty: str) -> None:
    seen, nothing = Detections(boxes_of([FACE]), np.array([0.6])), Detections()
    pair = {"one": (nothing, seen), "other": (seen, nothing), "both": (nothing, nothing)}[empty]
    assert len(together(*pair)) == (empty != "both")


def test_scores_of_nothing_are_no_division_by_it() -> None:
    nought = Detections(boxes_of([FACE]), np.zeros(1))
    assert np.isfinite(together(nought, nought).boxes.xyxy).all()


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
        seen = look_once(wrapped(looking(detector, DetectorConfig(tiles="3", mirror="always"))), [picture()])
        assert detector.views == 1
        np.testing.assert_allclose(seen[0].scores, [0.3])


def test_the_settings_decide() -> None:
    for config in (DetectorConfig, EvaluationConfig):
        assert getattr(looking(OneEyed(), config(mirror="off")), "mirror", None) is None
        assert looking(OneEyed(), config()).mirror == "auto"  # type: ignore[attr-defined]
    twice = looking(looking(OneEyed(), DetectorConfig(tiles="off")), DetectorConfig(tiles="off"))
    assert isinstance(twice.detector, OneEyed)  # type: ignore[attr-defined]
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
