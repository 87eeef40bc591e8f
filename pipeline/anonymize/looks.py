"""How a detector is shown pictures: whole and in tiles, and each of these mirrored where it is in doubt."""

from __future__ import annotations

from typing import Protocol

from pipeline.anonymize.detect.common import Detector
from pipeline.anonymize.mirror import MirroredDetector, mirrored
from pipeline.anonymize.tiles import TiledDetector, tiled


class Looks(Protocol):
    """The settings of it, which :class:`DetectorConfig` and :class:`EvaluationConfig` both have."""

    mirror: str
    tiles: str
    min_face: float
    score_threshold: float


def looking(detector: Detector, asked: Looks) -> Detector:
    """The detector, looking as the settings say; one that tiles already is left as it is."""
    if getattr(detector, "tiling", None) is not None:
        return detector
    return tiled(mirrored(detector, asked.mirror, asked.score_threshold), asked.tiles, asked.min_face)


def mirror_of(detector: Detector) -> str:
    """When it is shown mirror images, as the setting says it."""
    if isinstance(detector, TiledDetector):
        detector = detector.detector
    return detector.mirror if isinstance(detector, MirroredDetector) else "off"
