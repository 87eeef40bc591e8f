"""Where the detector looks again depends on the map, and the map on what it finds there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from pipeline.anonymize import Detections
from pipeline.anonymize.looks import looking
from pipeline.calibration import run
from pipeline.calibration.fit import lower_bound
from pipeline.calibration.run import _Rescored, fit_where_it_looks
from pipeline.calibration.scored import score_all
from pipeline.config.schema import CalibrationConfig, EvaluationConfig
from pipeline.evaluation.labelled import LabelledFaces
from pipeline.evaluation.predict import BATCH, read_picture
from tests.anonymize.squares import Picture, SquareDetector, boxes_of, scene

CONFIG = CalibrationConfig(min_faces=50)


class Dim(SquareDetector):
    """The brighter a square, the surer; shown a part, it is surer of every other brightness."""

    part_size = 128

    def __init__(self, part: bool = False) -> None:
        super().__init__(input_size=128 if part else 400, needed=8)
        self.part = part
        self.parts: list[list[tuple[int, ...]]] = []

    def _detect(self, picture: Picture) -> Detections:
        boxes = super()._detect(picture).boxes
        middles = ((boxes.xyxy[:, :2] + boxes.xyxy[:, 2:]) / 2).astype(int)
        bright = picture[middles[:, 1], middles[:, 0], 0].astype(float)
        return Detections(boxes, (bright - 200) / 100 + 0.2 * (self.part & (bright % 2 > 0)))

    def detect_parts(self, pictures: Sequence[Picture]) -> list[Detections]:
        self.parts.append([picture.shape[:2] for picture in pictures])
        return Dim(part=True).detect(pictures)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> list[LabelledFaces]:
    """One face a picture, and beside it a square that nobody has labelled, mostly darker."""
    folder, random = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    pictures = []
    for number in range(80):
        face, other = (60, 50, 24), (220, 60, 24)
        pixels = scene(320, 240, seed=number)
        for (left, top, size), bright in ((face, random.normal(233, 9)), (other, random.normal(215, 9))):
            pixels[top : top + size, left : left + size] = int(np.clip(bright, 204, 255))
        path = folder / f"{number}.png"
        Image.fromarray(pixels).save(path)
        labels = {"boxes": boxes_of([face]), "labels": ("face",), "sources": ("drawn",)}
        place = {"path": path, "name": path.name, "source": "drawn", "width": 320, "height": 240}
        pictures.append(LabelledFaces(number, **place, **labels, ignored=np.zeros(1, dtype=bool)))
    return pictures


@pytest.mark.parametrize("mirror", ["auto", "always", "off"])
def test_a_half_means_what_it_should_where_the_tool_looks(labelled: list[LabelledFaces], mirror: str) -> None:
    detector, evaluation = Dim(), EvaluationConfig(mirror=mirror)
    found, scored = fit_where_it_looks(detector, labelled, CONFIG, evaluation)
    assert not found.reason and found.precision_lower_bound >= CONFIG.precision
    tool = looking(_Rescored(Dim(), found.score_map), evaluation)
    seen = score_all(labelled, tool.detect([read_picture(each) for each in labelled]), evaluation.iou)
    assert lower_bound(seen, 0.5, CONFIG.confidence) == found.precision_lower_bound
    np.testing.assert_allclose(found.score_map(scored.scores), seen.scores, atol=1e-9)
    assert seen.counts(0.5) == (found.recall.hits, found.precision.of)


def test_doubts_are_those_of_the_threshold_that_is_calibrated(labelled: list[LabelledFaces]) -> None:
    found, _ = fit_where_it_looks(Dim(), labelled, CONFIG, EvaluationConfig())
    other, _ = fit_where_it_looks(Dim(), labelled, CONFIG, EvaluationConfig(score_threshold=0.2))
    assert found == other


def test_a_map_that_no_round_could_hold_is_judged_where_it_looks(
    labelled: list[LabelledFaces], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Fitted to what is found without parts, it promises more than it keeps with them."""
    monkeypatch.setattr(run, "ROUNDS", 0)
    found, _ = fit_where_it_looks(Dim(), labelled, CONFIG, EvaluationConfig())
    tool = looking(_Rescored(Dim(), found.score_map), EvaluationConfig())
    seen = score_all(labelled, tool.detect([read_picture(each) for each in labelled]), 0.5)
    assert found.precision_lower_bound == lower_bound(seen, 0.5, CONFIG.confidence) < CONFIG.precision
    assert "after 0 rounds no map holds" in caplog.text


def test_each_picture_is_looked_at_whole_once_and_only_its_parts_again(labelled: list[LabelledFaces]) -> None:
    detector = Dim()
    fit_where_it_looks(detector, labelled, CONFIG, EvaluationConfig())
    assert detector.views == len(labelled)
    assert len(detector.parts) > 1.5 * len(labelled)


def test_what_cannot_be_calibrated_is_not_looked_at_again(labelled: list[LabelledFaces]) -> None:
    detector = Dim()
    found, _ = fit_where_it_looks(detector, labelled, CalibrationConfig(min_faces=999), EvaluationConfig())
    assert "80 labelled faces" in found.reason and found.score_map.is_identity
    assert len(detector.parts) <= len(labelled) + BATCH, "which warms it up"
