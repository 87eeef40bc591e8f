"""Answers that are kept: no picture is looked at twice, whatever happened in between."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.anonymize.detect import Detections
from pipeline.boxes import Boxes
from pipeline.config.schema import EvaluationConfig
from pipeline.evaluation import evaluate
from pipeline.release.kept import KeptDetector


class Counting:
    digest = "0123456789abcdef-and-more"
    input_size = 256
    runtime = "openvino"

    def __init__(self) -> None:
        self.seen = 0

    def detect(self, pictures):
        self.seen += len(pictures)
        return [
            Detections(Boxes(np.array([[0.1, 0.2, 3, 4 + int(each[0, 0, 0])]])), np.array([1 / 3]))
            if each[0, 0, 0]
            else Detections()
            for each in pictures
        ]


PICTURES = [np.full((4, 5, 3), value, np.uint8) for value in (0, 1, 2)]


def test_what_was_asked_is_not_asked_again(tmp_path: Path) -> None:
    first, second = Counting(), Counting()
    before = KeptDetector(first, tmp_path).detect(PICTURES)
    after = KeptDetector(second, tmp_path).detect([*PICTURES[::-1], PICTURES[0].reshape(5, 4, 3)])
    assert (first.seen, second.seen) == (3, 1), "the same bytes in another shape are another picture"
    for one, other in zip(before, after[2::-1], strict=True):
        np.testing.assert_array_equal(one.boxes.xyxy, other.boxes.xyxy)
        np.testing.assert_array_equal(one.scores, other.scores)


def test_a_line_cut_short_is_asked_again(tmp_path: Path) -> None:
    KeptDetector(Counting(), tmp_path).detect(PICTURES)
    (path,) = tmp_path.iterdir()
    path.write_text(path.read_text()[:-20])
    again = Counting()
    assert len(KeptDetector(again, tmp_path).detect(PICTURES)[2]) == 1
    assert again.seen == 1
    fresh = Counting()
    KeptDetector(fresh, tmp_path).detect(PICTURES)
    assert fresh.seen == 0


def test_another_model_has_answers_of_its_own(tmp_path: Path) -> None:
    KeptDetector(Counting(), tmp_path).detect(PICTURES)
    other = Counting()
    other.digest = "f" * 64
    KeptDetector(other, tmp_path).detect(PICTURES)
    assert other.seen == 3


def test_another_form_or_version_of_the_runtime_is_asked_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    KeptDetector(Counting(), tmp_path).detect(PICTURES)
    for name, value in (("pipeline.release.kept.FORM", 0), ("openvino.__version__", "2026.0.0-1-release")):
        monkeypatch.setattr(name, value)
        other = Counting()
        KeptDetector(other, tmp_path).detect(PICTURES)
        assert other.seen == 3
    assert (tmp_path / "0123456789abcdef-openvino-2026.0.0-0.jsonl").is_file()


def test_a_look_into_a_file_is_not_the_detectors_speed(tmp_path: Path) -> None:
    """Through tiles, too."""
    Image.fromarray(PICTURES[1]).save(tmp_path / "a.png")
    image = {"id": 1, "file_name": "a.png", "width": 5, "height": 4}
    coco = tmp_path / "test.json"
    coco.write_text(json.dumps({"images": [image], "annotations": []}))
    for detector, timed in ((Counting(), True), (KeptDetector(Counting(), tmp_path / "kept"), False)):
        metrics = evaluate(detector, coco, EvaluationConfig(tiles="auto")).metrics
        assert ("seconds_per_picture" in metrics) == timed


def test_it_says_what_the_detector_says_of_itself(tmp_path: Path) -> None:
    kept = KeptDetector(Counting(), tmp_path)
    assert (kept.digest, kept.input_size) == (Counting.digest, 256)
    with pytest.raises(AttributeError):
        _ = kept.wanted_side
