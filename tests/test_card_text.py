"""What a model card says, and when."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.anonymize.detect import Detections
from pipeline.boxes import Boxes
from pipeline.card import write_card
from pipeline.card_text import Verdict, spoken
from pipeline.config.compose import compose
from pipeline.config.schema import EvaluationConfig, RedactConfig, TrainConfig
from pipeline.data.version import DatasetVersion
from pipeline.evaluation.labelled import LabelledFaces
from pipeline.evaluation.predict import Predictions
from pipeline.evaluation.report import Evaluation
from pipeline.evaluation.run import measure
from pipeline.history import StageRecord

VERSION = DatasetVersion(
    Path("v"), "facemask", "f" * 64, {"test": 40}, {"test": 80}, {}, {"facemask": "there"}
)
STAGE = StageRecord("one", "random", 100, 100, 0.8, 8, 384, 6e-4, "adamw", 0.998, 0, 1.25)
GATES = [
    Verdict("recall", True, False, "0.9, released 0.8"),
    Verdict("needless_pixels", False, True, "0.02, released 0.01: 0.005 beyond that interval"),
]


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    """Forty pictures with a large face that is always found and a small one that seldom is."""
    boxes = [[10, 10, 70, 70], [100, 10, 112, 22]]
    pictures, detections = [], []
    for number in range(40):
        arrays = Boxes(np.array(boxes)), np.zeros(2, dtype=bool)
        pictures.append(
            LabelledFaces(
                number, Path("x.png"), "x", "s", 200, 100, arrays[0], ("a", "a"), ("s", "s"), arrays[1]
            )
        )
        found = boxes if number % 4 == 0 else boxes[:1]
        detections.append(Detections(Boxes(np.array(found)), np.full(len(found), 0.9)))
    return measure(pictures, Predictions(detections, []), EvaluationConfig(), RedactConfig(), "d2", "drawn")


def card(
    folder: Path,
    evaluation: Evaluation,
    gates: list[Verdict],
    calibration: dict | None,
    overrides: Sequence[str] = (),
) -> str:
    if calibration:
        (folder / "calibration.json").write_text(json.dumps(calibration))
    config = compose(TrainConfig, "train", ["model=efficientdet_d2", *overrides])
    return write_card(config, VERSION, [STAGE, replace(STAGE, run="two")], evaluation, folder, gates)


CALIBRATION = {
    "reason": "",
    "pictures": 226,
    "precision": {"hits": 82, "of": 100, "low": 0.73, "high": 0.89},
    "recall": {"hits": 82, "of": 90, "low": 0.83, "high": 0.96},
    "settings": {"precision": 0.8, "confidence": 0.9},
    "metrics": {"raw_score_at_threshold": 0.3584},
    "raw": [0, 1],
    "calibrated": [0, 1],
}


def test_a_card_says_which_boxes_were_moved(tmp_path: Path, evaluation: Evaluation) -> None:
    moved = "dataset.sources.sample.grow={with_mask: {top: -0.2}}"
    text = card(tmp_path, evaluation, GATES, CALIBRATION, [moved])
    assert (
        "\nSo that sets agree, in training and in all figures, sides of boxes of with_mask in sample" in text
    )
    assert "sample are moved: top -0.2; shares of it, + is outwards.\n" in text


def test_a_card_tells_what_was_trained_from_what_was_only_calibrated_anew(
    tmp_path: Path, evaluation: Evaluation
) -> None:
    half, whole = replace(STAGE, run="half", start_share=0.5), replace(STAGE, run="whole", start_share=1.0)
    moved = "dataset.sources.sample.grow={with_mask: {top: -0.2}}"
    config = compose(TrainConfig, "train", ["model=efficientdet_d2", moved])
    text = write_card(config, VERSION, [STAGE, half, whole], evaluation, tmp_path, GATES)
    assert "\nSo that sets agree, in calibration and in all figures, sides of boxes of with_mask" in text
    assert "| one | random | 100 × 8 | 384 |" in text
    assert "| half | random | 100 × 8, of which 50% the start's | 384 |" in text
    assert "| whole | random | none, calibrated anew |  |  |  | 1.2 |" in text


def test_a_release_says_how_it_was_made_what_it_means_and_what_was_accepted(
    tmp_path: Path, evaluation: Evaluation
) -> None:
    text = card(tmp_path, evaluation, GATES, CALIBRATION)
    assert "Together 2.5 hours" in text and "| two | random | 100 × 8 | 384 |" in text
    assert "precision 0.820 (0.730–0.890)" in text and "that score was\n0.358" in text
    assert "1 of 2 gates of this release passed" in text and "So that sets agree" not in text
    assert "accepted by decision:\n\n- `needless_pixels`: 0.02" in text
    assert "Kaggle states CC0" in text
    stored = json.loads((tmp_path / "model_card.json").read_text())
    assert (stored["nms_iou"], stored["max_detections"], stored["input_size"]) == (0.5, 300, 768)
    assert stored["calibration"]["raw"] == [0, 1]
    assert [stage["run"] for stage in stored["stages"]] == ["one", "two"]


def test_what_is_found_less_than_the_rest_is_named_as_a_weakness(
    tmp_path: Path, evaluation: Evaluation
) -> None:
    text = card(tmp_path, evaluation, [], None)
    weak = text.split("## Where it is weak")[1].split("##")[0]
    assert "- faces under 16 px: 75% are missed (recall 0.250 (" in weak
    assert "32 to 96" not in weak


def test_ignored_faces_of_a_consensus_are_told(tmp_path: Path, evaluation: Evaluation) -> None:
    assert "consensus" not in card(tmp_path, evaluation, [], CALIBRATION)
    text = card(tmp_path, evaluation, [], CALIBRATION | {"consensus_faces": 7})
    assert "7 faces that only a consensus names count for nothing" in text


def test_what_is_not_calibrated_says_so(tmp_path: Path, evaluation: Evaluation) -> None:
    reason = CALIBRATION | {"reason": "12 labelled faces, calibration.min_faces=100"}
    text = card(tmp_path, evaluation, [], reason)
    assert "**this detector is not calibrated** (12 labelled faces" in text
    assert "reliability.png" not in text and "## Gates" not in text


def test_the_code_in_it_is_in_ruffs_format(tmp_path: Path, evaluation: Evaluation) -> None:
    card(tmp_path, evaluation, GATES, CALIBRATION)
    command = [sys.executable, "-m", "ruff", "format", "--check", "--isolated", "--line-length", "110"]
    subprocess.run([*command, str(tmp_path / "README.md")], check=True, capture_output=True)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("size_lt16", "faces under 16 px"),
        ("size_gt96", "faces over 96 px"),
        ("size_16_32", "faces of 16 to 32 px"),
        ("source_ilc2021", "faces of the set `ilc2021`"),
        ("mask_worn_wrongly", "faces labelled mask worn wrongly"),
    ],
)
def test_slices_have_names_for_people(name: str, words: str) -> None:
    assert spoken(name) == words
