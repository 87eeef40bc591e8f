"""What a detector sees in public-domain portraits: the only pictures that go to the tracking server."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.anonymize.detect import Detector
from pipeline.data.portraits import portraits

CREDITS = {
    "grace_hopper": "Grace Hopper, US Navy, public domain (Matplotlib)",
    "astronaut": "Eileen Collins, NASA, public domain (scikit-image)",
}


def pictures() -> dict[str, NDArray[np.uint8]]:
    """Each portrait that an installed package carries, by name: RGB ``[H, W, 3]``."""
    return {name: portrait.rgb for name, portrait in zip(CREDITS, portraits(), strict=True)}


def write_samples(detector: Detector, folder: Path, score: float = 0.2) -> None:
    """Draws every detection from ``score`` upward, with its score, into ``<folder>/<name>.png``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures().items():
        found = detector.detect([picture])[0].at_least(score)
        drawn = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
        for box, each in zip(found.boxes, found.scores, strict=True):
            x0, y0, x1, y1 = (round(float(side)) for side in box)
            cv2.rectangle(drawn, (x0, y0), (x1, y1), (0, 200, 0), 2)
            cv2.putText(
                drawn, f"{each:.2f}", (x0, max(14, y0 - 6)), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 200, 0), 2
            )
        cv2.imwrite(str(folder / f"{name}.png"), drawn)
