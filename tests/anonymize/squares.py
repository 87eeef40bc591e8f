"""A detector of bright squares that, like a network, sees a square of some pixels and nothing small."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.anonymize import Detections
from pipeline.anonymize.detect import letterbox
from pipeline.boxes import Boxes

BRIGHT = 200
Picture = NDArray[np.uint8]


def scene(width: int, height: int, faces: Sequence[tuple[int, int, int]] = (), seed: int = 0) -> Picture:
    """Dark texture with bright squares, each left, top and size in pixels."""
    pixels = np.random.default_rng(seed).integers(0, 60, (height, width, 1), dtype=np.uint8).repeat(3, axis=2)
    for left, top, size in faces:
        pixels[top : top + size, left : left + size] = 255
    return pixels


def boxes_of(faces: Sequence[tuple[int, int, int]]) -> Boxes:
    return Boxes.from_xywh([(left, top, size, size) for left, top, size in faces])


class SquareDetector:
    """Finds bright rectangles of at least ``needed`` pixels of its input; the squarer, the surer.

    Attributes:
        shown: height and width of each picture it was given, one list a call.
    """

    digest = "squares"

    def __init__(self, input_size: int = 768, needed: int = 20) -> None:
        self.input_size, self.needed = input_size, needed
        self.wanted_side = 2 * input_size
        self.shown: list[list[tuple[int, ...]]] = []

    def detect(self, pictures: Sequence[Picture]) -> list[Detections]:
        self.shown.append([picture.shape[:2] for picture in pictures])
        return [self._detect(picture) for picture in pictures]

    @property
    def views(self) -> int:
        return sum(map(len, self.shown))

    def _detect(self, picture: Picture) -> Detections:
        square, inner = letterbox(picture, self.input_size)
        mask = (square[: inner[0], : inner[1], 0] > BRIGHT).astype(np.uint8)
        _, _, stats, _ = cv2.connectedComponentsWithStats(mask)
        left, top, width, height = stats[1:, :4].T.astype(np.float64)
        seen = np.minimum(width, height) >= self.needed - 1  # edges between pixels are lost to the threshold
        boxes = np.stack([left, top, left + width, top + height], axis=1)[seen]
        scale = [picture.shape[1] / inner[1], picture.shape[0] / inner[0]] * 2
        scores = 0.5 + 0.4 * (np.minimum(width, height) / np.maximum(width, height))[seen]
        return Detections(Boxes(boxes * scale), scores)
