"""A recipe's trainings as configurations of ``train.py``."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pipeline.config.compose import compose
from pipeline.config.schema import ReleaseConfig, TrainConfig
from pipeline.config.validate import validate
from pipeline.errors import UserError

TRAINED = ["prepare", "train", "export"]


def check(config: ReleaseConfig) -> None:
    """Raises UserError before heavy work if some training of the recipe is not configured as it should."""
    recipe = config.release
    if recipe.run is None and not recipe.stages:
        raise UserError("release.stages: none; allowed: at least one training, or release.run")
    for name in recipe.stages if recipe.run is None else ():
        _composed(config, name, start=None)


def trainings(config: ReleaseConfig) -> Iterator[TrainConfig]:
    """The trainings in order, the last one calibrated as well.

    Each is composed when it is its turn: it starts from what the one before has written by then.

    Raises:
        UserError: see :func:`check`.
    """
    recipe = config.release
    if recipe.run is not None:
        yield _finished(config, recipe.run)
        return
    start: Path | None = None
    for name in recipe.stages:
        training = _composed(config, name, start)
        yield training
        start = Path(config.outputs) / name / training.model.name


def _composed(config: ReleaseConfig, name: str, start: Path | None) -> TrainConfig:
    overrides = [*config.release.common, f"run={name}", f"outputs={config.outputs}"]
    overrides += [f"dataset.root={config.root}"] if config.root else []
    overrides += [f"model.init={start}"] if start else []
    last = name == list(config.release.stages)[-1]
    try:
        overrides += config.release.stages[name].overrides
        training = compose(TrainConfig, "train", overrides + config.release.final * last)
    except UserError as error:
        raise UserError(f"release.stages.{name}: {error}") from error
    stages = [*TRAINED, "calibrate"] if last else list(TRAINED)
    return dataclasses.replace(training, stages=stages, tracking=config.tracking)


def _finished(config: ReleaseConfig, name: str) -> TrainConfig:
    """A run's own values. Those that came into being after it have their defaults of the schema."""
    path = Path(config.outputs) / name / "config.yaml"
    if not (path.parent / "training.json").is_file():
        raise UserError(f"release.run: {path.parent} holds no finished training; allowed: a run that does")
    stored = yaml.safe_load(path.read_text(encoding="utf-8"))
    try:
        final = OmegaConf.from_dotlist(config.release.final)
        training = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(TrainConfig), stored, final))
    except OmegaConfBaseException as error:
        raise UserError(f"release.final: {str(error).splitlines()[0]}") from error
    assert isinstance(training, TrainConfig)
    if config.root:
        training.dataset.root = config.root
    training = dataclasses.replace(
        training, run=name, outputs=config.outputs, stages=[*TRAINED, "calibrate"], tracking=config.tracking
    )
    validate(training)
    return training
