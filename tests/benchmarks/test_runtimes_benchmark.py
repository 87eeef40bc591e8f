from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.roofline import Roofline
from benchmarks.runtimes import Row, Runtime, children, detections, report, runtimes, time_in_turn
from pipeline.anonymize.detect import OpenVinoDetector, load_detector, model_digest
from pipeline.anonymize.detect.canvas import Letterboxed
from pipeline.anonymize.detect.convert import Converted, convert
from pipeline.anonymize.detect.suppress import Suppression
from pipeline.config.schema.runtimes import RuntimesConfig
from pipeline.errors import UserError
from tests.anonymize.tiny import SIDE, build_tiny


def test_a_runtime_is_timed_and_finds_what_the_detector_finds(tmp_path: Path) -> None:
    model = build_tiny(tmp_path / "model")
    detector = load_detector(model, runtime="openvino", floor=0.01)
    assert isinstance(detector, OpenVinoDetector)
    conversion = convert(model, model_digest(model))
    squares = np.random.default_rng(0).integers(0, 256, (5, SIDE, SIDE, 3), dtype=np.uint8)
    np.save(tmp_path / "squares.npy", squares)
    rows = [Row(Runtime(name, "openvino", name, conversion.network)) for name in ("f32", "f32-streams")]
    with children(rows) as running:
        time_in_turn(running, rows, tmp_path / "squares.npy", rounds=3)
        job = {"squares": str(tmp_path / "squares.npy"), "save": str(tmp_path / "found.npz")}
        assert [child.ask(job) for child in running] == [{"saved": 5}] * 2
    assert [len(times) for row in rows for times in row.seconds.values()] == [3] * 4
    assert all(0 < least <= median for row in rows for least, median in map(row.milliseconds, (1, 4)))
    places = [Letterboxed((SIDE, SIDE), (SIDE, SIDE), (SIDE, SIDE), 0.01)] * 5
    found = list(detections(tmp_path / "found.npz", places, conversion))
    for one, other in zip(found, detector.detect(list(squares)), strict=True):
        np.testing.assert_allclose(one.boxes.xyxy, other.boxes.xyxy, atol=1e-3)
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)


def test_the_table_gives_shares_of_the_peak_and_the_loss_of_accuracy() -> None:
    reference = Row(Runtime("TensorFlow", "tensorflow", "float32", Path()))
    reference.seconds, reference.figures = {1: [0.2, 0.25, 0.4], 4: [1.2]}, {"AP50": 0.7, "AP": 0.31}
    fast = Row(Runtime("OpenVINO bf16", "openvino", "bf16", Path(), "bfloat16"))
    fast.seconds, fast.figures = {1: [0.1], 4: [0.32]}, {"AP50": 0.7, "AP": 0.3085}
    text = report([reference, fast], Roofline({"float32": 400.0, "bfloat16": 800.0}, 20.0), 9)
    assert "| TensorFlow | 200 (250) | 300 (300) | 100 | 25% | 0.7000 | 0.3100 | 0.00 |" in text
    assert "| OpenVINO bf16 | 100 (100) | 80 (80) | 250 | 31% | 0.7000 | 0.3085 | 0.15 |" in text


def test_eight_bits_want_pictures_to_be_calibrated_on(tmp_path: Path) -> None:
    config = RuntimesConfig(truth="val.json", runtimes=["OpenVINO int8"])
    with pytest.raises(UserError, match="calibration: no value given"):
        runtimes(config, tmp_path, convert_nothing(tmp_path), tmp_path)


def convert_nothing(folder: Path) -> Converted:
    return Converted(folder, SIDE, True, Suppression(0.5, 0.01, 300))
