"""A training run: build, resume, train, validate, keep the best, stop early or on a signal."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orbit
import tensorflow as tf
import tf_keras
from absl import logging as absl_logging
from official.core import config_definitions, task_factory, train_lib, train_utils

from pipeline.config.schema import TrainConfig
from pipeline.data.version import DatasetVersion
from pipeline.detector import task as _task  # noqa: F401 (registers the task)
from pipeline.detector.experiment import BEST_CHECKPOINT, BEST_METRIC, experiment_config
from pipeline.errors import UserError
from pipeline.tracking.journal import JOURNAL_FILE, read_events
from pipeline.training.actions import LogMetrics, MetricsManager, ProgressBar
from pipeline.training.signals import Interrupted, SignalWatch, StopOnSignal
from pipeline.training.strategy import build_strategy, set_precision, set_threads

RESULT = "training.json"
BEST_RECORD = "info.json"
"""Model Garden's, beside the best checkpoint: its step and its metrics."""
STEP_VARIABLE = "global_step/.ATTRIBUTES/VARIABLE_VALUE"
"""In any checkpoint of Model Garden's trainer."""


@dataclass(frozen=True)
class TrainingResult:
    """How a training ended.

    Attributes:
        checkpoint: path prefix of the best checkpoint; its weights are the moving average.
        step: steps trained. best_step: the best checkpoint's, by validation AP. best_metric: its AP50.
        stopped_early: whether patience ran out before ``trainer.steps``.
    """

    checkpoint: str
    step: int
    best_step: int
    best_metric: float
    stopped_early: bool


def train(
    config: TrainConfig, version: DatasetVersion, folder: Path, log_metrics: LogMetrics
) -> TrainingResult:
    """Trains until done, resuming from ``folder`` if it holds checkpoints; a finished one is only read.

    Args:
        folder: of this run; gets ``checkpoints/`` and, when training is complete, ``training.json``.
        log_metrics: called with metrics by name (``train/…`` and ``val/…``) and the global step.

    Raises:
        Interrupted: on SIGTERM or Ctrl-C, after a checkpoint was written.
        UserError: the best checkpoint went away while training.
    """
    done = finished(folder)
    if done is not None and (done.stopped_early or done.step >= config.trainer.steps):
        return done
    set_threads(config.runtime)
    set_precision(config.trainer.mixed_precision)
    # Orbit prints a line for every few steps besides logging it; the progress bar says it better.
    orbit.controller._log = absl_logging.info
    experiment = experiment_config(config, version)
    strategy = build_strategy(config.runtime)
    tf_keras.utils.set_random_seed(config.trainer.seed)  # of the Keras that Model Garden builds with
    _forget_lost_best(folder / "checkpoints" / BEST_CHECKPOINT)
    with SignalWatch() as watch:
        runner = _build_runner(experiment, strategy, folder / "checkpoints", log_metrics, watch)
        result = _run(runner, config, folder / JOURNAL_FILE)
    partial = (folder / RESULT).with_suffix(".part")
    partial.write_text(json.dumps(asdict(result), indent=2))
    partial.replace(folder / RESULT)  # whole or not at all: it says that the training is complete
    return result


def finished(folder: Path) -> TrainingResult | None:
    """What a training that is complete wrote into its run's folder."""
    path = folder / RESULT
    return TrainingResult(**json.loads(path.read_text())) if path.is_file() else None


def _build_runner(
    experiment: config_definitions.ExperimentConfig,
    strategy: tf.distribute.Strategy,
    folder: Path,
    log_metrics: LogMetrics,
    watch: SignalWatch,
) -> train_lib.OrbitExperimentRunner:
    task = task_factory.get_task(experiment.task, logging_dir=str(folder))
    with strategy.scope():
        trainer = train_utils.create_trainer(
            experiment,
            task,
            train=True,
            evaluate=True,
            checkpoint_exporter=train_lib.maybe_create_best_ckpt_exporter(experiment, str(folder)),
        )
    step = trainer.global_step
    stop = StopOnSignal(watch, step)
    return train_lib.OrbitExperimentRunner(
        strategy,
        task,
        "train_and_eval",
        experiment,
        str(folder),
        trainer=trainer,
        summary_manager=MetricsManager(str(folder / "train"), step, "train", log_metrics, stop),
        eval_summary_manager=MetricsManager(str(folder / "validation"), step, "val", log_metrics, stop),
    )


