"""What an output depends on, so that a change redoes what it must, and says so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pipeline.anonymize.detect import Detector
from pipeline.anonymize.entry import VERSION, digest
from pipeline.anonymize.looks import mirror_of
from pipeline.config.plain import plain
from pipeline.config.schema import AnonymizeConfig, DetectorConfig


def of_pictures(config: AnonymizeConfig, model: str) -> dict[str, Any]:
    """Every value that an anonymized picture depends on.

    Args:
        config: with the runtime that serves, see :func:`served_by`.
        model: the detector's digest.
    """
    detector = config.detector
    return {
        "veil": VERSION,
        "model": model,
        "detector": {
            "score_threshold": detector.score_threshold,
            "review_threshold": detector.review_threshold,
            "runtime": detector.runtime,
            "mirror": detector.mirror,
        }
        | _tiling(detector),
        "redact": plain(config.redact),
    }


def _tiling(detector: DetectorConfig) -> dict[str, Any]:
    """How tiles are laid; ``min_face`` only where it is asked for."""
    return {"tiles": detector.tiles} | ({"min_face": detector.min_face} if detector.tiles == "auto" else {})


def as_it_looks(config: AnonymizeConfig, detector: Detector) -> AnonymizeConfig:
    """The same, but for the tiles and the mirror image: what the detector is really shown."""
    tiling = getattr(detector, "tiling", None)
    min_face = tiling.min_face if tiling else config.detector.min_face
    tiles, mirror = tiling.tiles if tiling else "off", mirror_of(detector)
    shown = replace(config.detector, tiles=tiles, min_face=min_face, mirror=mirror)
    return replace(config, detector=shown)


def served_by(config: AnonymizeConfig, runtime: str) -> AnonymizeConfig:
    """The same, but for the runtime: what serves, where ``auto`` was asked for."""
    return replace(config, detector=replace(config.detector, runtime=runtime))


def of_verify(config: AnonymizeConfig, model: str) -> str:
    """Digest of how a second look is taken."""
    return digest({"model": model, "verify": plain(config.verify)} | _tiling(config.detector))
