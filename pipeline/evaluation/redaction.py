"""The pixels that the tool would redact: its own regions, at its own settings."""

from __future__ import annotations

from pipeline.anonymize.redact import coverage, regions
from pipeline.boxes import Boxes
from pipeline.config.schema import Method, RedactConfig
from pipeline.evaluation.exposure import Mask


def redacted(faces: Boxes, config: RedactConfig, size: tuple[int, int]) -> Mask:
    """Bool ``[height, width]``, upright, true where a pixel is redacted; method none redacts nothing.

    Args:
        faces: what the tool takes for faces at its threshold, upright pixels.
        size: width and height of the picture.
    """
    found = [] if config.method is Method.none else regions(faces, config, size)
    return coverage(found, config.shape, size)
