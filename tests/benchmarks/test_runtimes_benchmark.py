from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks import runtimes as benchmark
from benchmarks.roofline import Roofline
from benchmarks.runtimes import (
    RUNTIMES,
    Row,
    Runtime,
    check,
    children,
    detections,
    main,
    report,
    runtimes,
    time_in_turn,
)
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


@pytest.mark.parametrize("name", ["TensorFlow, XLA", "TensorFlow, oneDNN bf16"])
def test_only_plain_tensorflow_is_the_reference(name: str) -> None:
    row = Row(next(each for each in RUNTIMES if each.name == name))
    row.seconds, row.figures = {1: [0.1], 4: [0.4]}, {"AP50": 0.7, "AP": 0.31}
    peak = Roofline({"float32": 400.0}, 20.0)
    assert report([row], peak, 9).rstrip().endswith("| 0.7000 | 0.3100 |  |")
    plain = replace(row, runtime=RUNTIMES[0], figures={"AP50": 0.7, "AP": 0.32})
    assert report([row, plain], peak, 9).rstrip().endswith("| 0.00 |")
    assert "| 0.3100 | 1.00 |" in report([row, plain], peak, 9)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (["OpenVINO int8"], "calibration: no value given"),
        ([], "calibration: no value given"),
        (["OpenVINO fp32"], "runtimes: 'OpenVINO fp32'; allowed: TensorFlow; .*OpenVINO f32; "),
        (["TensorFlow", "OpenVINO f32", "Open VINO bf16"], "runtimes: 'Open VINO bf16'; allowed: "),
    ],
)
def test_what_cannot_be_measured_is_refused_first(asked: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        main(RuntimesConfig(detector="nowhere", truth="val.json", runtimes=asked))


def test_those_that_are_asked_for_are_measured_in_the_tables_order() -> None:
    config = RuntimesConfig(truth="val.json", runtimes=["OpenVINO bf16, streams", "TensorFlow"])
    assert [each.name for each in check(config)] == ["TensorFlow", "OpenVINO bf16, streams"]
    assert check(replace(config, runtimes=[], calibration="train.json")) == list(RUNTIMES)


def test_eight_bits_of_other_pictures_are_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "environment", lambda folder, packages: Path("python"))
    monkeypatch.setattr(benchmark, "_call", lambda command: Path(command[-1]).touch())
    conversion = Converted(tmp_path / "of-a-detector", SIDE, True, Suppression(0.5, 0.01, 300))
    labels = coco(tmp_path, ["0.png", "1.png"])
    config = RuntimesConfig(truth="val.json", calibration=str(labels), runtimes=["OpenVINO int8"])

    def made(**changes: Any) -> Path:
        given = replace(config, **changes)
        (runtime,) = runtimes(given, check(given), tmp_path, conversion, tmp_path)
        return runtime.model

    first = made()
    assert first.is_file() and first.name.startswith("of-a-detector-int8-nncf-")
    assert made() == first
    monkeypatch.setattr(benchmark, "NNCF", ("nncf==9.9", *benchmark.NNCF[1:]))
    names = {first, made(), made(calibration_pictures=8)}
    coco(tmp_path, ["1.png"])
    names.add(made())
    assert len(names) == 4


def coco(folder: Path, names: list[str]) -> Path:
    """Labels of pictures without faces."""
    for name in names:
        Image.new("RGB", (40, 30)).save(folder / name)
    images = [
        {"id": number, "file_name": name, "width": 40, "height": 30} for number, name in enumerate(names)
    ]
    (folder / "train.json").write_text(json.dumps({"images": images, "annotations": [], "categories": []}))
    return folder / "train.json"
