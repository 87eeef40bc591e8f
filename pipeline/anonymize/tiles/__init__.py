"""Small faces in large pictures: overlapping tiles beside the full view, merged (docs/tiles.md)."""

from pipeline.anonymize.tiles.detector import TiledDetector, look, look_once, tiled
from pipeline.anonymize.tiles.grid import NEEDED, Tile, Tiling

__all__ = ["NEEDED", "Tile", "TiledDetector", "Tiling", "look", "look_once", "tiled"]
