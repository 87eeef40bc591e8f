"""The map of a SavedModel, as it is kept beside its graph."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.anonymize.detect import Detections
from pipeline.boxes import Boxes
from pipeline.calibration.fit import exact_lower_bound, lower_bound
from pipeline.calibration.run import _RawOutputs, _Rescored, assess, document
from pipeline.calibration.score_map import CALIBRATION, ScoreMap, kept_score_map
from pipeline.calibration.scored import Scored
from pipeline.config.schema import CalibrationConfig
from pipeline.release import checks

SCORES = np.linspace(0.9, 0.02, 400)
SCORED = Scored(SCORES, np.tile([0.1, 0.4], 200) < SCORES, np.arange(400) // 4, 100, 300)


def test_what_is_written_is_what_the_graph_computes(tmp_path: Path) -> None:
    found = assess(SCORED, CalibrationConfig())
    assert not found.reason
    (tmp_path / CALIBRATION).write_text(json.dumps(document(found, CalibrationConfig(), SCORED)))
    assert kept_score_map(tmp_path) == found.score_map, "to the last digit, so that raw scores come back"
    content = json.loads((tmp_path / CALIBRATION).read_text())
    assert content["precision_lower_bound"] >= 0.8
    assert content["precision"]["of"] == (found.score_map(SCORES) >= 0.5).sum()


def test_the_bound_that_is_written_is_the_one_that_decided_and_that_the_gate_asks_for() -> None:
    """Errors come in company, so that the bound over pictures lies below Clopper and Pearson's."""
    together = Scored(SCORES, np.repeat(np.tile([0.1, 0.5], 50), 4) < SCORES, SCORED.picture, 100, 300)
    config = CalibrationConfig(confidence=0.7)
    found = assess(together, config)
    assert not found.reason
    written = document(found, config, together)["precision_lower_bound"]
    calibrated = dataclasses.replace(together, scores=found.score_map(SCORES))
    assert written == lower_bound(calibrated, 0.5, config.confidence)
    assert written < exact_lower_bound(*calibrated.counts(0.5), config.confidence)
    passed, says = checks.calibrated(calibrated, config, found.score_map)
    assert passed and f"at least {written:.4f} with" in says


def test_a_detector_that_says_nothing_is_not_calibrated(tmp_path: Path) -> None:
    assert kept_score_map(tmp_path).is_identity


class Fixed:
    digest, input_size = "fixed", 256

    def detect(self, pictures):
        return [Detections(Boxes(np.array([[0, 0, 9, 9], [5, 5, 9, 9]])), np.array([0.9, 0.5]))]

    detect_parts = detect


def test_raw_scores_come_back_on_any_runtime() -> None:
    score_map = ScoreMap((0.0, 0.25, 0.6, 1.0), (0.0, 0.5, 0.9, 1.0))
    detector = _Rescored(Fixed(), score_map.inverse)
    for found in (detector.detect([]), detector.detect_parts([])):
        assert found[0].scores.tolist() == pytest.approx([0.6, 0.25])
    assert (detector.digest, detector.input_size) == ("fixed", 256)


@pytest.mark.parametrize("raw", [{"detection_raw_scores": 0.25}, {}])
def test_a_graph_without_raw_scores_was_never_calibrated(raw: dict[str, float]) -> None:
    class Model:
        signatures = {"batched": lambda images: {"detection_scores": 0.5, **raw}}

    given = _RawOutputs(Model()).signatures["batched"](images=0)["detection_scores"]
    assert given == (0.25 if raw else 0.5)


@pytest.mark.parametrize("raw", [{"raw_scores": 0.25}, {}])
def test_nor_does_the_network_alone_give_others(raw: dict[str, float]) -> None:
    class Model:
        signatures = {"raw": lambda images: {"boxes": 1, "scores": 0.5, **raw}}

    given = _RawOutputs(Model()).signatures["raw"](images=0)
    assert (given["scores"], given["boxes"]) == (0.25 if raw else 0.5, 1)
