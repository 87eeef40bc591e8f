"""Face detectors of others behind our Detector protocol, to be measured on the same pictures.

Both run in OpenCV's own engine from a weights file that the caller names. UltraFace was made for, and is
published at, one input size: the picture is stretched to 640×480. YuNet takes any size: it sees the picture
as it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.anonymize.detect import Detections
from pipeline.boxes import Boxes
from pipeline.errors import UserError

Picture = NDArray[np.uint8]

FLOOR = 0.02
MAX_CANDIDATES = 5000


class YuNet:
    """OpenCV's YuNet, `cv2.FaceDetectorYN`, at the picture's own size times ``scale``.

    Args:
        model: the .onnx file.
        floor: lowest score returned.
        nms_iou: overlap above which the weaker box is dropped; .45 is the value of the authors' benchmark.
        scale: factor on the picture's sides before detection.

    Raises:
        UserError: the file is missing.
    """

    def __init__(self, model: Path, floor: float = FLOOR, nms_iou: float = 0.45, scale: float = 1.0) -> None:
        self.digest = _digest(model)
        self._net = cv2.FaceDetectorYN.create(str(model), "", (320, 320), floor, nms_iou, MAX_CANDIDATES)
        self._scale = scale

    def detect(self, pictures: Sequence[Picture]) -> list[Detections]:
        """Faces of RGB pictures ``[H, W, 3]``, best score first."""
        return [self._detect(picture) for picture in pictures]

    def _detect(self, picture: Picture) -> Detections:
        height, width = picture.shape[:2]
        size = (max(1, round(width * self._scale)), max(1, round(height * self._scale)))
        bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
        self._net.setInputSize(size)
        _, found = self._net.detect(bgr if size == (width, height) else cv2.resize(bgr, size))
        if found is None:
            return Detections(Boxes.empty(), np.zeros(0))
        back = np.array([width / size[0], height / size[1]] * 2)
        boxes = Boxes.from_xywh(found[:, :4].astype(np.float64) * back).clip(width, height)
        return by_score(boxes, found[:, 14].astype(np.float64))


class UltraFace:
    """Linzaer's UltraFace RFB-640, the picture stretched to 640×480 as its authors do.

    Args:
        model: the .onnx file.
        floor: lowest score returned.
        nms_iou: as in its authors' inference code.

    Raises:
        UserError: the file is missing.
    """

    SIZE = (640, 480)

    def __init__(self, model: Path, floor: float = FLOOR, nms_iou: float = 0.3) -> None:
        self.digest = _digest(model)
        self._net = cv2.dnn.readNetFromONNX(str(model))
        self._floor, self._nms_iou = floor, nms_iou

    def detect(self, pictures: Sequence[Picture]) -> list[Detections]:
        """Faces of RGB pictures ``[H, W, 3]``, best score first."""
        return [self._detect(picture) for picture in pictures]

    def _detect(self, picture: Picture) -> Detections:
        height, width = picture.shape[:2]
        self._net.setInput(cv2.dnn.blobFromImage(picture, 1 / 128, self.SIZE, (127, 127, 127)))
        scores, corners = self._net.forward(["scores", "boxes"])
        kept = scores[0, :, 1] > self._floor
        boxes = Boxes(corners[0, kept].astype(np.float64) * [width, height, width, height]).clip(
            width, height
        )
        confident = scores[0, kept, 1].astype(np.float64)
        chosen = np.array(
            cv2.dnn.NMSBoxes(boxes.to_xywh().tolist(), confident.tolist(), self._floor, self._nms_iou),
            dtype=np.intp,
        )
        return by_score(boxes[chosen], confident[chosen])


def by_score(boxes: Boxes, scores: NDArray[np.float64]) -> Detections:
    """Detections in falling order of score, boxes without area left out."""
    order = np.argsort(-scores, kind="stable")
    order = order[boxes.valid[order]]
    return Detections(boxes[order], scores[order])


def _digest(model: Path) -> str:
    if not model.is_file():
        raise UserError(f"peer weights: {model} is not a file")
    return hashlib.sha256(model.read_bytes()).hexdigest()
