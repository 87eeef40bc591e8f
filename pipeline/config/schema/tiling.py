"""How tiles are measured."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipeline.config.schema.anonymization import RUNTIMES, DetectorConfig, RedactConfig
from pipeline.config.schema.base import value
from pipeline.config.schema.data import DatasetConfig


@dataclass
class TilesConfig:
    """python -m benchmarks.tiles"""

    dataset: DatasetConfig = field(default_factory=DatasetConfig)
    detector: str = value(DetectorConfig.model, "SavedModel to measure", path="savedmodel")
    computed_by: str = value("auto", "what computes it, see detector.runtime", choices=RUNTIMES)
    looks: list[str] = value(
        ["off", "64", "48", "40", "32", "24"],
        "ways to look, one row each: off, a number (min_face of tiles=auto), or a number and x (a grid: 3x)",
    )
    split: str = value("test", "pictures to measure on", choices=("train", "val", "test", "all"))
    score_threshold: float = value(0.5, "operating threshold", above=0, below=1)
    iou: float = value(0.5, "overlap that counts as found", above=0, below=1)
    redact: RedactConfig = field(default_factory=RedactConfig)
    pictures: int = value(80, "an even selection of so many pictures of the set; 0 is all", low=0)
    mosaics: int = value(6, "pictures of 12 megapixels, each of 16 of the set's", low=0)
    enlarged: int = value(4, "pictures of the set enlarged to 12 megapixels", low=0)
    docs: str | None = value(None, "page whose figures are replaced, such as docs/tiles.md", path="file")
    outputs: str = value("outputs/tiles", "where the made pictures and the tables are written")
