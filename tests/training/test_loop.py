"""When training is over, how it goes on, and what a finished one leaves.

The loop, its checkpoints and its record are real; the network is a line, and signals are only noted.
"""

from __future__ import annotations

import errno
import json
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest
import tensorflow as tf
import tf_keras
from official.core import config_definitions, train_utils
from official.modeling.hyperparams import base_config
from official.utils.testing import mock_task

from pipeline.config.compose import compose
from pipeline.config.schema import TrackingConfig, TrainConfig
from pipeline.data.version import DatasetVersion
from pipeline.detector.experiment import experiment_config
from pipeline.errors import UserError
from pipeline.tracking import Run
from pipeline.training import loop
from pipeline.training.loop import STEP_VARIABLE, TrainingResult, finished, patience_is_over, train
from pipeline.training.signals import Interrupted, SignalWatch

Then = Callable[[str, int, SignalWatch], None]
VERSION = DatasetVersion(Path("versions/set"), "set", "f" * 64, {"train": 1, "val": 1}, {}, {}, {})


@dataclass
class TinyConfig(mock_task.MockTaskConfig):
    pass


@base_config.bind(TinyConfig)
class TinyTask(mock_task.MockTask):
    """Model Garden's own task for tests. How well it does is a function of the step."""

    average_precision: Callable[[int], float]
    validated: list[int]

    def build_metrics(self, training: bool = True) -> list[tf_keras.metrics.Metric]:
        return [tf_keras.metrics.MeanAbsoluteError(name="total_loss")]

    def build_inputs(self, params: Any, input_context: Any = None) -> tf.data.Dataset:
        data = super().build_inputs(params)
        return data if params.is_training else data.take(1)

    def reduce_aggregated_logs(self, aggregated_logs: Any, global_step: Any = None) -> dict[str, float]:
        step = int(global_step.numpy())
        TinyTask.validated.append(step)
        average_precision = TinyTask.average_precision(step)
        return {"AP": average_precision, "AP50": average_precision + 0.5}


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    def experiment(config: TrainConfig, version: DatasetVersion) -> config_definitions.ExperimentConfig:
        task = TinyConfig(
            train_data=config_definitions.DataConfig(is_training=True),
            validation_data=config_definitions.DataConfig(is_training=False),
        )
        trainer = experiment_config(config, version).trainer
        return config_definitions.ExperimentConfig(task=task, trainer=trainer)

    monkeypatch.setattr(loop, "experiment_config", experiment)
    monkeypatch.setattr(TinyTask, "average_precision", lambda step: step / 100, raising=False)
    monkeypatch.setattr(TinyTask, "validated", [], raising=False)


def run(
    folder: Path, steps: int = 8, every: int = 4, patience: int = 0, then: Then = lambda *_: None
) -> TrainingResult:
    """Trains two steps at a time; ``then`` is called when the metrics of a split and a step are recorded."""
    fields = {"steps": steps, "eval_every": every, "early_stop": patience}
    fields |= {"steps_per_loop": 2, "warmup_steps": 1, "checkpoint_every": 100}
    overrides = [f"trainer.{name}={value}" for name, value in fields.items()]
    config = compose(TrainConfig, "train", ["model.init=random", *overrides])
    off, watch = TrackingConfig(enabled=False), SignalWatch()
    with pytest.MonkeyPatch.context() as patch, Run.start(off, "tiny", folder=folder) as record:
        patch.setattr(loop, "SignalWatch", lambda: watch)

        def log(metrics: Mapping[str, float], step: int) -> None:
            record.log_metrics(metrics, step)
            then(next(iter(metrics)).split("/")[0], step, watch)

        return train(config, VERSION, folder, log)


def stop(where: str, step: int) -> Then:
    """A signal: in the last steps of training before a step, or in its validation."""

    def then(split: str, now: int, watch: SignalWatch) -> None:
        if (split, now) == (where, step):
            watch.signum = signal.SIGTERM

    return then


def sums(folder: Path, *without: str) -> dict[str, float]:
    """Of each variable in a folder's newest checkpoint whose name holds none of some words."""
    checkpoint = tf.train.latest_checkpoint(folder)
    names = [name for name, _ in tf.train.list_variables(checkpoint) if name.endswith("VARIABLE_VALUE")]
    wanted = [name for name in names if not any(word in name.lower() for word in without)]
    return {name: float(tf.train.load_variable(checkpoint, name).sum()) for name in wanted}


def summary(result: TrainingResult) -> tuple[int, int, float, bool]:
    return result.step, result.best_step, result.best_metric, result.stopped_early


