"""The geometry of training crops, for albumentations."""

from __future__ import annotations

import math
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it asks the network for updates at import

import albumentations as A
import cv2

FILL = 124, 116, 104  # RGB of what is not there: about the mean, which normalization takes to 0
FOCUS_SIDES = 10.0, 256.0  # px of the training crop that a focused face's side takes


class ScaleJitterCrop(A.DualTransform):
    """Scales a picture so that its long side is ``size`` times a random factor, then crops or pads
    it to ``size × size`` at a random place (large-scale jitter, Ghiasi et al. 2021).

    With probability ``focus`` the crop is chosen around one of the faces instead, scaled so that this
    face's side becomes log-uniform within :data:`FOCUS_SIDES` (data-anchor sampling, Tang et al. 2018):
    large faces turn into small ones, and small ones come close. The factor stays within twice the jitter's
    range, for enlarging further shows no more.

    Cropping before the resize keeps it cheap: only the pixels that stay are ever resampled.
    """

    _targets = (A.core.type_definitions.Targets.IMAGE, A.core.type_definitions.Targets.BBOXES)

    def __init__(self, size: int, scale: tuple[float, float], focus: float = 0.0) -> None:
        super().__init__(p=1.0)
        self.size = size
        self.scale = scale
        self.focus = focus

    @property
    def targets_as_params(self) -> list[str]:
        return ["bboxes"]

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        height, width = params["shape"][:2]
        boxes = np.asarray(data["bboxes"], np.float64).reshape(
            -1, data["bboxes"].shape[1] if len(data["bboxes"]) else 4
        )
        focused = len(boxes) > 0 and self.py_random.random() < self.focus
        face = (
            boxes[self.py_random.randrange(len(boxes)), :4] * [width, height, width, height]
            if focused
            else None
        )
        scale = self._scale(max(height, width), face)
        # The window, in source pixels, that becomes the crop; it may hang over the picture's edge.
        window = self.size / scale
        x, y = (
            self._place(side, window, None if face is None else (face[axis] + face[axis + 2]) / 2)
            for axis, side in enumerate((width, height))
        )
        return {"scale": scale, "offset": (x, y)}

    def _scale(self, side: int, face: NDArray[np.float64] | None) -> float:
        """Crop pixels a source pixel."""
        low, high = self.scale
        if face is None:
            return self._log_uniform(low, high) * self.size / side
        wanted = self._log_uniform(*FOCUS_SIDES) / max(
            1.0, math.sqrt((face[2] - face[0]) * (face[3] - face[1]))
        )
        return float(np.clip(wanted, low / 2 * self.size / side, high * 2 * self.size / side))

    def _place(self, side: int, window: float, centre: float | None) -> float:
        """Where the window starts along one axis; a focused face's centre lies inside."""
        low, high = min(0.0, side - window), max(0.0, side - window)
        if centre is not None:
            low, high = max(low, centre - 0.9 * window), min(high, centre - 0.1 * window)
        return self.py_random.uniform(low, max(low, high))

    def _log_uniform(self, low: float, high: float) -> float:
        """So that halving and doubling are equally likely."""
        return math.exp(self.py_random.uniform(math.log(low), math.log(high)))

    def apply(self, img: NDArray[np.uint8], scale: float, offset: Any, **_: Any) -> Any:
        height, width = img.shape[:2]
        x0, y0 = (int(np.clip(np.floor(o), 0, side)) for o, side in zip(offset, (width, height), strict=True))
        window = self.size / scale
        x1 = int(np.clip(np.ceil(offset[0] + window), x0 + 1, width))
        y1 = int(np.clip(np.ceil(offset[1] + window), y0 + 1, height))
        part = img[y0:y1, x0:x1]
        size = (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale)))
        part = cv2.resize(part, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        out = np.full((self.size, self.size, 3), FILL, np.uint8)
        left = int(np.clip(round((x0 - offset[0]) * scale), 0, self.size - 1))
        top = int(np.clip(round((y0 - offset[1]) * scale), 0, self.size - 1))
        part = part[: self.size - top, : self.size - left]
        out[top : top + part.shape[0], left : left + part.shape[1]] = part
        return out

    def apply_to_bboxes(self, bboxes: NDArray[np.float32], scale: float, offset: Any, **params: Any) -> Any:
        height, width = params["shape"][:2]
        out = bboxes.copy()
        out[:, [0, 2]] = (bboxes[:, [0, 2]] * width - offset[0]) * scale / self.size
        out[:, [1, 3]] = (bboxes[:, [1, 3]] * height - offset[1]) * scale / self.size
        return out
