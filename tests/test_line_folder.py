"""How the line begins: whose the run's folder is."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.config.compose import compose
from pipeline.config.schema import TrainConfig
from pipeline.errors import UserError
from pipeline.line import run_line
from pipeline.tracking import opening
from pipeline.tracking.locks import Lock


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("versions")


def config(outputs: Path, versions: Path, *overrides: str) -> TrainConfig:
    places = [f"outputs={outputs}", f"dataset.versions={versions}"]
    common = ["run=mine", "model.init=random", "tracking=off", "stages=[prepare,evaluate]"]
    return compose(TrainConfig, "train", [*common, *places, *overrides])


def test_a_second_command_leaves_the_settings_of_a_running_one(
    tmp_path: Path, versions: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "WAIT_SECONDS", 0.1)
    with Lock(tmp_path / "mine"):
        settings = tmp_path / "mine" / "config.yaml"
        settings.write_text("those of the run that is running")
        with pytest.raises(UserError, match="run=mine: another process is running it"):
            run_line(config(tmp_path, versions))
        assert settings.read_text() == "those of the run that is running"


def test_other_settings_are_refused_before_the_run_records_them(tmp_path: Path, versions: Path) -> None:
    with pytest.raises(UserError, match="holds no finished training"):
        run_line(config(tmp_path, versions))
    record = tmp_path / "mine" / "metrics.jsonl"
    before = record.read_text()
    with pytest.raises(UserError, match=r"run: mine exists with other values of trainer\.learning_rate"):
        run_line(config(tmp_path, versions, "trainer.learning_rate=0.5"))
    assert record.read_text() == before
    assert Lock(tmp_path / "mine").take(seconds=0), "and the folder is free again"
