"""A labelled data set: its sources, their merge and the split."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeVar

from omegaconf import MISSING

from pipeline.config.schema.base import value

T = TypeVar("T")


class Format(Enum):
    voc = "voc"
    coco = "coco"
    yolo = "yolo"
    wider = "wider"
    humans_in_the_loop = "humans_in_the_loop"


class ConsensusUse(Enum):
    labels = "labels"
    ignore = "ignore"


@dataclass
class GrowConfig:
    """How far the sides of a label's boxes are moved outwards; negative: inwards."""

    left: float = value(0.0, "in widths of the box", above=-0.5, below=1)
    top: float = value(0.0, "in heights of the box", above=-0.5, below=1)
    right: float = value(0.0, "in widths of the box", above=-0.5, below=1)
    bottom: float = value(0.0, "in heights of the box", above=-0.5, below=1)


@dataclass
class SourceConfig:
    """One labelled set as it came."""

    format: Format = value(MISSING, "how the labels are written")
    folder: str = value("", "folder name of the set below dataset.root")
    root: str | None = value(None, "the set's own folder; wins over dataset.root", path="folder")
    images: str = value("images", "images folder, relative to the set's folder")
    labels: str = value("annotations", "labels folder or file, relative to the set's folder")
    label_map: dict[Any, str] = value({}, "every source label: to FACE, or to drop")
    grow: dict[Any, GrowConfig] = value(
        {}, "source labels whose boxes are drawn tighter or wider than those of other sets"
    )
    kaggle: str | None = value(None, "kagglehub handle to download from when no root is given")
    generate: bool = value(False, "the set is made on this machine (the built-in sample)")
    test_only: bool = value(False, "for measuring only: every picture goes to the test split")

    def __post_init__(self) -> None:
        self.label_map, self.grow = _by_text(self.label_map), _by_text(self.grow)


@dataclass
class SplitConfig:
    val: float = value(0.1, "share of pictures for validation", low=0, below=1)
    test: float = value(0.2, "share of pictures for the test", low=0, high=1)
    seed: int = value(0, "the split is a function of content and this seed", low=0)
    max_distance: int = value(12, "hash bits (of 256) two near-duplicates may differ by", low=0, high=64)


@dataclass
class DatasetConfig:
    root: str | None = value(None, "folder that holds the set, or the folders of several sets", path="folder")
    versions: str = value("datasets/versions", "where prepared versions are written")
    sources: dict[str, SourceConfig] = value({}, "the labelled sets to merge, by name")
    split: SplitConfig = field(default_factory=SplitConfig)
    consensus: str | None = value(
        None, "file of faces that nobody labelled but other detectors agree on", path="file"
    )
    consensus_as: ConsensusUse = value(
        ConsensusUse.labels, "what the certain ones are in training: labels, or regions to ignore"
    )
    exclude: list[str] = value([], "pictures, as set/name, to leave out of training and validation")
    repeat: dict[Any, int] = value(
        {},
        "source labels that are rare: a training picture with one is shown this many times as often",
        low=1,
        high=100,
    )
    shards: int = value(4, "TFRecord files a split", low=1, high=1024)

    def __post_init__(self) -> None:
        self.repeat = _by_text(self.repeat)


def _by_text(labels: dict[Any, T]) -> dict[Any, T]:
    """A label is text; YAML and Hydra read the name of YOLO's class 0 as a number."""
    return {str(label): each for label, each in labels.items()}
