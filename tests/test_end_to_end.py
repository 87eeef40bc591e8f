"""The whole line by the real commands: prepare → train → stop → resume → export → evaluate → anonymize."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import matplotlib.cbook
import numpy as np
import pytest
from PIL import Image
from skimage import data

TRAIN = [
    "model=efficientdet_d0",
    "model.init=random",
    "model.input_size=256",
    "trainer.image_size=128",
    "trainer.validation_size=128",
    "trainer.batch_size=2",
    "trainer.steps=8",
    "trainer.steps_per_loop=1",
    "trainer.eval_every=8",
    "trainer.warmup_steps=1",
    "run=line",
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("line")


@pytest.fixture(scope="module")
def environment(place: Path) -> dict[str, str]:
    return os.environ | {
        "MLFLOW_TRACKING_URI": f"sqlite:///{place / 'mlflow.db'}",
        "CUDA_VISIBLE_DEVICES": "",
        "PYTHONFAULTHANDLER": "1",
    }


def start(root: Path, environment: dict[str, str], script: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, script, *arguments]
    return subprocess.Popen(
        command, cwd=root, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def finish(process: subprocess.Popen[str], code: int = 0) -> str:
    try:
        output, _ = process.communicate(timeout=600)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)  # PYTHONFAULTHANDLER: it says where it stood
        output, _ = process.communicate(timeout=60)
    assert process.returncode == code, output
    return output


def steps(folder: Path) -> list[int]:
    """Of the training metrics that the run has recorded so far, in order."""
    path = folder / "metrics.jsonl"
    entries = [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []
    return [entry["step"] for entry in entries if "train/total_loss" in entry.get("values", {})]


@pytest.fixture(scope="module")
def run_folder(root: Path, place: Path, environment: dict[str, str]) -> Path:
    """A training on the built-in sample that SIGTERM stopped after its first steps and that went on."""
    folder = place / "runs" / "line"
    process = start_training(root, place, environment)
    deadline = time.monotonic() + 600
    while not steps(folder) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    output = finish(process, 128 + signal.SIGTERM)
    assert "stopped by SIGTERM at step" in output
    assert 0 < len(steps(folder)) < 8, "it was to be stopped midway"
    assert status(place) == ["KILLED"]
    finish(start_training(root, place, environment))
    return folder


def start_training(root: Path, place: Path, environment: dict[str, str]) -> subprocess.Popen[str]:
    places = [f"outputs={place / 'runs'}", f"dataset.versions={place / 'versions'}"]
    return start(root, environment, "train.py", *TRAIN, *places)


def status(place: Path) -> list[str]:
    with sqlite3.connect(place / "mlflow.db") as store:
        return [row[0] for row in store.execute("select status from runs")]


def test_resuming_continues_the_same_run(run_folder: Path, place: Path) -> None:
    assert status(place) == ["FINISHED"]
    assert steps(run_folder) == list(range(1, 9)), "each step once, none lost"


def test_the_run_leaves_a_detector_its_card_and_its_figures(run_folder: Path) -> None:
    model = run_folder / "efficientdet_d0"
    card = json.loads((model / "model_card.json").read_text())
    assert card["training"]["steps"] == 8
    assert "AP50" in card["metrics"]
    assert (model / "saved_model.pb").is_file()
    assert card["data"]["fingerprint"][:12] in (model / "README.md").read_text()
    assert {"metrics.json", "summary.md", "missed.csv"} <= {
        path.name for path in (run_folder / "evaluation").iterdir()
    }


def test_mlflow_holds_curves_plots_and_a_registered_version(run_folder: Path, place: Path) -> None:
    with sqlite3.connect(place / "mlflow.db") as store:
        metrics = {row[0] for row in store.execute("select distinct key from metrics")}
        versions = store.execute("select name, version from model_versions").fetchall()
        contexts = {row[0] for row in store.execute("select value from input_tags")}
    assert {"train/total_loss", "val/AP50", "test/recall_at_threshold", "test/exposed_faces"} <= metrics
    assert versions == [("veil-face-detector", 1)]
    assert {"train", "val", "test"} <= contexts


def test_a_finished_run_is_not_trained_again(
    run_folder: Path, root: Path, place: Path, environment: dict[str, str]
) -> None:
    before = (run_folder / "efficientdet_d0" / "saved_model.pb").stat().st_mtime_ns
    finish(
        start(
            root,
            environment,
            "train.py",
            *TRAIN,
            f"outputs={place / 'runs'}",
            f"dataset.versions={place / 'versions'}",
        )
    )
    assert (run_folder / "efficientdet_d0" / "saved_model.pb").stat().st_mtime_ns == before
    assert steps(run_folder) == list(range(1, 9))
    with sqlite3.connect(place / "mlflow.db") as store:
        assert store.execute("select count(*) from model_versions").fetchone() == (1,)


def test_evaluate_runs_alone_on_the_exported_model(
    run_folder: Path, root: Path, place: Path, environment: dict[str, str]
) -> None:
    out = place / "evaluation"
    finish(
        start(
            root,
            environment,
            "evaluate.py",
            f"evaluation.model={run_folder / 'efficientdet_d0'}",
            f"dataset.versions={place / 'versions'}",
            f"out={out}",
        )
    )
    alone = json.loads((out / "metrics.json").read_text())["metrics"]
    of_the_run = json.loads((run_folder / "evaluation" / "metrics.json").read_text())["metrics"]
    alone.pop("seconds_per_picture"), of_the_run.pop("seconds_per_picture")
    assert alone == pytest.approx(of_the_run)


def test_anonymize_with_the_released_detector(root: Path, place: Path, environment: dict[str, str]) -> None:
    photos = place / "photos"
    (photos / "deep").mkdir(parents=True)
    Image.fromarray(data.astronaut()).save(photos / "astronaut.png")
    portrait = matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
    shutil.copy(portrait, photos / "deep" / "hopper.jpg")
    (photos / "broken.jpg").write_bytes(b"\xff\xd8 no picture")
    output = finish(start(root, environment, "anonymize.py", f"data={photos}"), code=3)
    out = place / "photos-anonymized"
    assert "broken.jpg" in output
    assert not (out / "broken.jpg").exists()
    before, after = data.astronaut().astype(int), np.asarray(Image.open(out / "astronaut.png")).astype(int)
    difference = np.abs(before - after).max(axis=2)
    assert difference[90:160, 195:255].mean() > 10, "her face is blurred"
    assert (difference > 0).mean() < 0.1, "and little else"
    found = json.loads((out / "detections.json").read_text())
    (portrait_id,) = (each["id"] for each in found["images"] if each["file_name"] == "astronaut.png")
    for each in found["annotations"]:
        if each["image_id"] == portrait_id:
            left, top, width, height = each["region"]
            difference[top : top + height, left : left + width] = 0
    assert difference.max() == 0, "everything outside the regions is as it was"
    assert (out / "deep" / "hopper.jpg").is_file()
    assert len(found["annotations"]) >= 2
