"""A release by the real command, from raw data to the released folder: two trainings of a few steps."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # four commands that each start TensorFlow


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("release")


def start(root: Path, place: Path, *arguments: str) -> subprocess.Popen[str]:
    places = [f"outputs={place / 'runs'}", f"models={place / 'models'}"]
    return subprocess.Popen(
        [sys.executable, "release.py", "release=sample", *places, *arguments],
        cwd=root,
        env=os.environ | {"MLFLOW_TRACKING_URI": f"sqlite:///{place / 'mlflow.db'}"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def finish(process: subprocess.Popen[str], code: int) -> str:
    output, _ = process.communicate(timeout=1800)
    assert process.returncode == code, output
    return output


@pytest.fixture(scope="module")
def refused(root: Path, place: Path) -> str:
    """What the command says when it was stopped in its first training, went on, and met its gates."""
    process = start(root, place)
    record = place / "runs" / "sample-one" / "metrics.jsonl"
    deadline = time.monotonic() + 900
    while "train/total_loss" not in (record.read_text() if record.is_file() else ""):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()[0]
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    finish(process, 128 + signal.SIGTERM)
    return finish(start(root, place), 3)


def test_a_gate_that_fails_says_which_and_releases_nothing(refused: str, place: Path) -> None:
    assert "NOT CALIBRATED" in refused
    assert "gate failed: calibrated: the detector is not calibrated" in refused
    assert "release.accept=[calibrated]" in refused, "all others passed"
    assert "| parity | passed |" in refused
    assert not (place / "models").exists()


def test_the_second_training_started_from_the_first(refused: str, place: Path) -> None:
    card = place / "runs" / "sample-two" / "efficientdet_d0" / "model_card.json"
    stages = json.loads(card.read_text())["stages"]
    assert [(each["run"], each["started_from"], each["steps"]) for each in stages] == [
        ("sample-one", "random", 4),
        ("sample-two", "sample-one", 2),
    ]


def test_an_accepted_gate_releases_and_the_card_and_mlflow_say_so(
    refused: str, root: Path, place: Path
) -> None:
    before = (place / "runs" / "sample-one" / "training.json").stat().st_mtime_ns
    output = finish(start(root, place, "release.accept=[calibrated]"), 0)
    assert f"released: {place / 'models' / 'efficientdet_d0'}" in output
    assert (place / "runs" / "sample-one" / "training.json").stat().st_mtime_ns == before, "not trained again"
    released = place / "models" / "efficientdet_d0"
    card = json.loads((released / "model_card.json").read_text())
    gates = {gate["name"]: (gate["passed"], gate["accepted"]) for gate in card["gates"]}
    assert gates["calibrated"] == (False, True) and gates["signatures"] == (True, False)
    text = (released / "README.md").read_text()
    assert "Failed, and accepted by decision:\n\n- `calibrated`: the detector is not calibrated" in text
    assert (released / "saved_model.pb").is_file() and (released / "reliability.png").is_file()
    with sqlite3.connect(place / "mlflow.db") as store:
        aliases = dict(store.execute("select alias, version from registered_model_aliases"))
    assert aliases == {"latest-trained": 1, "released": 1}
    check = [sys.executable, "-m", "ruff", "format", "--check", "--isolated", str(released / "README.md")]
    subprocess.run([*check, "--line-length", "110"], cwd=root, check=True)


def test_what_is_released_is_not_released_again(refused: str, root: Path, place: Path) -> None:
    released = place / "models" / "efficientdet_d0" / "saved_model.pb"
    before = released.stat().st_mtime_ns
    finish(start(root, place, "release.accept=[calibrated]"), 0)
    assert released.stat().st_mtime_ns == before
    with sqlite3.connect(place / "mlflow.db") as store:
        assert store.execute("select count(*) from model_versions").fetchone() == (1,)


def test_a_gate_that_there_is_not_is_refused(refused: str, root: Path, place: Path) -> None:
    (place / "runs" / "sample-two" / "published").unlink(missing_ok=True)
    assert "release.accept: recal; allowed: signatures, parity" in finish(
        start(root, place, "release.accept=[recal]"), 2
    )