@pytest.mark.parametrize(
    ("every", "stops"),
    [
        (4, [("train", 6)]),
        (4, [("train", 4)]),
        (4, [("val", 4)]),
        (4, [("train", 4), ("val", 4)]),  # the second time it has not trained at all
        (4, [("train", 8), ("val", 8)]),
        (8, [("train", 8)]),
    ],
)
def test_a_stopped_run_goes_on_as_if_unbroken(
    tmp_path: Path, every: int, stops: list[tuple[str, int]]
) -> None:
    one, other = tmp_path / "unbroken", tmp_path / "stopped"
    unbroken = run(one, every=every)
    validated = TinyTask.validated.copy()
    TinyTask.validated.clear()
    for where, step in stops:
        with pytest.raises(Interrupted, match=f"stopped by SIGTERM at step {step}"):
            run(other, every=every, then=stop(where, step))
        assert finished(other) is None
    assert summary(run(other, every=every)) == summary(unbroken) == (8, 8, pytest.approx(0.58), False)
    assert TinyTask.validated == validated, "each once"
    for folder, *without in (
        ("checkpoints", "save_counter"),
        ("checkpoints/best", "save_counter", "optimizer"),
    ):
        assert sums(other / folder, *without) == pytest.approx(sums(one / folder, *without))


def test_patience_that_is_over_when_a_signal_comes_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TinyTask, "average_precision", lambda step: 1 / step)
    with pytest.raises(Interrupted):
        run(tmp_path, every=2, patience=1, then=stop("val", 4))
    assert summary(run(tmp_path, every=2, patience=1)) == (4, 2, 1.0, True)
    assert TinyTask.validated == [2, 4]


@pytest.mark.parametrize("steps", [4, 6])
def test_fewer_steps_than_trained_validate_what_there_is(tmp_path: Path, steps: int) -> None:
    with pytest.raises(Interrupted):
        run(tmp_path, every=8, then=stop("train", 6))
    assert summary(run(tmp_path, steps=steps, every=8)) == (6, 6, pytest.approx(0.56), False)


@pytest.mark.parametrize("every", [4, 8])
def test_a_best_checkpoint_that_met_a_full_disk_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    def full(self: object, checkpoint: tf.train.Checkpoint) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    def then(split: str, step: int, watch: SignalWatch) -> None:
        if (split, step) == ("train", 8):
            patch.setattr(train_utils.BestCheckpointExporter, "_get_checkpoint_manager", full)

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        run(tmp_path, every=every, then=then)
    best = tmp_path / "checkpoints" / "best"
    assert json.loads((best / "info.json").read_text())["best_ckpt_global_step"] == 8, "which is not there"
    result = run(tmp_path, every=every)
    assert summary(result) == (8, 8, pytest.approx(0.58), False)
    assert tf.train.load_variable(result.checkpoint, STEP_VARIABLE) == 8


@pytest.mark.parametrize("torn", ["info.json", "best_ckpt-*.index"])
def test_a_torn_best_checkpoint_or_record_is_made_again(tmp_path: Path, torn: str) -> None:
    with pytest.raises(Interrupted):
        run(tmp_path, then=stop("val", 8))
    (path,) = (tmp_path / "checkpoints" / "best").glob(torn)
    path.write_bytes(path.read_bytes()[:10])
    assert summary(result := run(tmp_path)) == (8, 8, pytest.approx(0.58), False)
    assert tf.train.load_variable(result.checkpoint, STEP_VARIABLE) == 8


def test_a_best_checkpoint_that_goes_away_is_named(tmp_path: Path) -> None:
    best = tmp_path / "checkpoints" / "best"

    def then(split: str, step: int, watch: SignalWatch) -> None:
        if (split, step) == ("val", 8):
            (best / "checkpoint").unlink()

    with pytest.raises(UserError, match=f"{best}: its checkpoint is gone"):
        run(tmp_path, then=then)
    assert finished(tmp_path) is None
    assert Path(run(tmp_path).checkpoint).parent == best


@pytest.mark.parametrize(
    ("step", "best_step", "patience", "over"),
    [
        (500, 500, 3, False),
        (1900, 500, 3, False),
        (2000, 500, 3, True),
        (9000, 500, 0, False),  # 0 never stops early
    ],
)
def test_patience_counts_validations_since_the_best(
    tmp_path: Path, step: int, best_step: int, patience: int, over: bool
) -> None:
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "info.json").write_text(json.dumps({"best_ckpt_global_step": best_step}))
    runner = SimpleNamespace(model_dir=tmp_path, trainer=SimpleNamespace(global_step=tf.Variable(step)))
    config = compose(TrainConfig, "train", [f"trainer.early_stop={patience}", "trainer.eval_every=500"])
    assert patience_is_over(runner, config) is over


def test_only_a_complete_training_counts_as_finished(tmp_path: Path) -> None:
    assert finished(tmp_path) is None
    result = {
        "checkpoint": "best/ckpt-1",
        "step": 8,
        "best_step": 8,
        "best_metric": 0.5,
        "stopped_early": False,
    }
    (tmp_path / "training.json").write_text(json.dumps(result))
    assert finished(tmp_path) == TrainingResult(**result)
