"""The stand-in's rule without TensorFlow, for tests that start many processes or look at many pictures.

``python -m tests.anonymize.quick DATA OUT`` anonymizes a folder by it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.anonymize import Detections, anonymize_folder
from pipeline.boxes import Boxes
from tests.anonymize.standin import TOP


class QuickDetector:
    digest = "quick"

    def detect(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        return [self._detect(picture.astype(np.float32) / 255) for picture in pictures]

    def _detect(self, colour: NDArray[np.float32]) -> Detections:
        magenta = np.clip(np.minimum(colour[..., 0], colour[..., 2]) - colour[..., 1], 0, 1)
        count, labels, stats, _ = cv2.connectedComponentsWithStats((magenta > 0.15).astype(np.uint8))
        boxes, scores = [], []
        for number in range(1, count):
            x, y, width, height, area = stats[number]
            if area >= 20:
                boxes.append([x, y, x + width, y + height / TOP])
                scores.append(0.95 * float(magenta[labels == number].mean()))
        found = Boxes(np.array(boxes).reshape(-1, 4)).clip(colour.shape[1], colour.shape[0])
        return Detections(found, np.array(scores))


if __name__ == "__main__":
    sys.exit(anonymize_folder(sys.argv[1], sys.argv[2], detector=QuickDetector()).exit_code)
