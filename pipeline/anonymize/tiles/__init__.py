"""Small faces in large pictures: overlapping tiles beside the full view, merged (docs/tiles.md)."""

from pipeline.anonymize.tiles.detector import TOGETHER, TiledDetector, look, tiled
from pipeline.anonymize.tiles.grid import MARGIN, NEEDED, NEEDED_FOR_DOUBT, Tile, Tiling
from pipeline.anonymize.tiles.merge import SAME, best_of_each, cut

__all__ = [
    "MARGIN",
    "NEEDED",
    "NEEDED_FOR_DOUBT",
    "SAME",
    "TOGETHER",
    "Tile",
    "TiledDetector",
    "Tiling",
    "best_of_each",
    "cut",
    "look",
    "tiled",
]
