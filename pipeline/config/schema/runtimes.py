"""The detector on every runtime: python -m benchmarks.runtimes."""

from __future__ import annotations

from dataclasses import dataclass

from omegaconf import MISSING

from pipeline.config.schema.base import value


@dataclass
class RuntimesConfig:
    """python -m benchmarks.runtimes"""

    detector: str = value("models/efficientdet_d2", "the detector", path="savedmodel")
    truth: str = value(MISSING, "COCO json of the pictures to measure on, such as val.json of a version")
    calibration: str | None = value(None, "COCO json of other pictures, that 8-bit ranges are taken from")
    pictures: int = value(120, "an even selection of so many pictures of truth", low=8)
    calibration_pictures: int = value(120, "likewise, of calibration", low=8)
    rounds: int = value(10, "every runtime is timed so many times, in turn", low=1)
    accuracy: bool = value(True, "measure AP, too")
    runtimes: list[str] = value(
        [],
        "only those whose names are given; default: all. AP is told against TensorFlow, if that is one",
    )
    outputs: str = value("outputs/runtimes", "where tables and the tools' environments are written")
