"""What the line refuses before heavy work starts, by the real command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import train
from pipeline.config import cli
from pipeline.config.schema import TrainConfig


@pytest.fixture
def dataset(tmp_path: Path) -> list[str]:
    """A YOLO set of eight pictures, a face in each."""
    generator = np.random.default_rng(0)
    for folder in ("images", "labels"):
        (tmp_path / "set" / folder).mkdir(parents=True)
    for number in range(8):
        pixels = np.kron(generator.integers(0, 256, (8, 8, 3)), np.ones((8, 8, 1))).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "set" / "images" / f"{number}.png")
        (tmp_path / "set" / "labels" / f"{number}.txt").write_text("0 0.25 0.5 0.5 1")
    (tmp_path / "set" / "classes.txt").write_text("mask\n")
    return [
        "dataset=adityap237",
        f"dataset.sources.adityap237.root={tmp_path / 'set'}",
        f"dataset.versions={tmp_path / 'versions'}",
        "dataset.split.val=0.25",
        "dataset.split.test=0.25",
        f"outputs={tmp_path / 'runs'}",
        "tracking=off",
        "model.init=random",
    ]


def call(*arguments: str) -> int:
    return cli.run(train.main, TrainConfig, "train", list(arguments))


@pytest.mark.parametrize(
    ("split", "stage", "message"),
    [
        ("train", "train", "has no face in its train split, which train needs; faces: {'train': 0, 'val': 2"),
        ("val", "train", "has no face in its val split, which train needs"),
        ("val", "calibrate", "has no face in its val split, which calibrate needs"),
        ("test", "evaluate", "holds no finished training"),  # pictures of nobody can be measured on
    ],
)
def test_a_split_without_faces_stops_the_stages_that_learn_from_it(
    tmp_path: Path,
    dataset: list[str],
    capsys: pytest.CaptureFixture[str],
    split: str,
    stage: str,
    message: str,
) -> None:
    assert call(*dataset, "stages=[prepare]") == 0
    version = next((tmp_path / "versions").iterdir())
    for image in json.loads((version / f"{split}.json").read_text())["images"]:
        (tmp_path / "set" / "labels" / f"{Path(image['name']).stem}.txt").write_text("")
    assert call(*dataset, "stages=[prepare]") == 0
    assert call(*dataset, f"stages=[prepare,{stage}]") == 2
    assert message in capsys.readouterr().err