def _run(runner: train_lib.OrbitExperimentRunner, config: TrainConfig, record: Path) -> TrainingResult:
    """Train and validate in turn. Where it stands is read from the checkpoint, from the best one's record
    and from the run's, never kept in memory only, so that a resumed run decides just as an unbroken one.
    """
    controller, steps, step = runner.controller, config.trainer.steps, runner.trainer.global_step
    every, start, stopped_early = config.trainer.eval_every, int(step.numpy()), False
    with ProgressBar(steps, config.trainer.batch_size, step) as bar, runner.strategy.scope():
        controller.train_actions = (*controller.train_actions, bar)
        try:
            if start and (start % every == 0 or start >= steps):  # stopped before or after its validation
                if not (_is_validated(record, start) and _best_record(runner).is_file()):
                    controller.evaluate()
                stopped_early = patience_is_over(runner, config)
            while int(step.numpy()) < steps and not stopped_early:
                controller.train(min(steps, (int(step.numpy()) // every + 1) * every))
                controller.evaluate()
                stopped_early = patience_is_over(runner, config)
        except Interrupted as interrupted:
            controller.save_checkpoint()  # unless this step has one
            print(interrupted, file=sys.stderr)
            raise
    best = _best(runner)
    return TrainingResult(
        checkpoint=_best_checkpoint(runner),
        step=int(step.numpy()),
        best_step=int(best["best_ckpt_global_step"]),
        best_metric=float(best["AP50"]),
        stopped_early=stopped_early,
    )


def _is_validated(record: Path, step: int) -> bool:
    """Whether the run's record holds a validation of ``step``; it is written after the best checkpoint."""
    metrics = (event.data for event in read_events(record) if event.kind == "metrics")
    return any(each["step"] == step and f"val/{BEST_METRIC}" in each["values"] for each in metrics)


def _forget_lost_best(folder: Path) -> None:
    """Removes the record of a best checkpoint that is not there; the next validation makes one.

    Model Garden writes the record first, and a kill or a full disk may have come between the two.
    """
    record = folder / BEST_RECORD
    if not record.is_file():
        return
    try:
        step = tf.train.load_variable(str(folder), STEP_VARIABLE)
        lost = json.loads(record.read_text())["best_ckpt_global_step"] != step
    except (ValueError, tf.errors.OpError):  # no checkpoint, or either is torn
        lost = True
    if lost:
        record.unlink()


def _best(runner: train_lib.OrbitExperimentRunner) -> dict[str, Any]:
    return json.loads(_best_record(runner).read_text())


def _best_record(runner: train_lib.OrbitExperimentRunner) -> Path:
    return Path(runner.model_dir) / BEST_CHECKPOINT / BEST_RECORD


def _best_checkpoint(runner: train_lib.OrbitExperimentRunner) -> str:
    folder = _best_record(runner).parent
    if (checkpoint := tf.train.latest_checkpoint(folder)) is None:
        raise UserError(f"{folder}: its checkpoint is gone; allowed: the same command, to make it again")
    return str(checkpoint)


def patience_is_over(runner: train_lib.OrbitExperimentRunner, config: TrainConfig) -> bool:
    """Whether `trainer.early_stop` validations have passed since the best one."""
    patience, every = config.trainer.early_stop, config.trainer.eval_every
    since = int(runner.trainer.global_step.numpy()) - int(_best(runner)["best_ckpt_global_step"])
    return bool(patience) and since >= patience * every
