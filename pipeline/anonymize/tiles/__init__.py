"""Small faces in large pictures: overlapping tiles beside the full view, merged (docs/tiles.md)."""

from pipeline.anonymize.tiles.detector import TiledDetector, look, tiled
from pipeline.anonymize.tiles.grid import NEEDED, NEEDED_FOR_DOUBT, Tile, Tiling
from pipeline.anonymize.tiles.merge import SAME, best_of_each

__all__ = [
    "NEEDED",
    "NEEDED_FOR_DOUBT",
    "SAME",
    "Tile",
    "TiledDetector",
    "Tiling",
    "best_of_each",
    "look",
    "tiled",
]
