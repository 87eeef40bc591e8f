"""What was released once: in other folders, and after a stop halfway, with a tiny detector."""

from __future__ import annotations

import json
import shutil
import sqlite3
from dataclasses import asdict
from pathlib import Path

import pytest

from pipeline.config.compose import compose, to_yaml
from pipeline.config.schema import ReleaseConfig, TrainConfig
from pipeline.data.prepare import prepare
from pipeline.line import LineResult
from pipeline.release import run
from pipeline.tracking import Run
from pipeline.training.loop import TrainingResult
from tests.anonymize.tiny import build_tiny

GATES = ("signatures", "parity", "runtime", "calibrated")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds a version of the sample, and the tiny detector."""
    folder = tmp_path_factory.mktemp("prepared")
    prepare(training(folder).dataset)
    build_tiny(folder / "tiny")
    return folder


def training(prepared: Path) -> TrainConfig:
    data = ["dataset=sample", "dataset.split.test=0.05", f"dataset.versions={prepared / 'versions'}"]
    return compose(TrainConfig, "train", ["model=efficientdet_d0", "model.init=random", *data])


@pytest.fixture
def config(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ReleaseConfig:
    """Of a finished run, whose training is not made again; its first gate fails, and is accepted."""
    folder, version = tmp_path / "runs" / "mine", prepare(training(prepared).dataset)
    result = TrainingResult("nowhere", 4, 4, 0.1, False)
    model = Path(shutil.copytree(prepared / "tiny", folder / "efficientdet_d0"))
    (folder / "config.yaml").write_text(to_yaml(training(prepared)))
    (folder / "training.json").write_text(json.dumps(asdict(result)))

    def line(config: TrainConfig) -> LineResult:
        """As the real one does, it opens the run, which sends what an earlier one recorded."""
        with Run.start(config.tracking, "mine", folder=folder):
            return LineResult(folder, version, result, model)

    monkeypatch.setattr(run, "run_line", line)
    monkeypatch.setattr(run, "_check", lambda *_: {name: (name != GATES[0], "drawn") for name in GATES})
    places = [f"outputs={tmp_path / 'runs'}", f"models={tmp_path / 'models'}"]
    chosen = ["release.run=mine", f"release.accept=[{GATES[0]}]"]
    store = f"tracking.uri=sqlite:///{tmp_path / 'mlflow.db'}"
    return compose(ReleaseConfig, "release", [*chosen, *places, store])


def words(release: run.Release) -> dict[str, str]:
    return {each.name: each.word for each in release.verdicts}


FIRST = {name: "passed" if name != GATES[0] else "accepted" for name in GATES}
"""What the gates say where nothing was released before."""


def versions(tmp_path: Path) -> list[tuple[int, str | None]]:
    """Of the registered model, with the alias of a release."""
    with sqlite3.connect(tmp_path / "mlflow.db") as store:
        numbers = store.execute("select version from model_versions order by version").fetchall()
        aliases = store.execute("select version, alias from registered_model_aliases")
        released = {number: alias for number, alias in aliases if alias == run.RELEASED}
    return [(number, released.get(number)) for (number,) in numbers]


def test_what_is_released_can_be_released_elsewhere_and_again(tmp_path: Path, config: ReleaseConfig) -> None:
    first = run.make_release(config)
    assert words(first) == FIRST
    before = (first.folder / "model_card.json").read_bytes()
    assert "seconds_per_picture" not in json.loads(before)["metrics"]
    assert run.make_release(config) == first, "released already: nothing to do"
    config.models = str(tmp_path / "elsewhere")
    other = run.make_release(config)
    assert (other.folder / "saved_model.pb").is_file() and other.verdicts == first.verdicts
    assert (first.folder / "model_card.json").read_bytes() == before
    assert versions(tmp_path) == [(1, None), (2, "released")]


def test_a_release_that_was_stopped_before_it_was_registered_is_not_compared_with_itself(
    tmp_path: Path, config: ReleaseConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run, "track", stopped)
        with pytest.raises(KeyboardInterrupt):
            run.make_release(config)
    card = tmp_path / "models" / "efficientdet_d0" / "model_card.json"
    before = card.read_bytes()
    assert versions(tmp_path) == []
    for _ in range(2):
        assert words(run.make_release(config)) == FIRST, "no gate against itself"
        assert card.read_bytes() == before
        assert versions(tmp_path) == [(1, "released")]
