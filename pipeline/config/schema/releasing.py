"""How a released detector is made, and what it has to be."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.config.schema.base import value
from pipeline.config.schema.training import TrackingConfig


@dataclass
class StageConfig:
    """One training of a recipe."""

    overrides: list[str] = value([], "values of train.py for this training, as on its command line")


@dataclass
class RecipeConfig:
    common: list[str] = value([], "values of train.py for every training: data, model, size of the export")
    stages: dict[str, StageConfig] = value(
        {}, "trainings by the name of their run, in order; each starts from what the one before made"
    )
    final: list[str] = value(
        [], "values of train.py for the last training when it is exported, calibrated and measured"
    )
    run: str | None = value(
        None, "a finished run of train.py to release instead of what the stages make; it keeps its own values"
    )
    accept: list[str] = value([], "gates that may fail; the model card says which did")


@dataclass
class ReleaseConfig:
    """release.py"""

    release: RecipeConfig = field(default_factory=RecipeConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    root: str | None = value(None, "folder that holds the labelled sets", path="folder")
    outputs: str = value("outputs", "where runs are written")
    models: str = value("models", "where the released detectors are")
