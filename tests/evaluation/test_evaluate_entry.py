"""evaluate.py as it is called: the real command, a set of one's own, a model that is no EfficientDet."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import evaluate
from pipeline.config import cli
from pipeline.config.schema import EvaluateConfig

PICTURES = 6


def call(*arguments: str) -> int:
    return cli.run(evaluate.main, EvaluateConfig, "evaluate", list(arguments))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Says of every picture that its left half is a face."""
    import tensorflow as tf

    module = tf.Module()
    module.serve = tf.function(
        lambda picture: {
            "detection_boxes": tf.constant([[[0.0, 0.0, 1.0, 0.5]]]),
            "detection_scores": tf.constant([[0.9]]),
            "detection_classes": tf.constant([[1.0]]),
            "num_detections": tf.constant([1.0]),
        },
        input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8, name="input_tensor")],
    )
    folder = tmp_path_factory.mktemp("model") / "half"
    tf.saved_model.save(module, str(folder), signatures={"serving_default": module.serve})
    return folder


@pytest.fixture
def dataset(tmp_path: Path) -> list[str]:
    """A YOLO set: one face in the left half of each picture, and another in the right half of the first."""
    generator = np.random.default_rng(0)
    for number in range(PICTURES):
        pixels = np.kron(generator.integers(0, 256, (8, 8, 3)), np.ones((8, 8, 1))).astype(np.uint8)
        labels = ["0 0.25 0.5 0.5 1"] + ["1 0.75 0.5 0.5 1"] * (number == 0)
        for folder in ("images", "labels"):
            (tmp_path / "set" / folder).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "set" / "images" / f"{number}.png")
        (tmp_path / "set" / "labels" / f"{number}.txt").write_text("\n".join(labels))
    (tmp_path / "set" / "classes.txt").write_text("mask\nno_mask\n")
    return [
        f"dataset.versions={tmp_path / 'versions'}",
        "dataset=adityap237",
        f"dataset.sources.adityap237.root={tmp_path / 'set'}",
    ]


def test_a_whole_set_on_any_model(tmp_path: Path, model: Path, dataset: list[str], capsys) -> None:
    out = tmp_path / "out"
    assert call(*dataset, f"evaluation.model={model}", "evaluation.split=all", f"out={out}") == 0
    content = json.loads((out / "metrics.json").read_text())
    metrics = content["metrics"]
    assert (metrics["pictures"], metrics["faces"]) == (PICTURES, PICTURES + 1)
    assert metrics["recall_at_threshold"] == pytest.approx(PICTURES / (PICTURES + 1))
    assert (metrics["recall/with_mask"], metrics["recall/without_mask"]) == (1, 0)
    assert metrics["exposed_faces"] == pytest.approx(1 / (PICTURES + 1))
    assert content["dataset"] == "adityap237 all"
    printed = capsys.readouterr().out
    assert "recall at threshold" in printed and f"Written to {out}" in printed


def test_an_empty_split_is_named(tmp_path: Path, model: Path, dataset: list[str], capsys) -> None:
    code = call(
        *dataset,
        f"evaluation.model={model}",
        "dataset.split.test=1",
        "dataset.split.val=0",
        "evaluation.split=val",
    )
    assert code == 2
    assert "evaluation.split: val of adityap237 is empty; pictures:" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["evaluation.model=/nowhere"], "evaluation.model: '/nowhere'; allowed: a SavedModel folder"),
        (["evaluation.model=null"], "evaluation.model: no value given; allowed: a SavedModel folder"),
        (["evaluation.score_threshold=5", "evaluation.model=null"], "evaluation.score_threshold: 5"),
        (["evaluation.split=tset", "evaluation.model=null"], "one of train, val, test, all"),
    ],
)
def test_wrong_input_is_one_message(arguments: list[str], message: str, capsys) -> None:
    assert call(*arguments) == 2
    shown = capsys.readouterr().err
    assert message in shown and "Traceback" not in shown
