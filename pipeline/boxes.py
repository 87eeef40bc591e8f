"""Boxes: the one owner of coordinate order and units.

Everything inside Veil speaks absolute pixels, ``xmin, ymin, xmax, ymax``, origin at the top left
of the *upright* picture (EXIF orientation applied), the maximum exclusive: a box that covers the
whole picture is ``0, 0, width, height``. Other conventions exist only at the edges, in the
``from_*`` and ``to_*`` converters below.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Boxes:
    """``N`` axis-aligned boxes.

    Attributes:
        xyxy: float64 ``[N, 4]``, absolute pixels ``xmin, ymin, xmax, ymax``, read-only.

    Raises:
        ValueError: the array is not ``[N, 4]``, or holds a value that is not finite. Inverted and
            empty boxes are allowed, so that a reader can report them: see :attr:`valid`.
    """

    xyxy: FloatArray

    def __post_init__(self) -> None:
        array = np.array(self.xyxy, dtype=np.float64)
        if array.size == 0:
            array = array.reshape(0, 4)
        if array.ndim != 2 or array.shape[1] != 4:
            raise ValueError(f"boxes: expected an array of shape [N, 4], got {list(array.shape)}")
        if not np.isfinite(array).all():
            row = int(np.argwhere(~np.isfinite(array))[0, 0])
            raise ValueError(f"boxes: row {row} holds a value that is not finite: {array[row].tolist()}")
        array.setflags(write=False)
        object.__setattr__(self, "xyxy", array)

    @classmethod
    def empty(cls) -> Boxes:
        return cls(np.zeros((0, 4)))

    @classmethod
    def from_xywh(cls, xywh: ArrayLike) -> Boxes:
        """COCO and WIDER FACE: absolute ``xmin, ymin, width, height``."""
        array = np.asarray(xywh, dtype=np.float64).reshape(-1, 4)
        return cls(np.concatenate([array[:, :2], array[:, :2] + array[:, 2:]], axis=1))

    @classmethod
    def from_normalized_cxcywh(cls, cxcywh: ArrayLike, width: float, height: float) -> Boxes:
        """YOLO: centre and size as fractions of the picture."""
        array = np.asarray(cxcywh, dtype=np.float64).reshape(-1, 4)
        half = array[:, 2:] / 2
        corners = np.concatenate([array[:, :2] - half, array[:, :2] + half], axis=1)
        return cls(corners * [width, height, width, height])

    @classmethod
    def from_normalized_yxyx(cls, yxyx: ArrayLike, width: float, height: float) -> Boxes:
        """TensorFlow: ``ymin, xmin, ymax, xmax`` as fractions of the picture."""
        array = np.asarray(yxyx, dtype=np.float64).reshape(-1, 4)
        return cls(array[:, [1, 0, 3, 2]] * [width, height, width, height])

    def to_xywh(self) -> FloatArray:
        return np.concatenate([self.xyxy[:, :2], self.xyxy[:, 2:] - self.xyxy[:, :2]], axis=1)

    def to_normalized_cxcywh(self, width: float, height: float) -> FloatArray:
        centre = (self.xyxy[:, :2] + self.xyxy[:, 2:]) / 2
        return np.concatenate([centre, self.sizes], axis=1) / [width, height, width, height]

    def to_normalized_yxyx(self, width: float, height: float) -> FloatArray:
        return (self.xyxy / [width, height, width, height])[:, [1, 0, 3, 2]]

    def __len__(self) -> int:
        return len(self.xyxy)

    def __iter__(self) -> Iterator[FloatArray]:
        return iter(self.xyxy)

    def __getitem__(self, index: slice | list[int] | NDArray[np.bool_] | NDArray[np.intp]) -> Boxes:
        return Boxes(self.xyxy[index])

    @property
    def sizes(self) -> FloatArray:
        """``[N, 2]`` width and height in pixels."""
        return self.xyxy[:, 2:] - self.xyxy[:, :2]

    @property
    def areas(self) -> FloatArray:
        """``[N]`` in square pixels; 0 for an inverted box."""
        return np.clip(self.sizes, 0, None).prod(axis=1)

    @property
    def face_sizes(self) -> FloatArray:
        """``[N]`` the geometric mean of width and height, in pixels: the size that slices use."""
        return np.sqrt(self.areas)

    @property
    def valid(self) -> NDArray[np.bool_]:
        """``[N]`` whether the box has a positive width and height."""
        return np.logical_and(self.sizes[:, 0] > 0, self.sizes[:, 1] > 0)

    def clip(self, width: float, height: float) -> Boxes:
        """The part of each box inside a picture of that size; a box wholly outside becomes empty."""
        return Boxes(np.clip(self.xyxy, 0, [width, height, width, height]))

    def iou(self, other: Boxes) -> FloatArray:
        """``[N, M]`` intersection over union."""
        intersection = self.intersection(other)
        union = self.areas[:, None] + other.areas[None, :] - intersection
        return np.divide(intersection, union, out=np.zeros_like(union), where=union > 0)

    def intersection(self, other: Boxes) -> FloatArray:
        """``[N, M]`` shared area in square pixels."""
        low = np.maximum(self.xyxy[:, None, :2], other.xyxy[None, :, :2])
        high = np.minimum(self.xyxy[:, None, 2:], other.xyxy[None, :, 2:])
        return np.clip(high - low, 0, None).prod(axis=2)
