"""What scores mean."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.config.schema.base import value
from pipeline.config.schema.data import DatasetConfig
from pipeline.config.schema.measuring import EvaluationConfig


@dataclass
class CalibrationConfig:
    precision: float = value(
        0.8, "of the detections that score 0.5 or more, the share that is right", above=0, below=1
    )
    confidence: float = value(
        0.5, "how sure that is to hold on other pictures of the same kind", low=0.5, below=1
    )
    min_faces: int = value(
        100, "with fewer labelled faces to calibrate on, scores stay as the network gives them", low=1
    )


@dataclass
class CalibrateConfig:
    """python -m pipeline.calibration"""

    dataset: DatasetConfig = field(default_factory=DatasetConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    calibration: CalibrationConfig = field(default_factory=CalibrationConfig)
    out: str | None = value(
        None,
        "SavedModel to write, new or an earlier copy; default: outputs/calibrate/<model>-<set>-<split>",
    )
