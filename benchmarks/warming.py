"""What only the first calls of a detector take, which no picture's cost should hold."""

from __future__ import annotations

import numpy as np

from pipeline.anonymize.detect import Detector
from pipeline.anonymize.detect.canvas import canvas_sizes


def warmed(detector: Detector) -> Detector:
    """The detector, once it has seen a blank canvas of every size that its network takes.

    OpenVINO reads what is compiled for a size when the first such canvas comes.
    """
    side, part = getattr(detector, "input_size", None), getattr(detector, "part_size", None)
    for size in canvas_sizes(side, getattr(detector, "oblong", False)) if side else []:
        look = detector.detect_parts if size == (part, part) else detector.detect  # type: ignore[attr-defined]
        look([np.zeros((*size, 3), np.uint8)])
    return detector
