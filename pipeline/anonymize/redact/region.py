"""Where to redact: from face boxes to regions of whole pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.boxes import Boxes
from pipeline.config.schema import RedactConfig, Shape
from pipeline.config.validate import validate

CELLS_PER_FACE = 4
"""How many cells a redacted face keeps across its size: its effective resolution.

Source: IEC 62676-4, the standard of video surveillance, asks for 25 pixels a metre to *detect* that a
person is there, 62.5 to observe, 125 to recognise somebody known, 250 to identify a stranger. On a face
of 16 cm that is 4, 10, 20 and 40 pixels, so four cells leave that a person is there.
"""

MIN_CELL = 8
"""The floor of a cell's side, in pixels of the picture.

A quarter of a small face is a cell of two or three pixels, and detectors place small boxes a pixel or
two off. Eight pixels is the side of JPEG's transform block: below it, one block's coefficients would hold
several cells. A face of less than 32 pixels, for which this floor is in force, keeps fewer cells.
"""

SMALL, MOST = 0.04, 2.5
"""A face of so much of the picture's longer side has so many times the margin, as smaller ones have.

A network sees all of a picture on a canvas of one size, and places boxes a few of its pixels off whatever
the face's size: of small faces that is a larger share. Fitted on validation, where one margin for all sizes
leaves about a fifth more faces exposed, and redacts over a fifth more in vain.
"""


@dataclass(frozen=True)
class Region:
    """What is redacted for one face.

    Attributes:
        box: ``xmin, ymin, xmax, ymax`` in whole pixels, maximum exclusive, inside the picture.
        face: the face's box after ``margin``; an ellipse is inscribed in it.
        cell: side in pixels of the smallest patch whose mean colour may remain.
    """

    box: tuple[int, int, int, int]
    face: tuple[float, float, float, float]
    cell: float

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the box."""
        xmin, ymin, xmax, ymax = self.box
        return slice(ymin, ymax), slice(xmin, xmax)

    def mask(self, shape: Shape) -> NDArray[np.bool_]:
        """Bool, of the box's height and width: the pixels to redact, each that the shape touches."""
        xmin, ymin, xmax, ymax = self.box
        if shape is Shape.box:
            return np.ones((ymax - ymin, xmax - xmin), bool)
        left, top, right, bottom = self.face
        across = _distance(np.arange(xmin, xmax), (left + right) / 2) / max((right - left) / 2, 0.5)
        down = _distance(np.arange(ymin, ymax), (top + bottom) / 2) / max((bottom - top) / 2, 0.5)
        return np.asarray(across[None, :] ** 2 + down[:, None] ** 2 <= 1)


def _distance(pixels: NDArray[np.int_], centre: float) -> NDArray[np.float64]:
    """From the centre to the nearest point of each pixel, along one axis."""
    return np.maximum(np.maximum(pixels - centre, centre - pixels - 1), 0.0)


def regions(boxes: Boxes, config: RedactConfig, size: tuple[int, int]) -> list[Region]:
    """The region of each face: the top of its box, rounded outward, clipped to the picture.

    Args:
        boxes: faces, in pixels of the upright picture.
        size: width and height of the upright picture.

    Returns:
        One region a face, in order; a face that lies outside the picture has none.

    Raises:
        UserError: a value of ``config`` is not allowed, such as a ``top_fraction`` that leaves the face.
    """
    validate(config)
    return [region for region in region_of_each(boxes, config, size) if region]


def region_of_each(boxes: Boxes, config: RedactConfig, size: tuple[int, int]) -> list[Region | None]:
    """As :func:`regions`, of a ``config`` that is checked already; None for a face outside the picture."""
    by = boxes.sizes * config.margin * _small(boxes, max(size))[:, None]
    grown = boxes.xyxy + np.concatenate([-by, by], axis=1)
    tops = grown.copy()
    tops[:, 3] = grown[:, 1] + config.top_fraction * (grown[:, 3] - grown[:, 1])
    inside = _outward(Boxes(tops).clip(*size))
    cells = np.maximum(boxes.face_sizes / CELLS_PER_FACE, MIN_CELL) * config.strength
    return [
        Region((box[0], box[1], box[2], box[3]), (face[0], face[1], face[2], face[3]), float(cell))
        if box[2] > box[0] and box[3] > box[1]
        else None
        for box, face, cell in zip(inside.tolist(), grown.tolist(), cells, strict=True)
    ]


def _small(boxes: Boxes, longer: int) -> NDArray[np.float64]:
    """``[N]`` times the margin: :data:`MOST` for a face up to :data:`SMALL`, nearer to 1 for larger ones."""
    small = SMALL * longer
    return 1 + (MOST - 1) * small / np.maximum(boxes.sizes.max(axis=1, initial=0), small)


def in_raster(found: Sequence[Region], to_raster: Callable[[Boxes], Boxes]) -> list[Region]:
    """The same regions in the stored raster, given the picture's map from upright to stored pixels."""
    boxes = _outward(to_raster(Boxes(np.array([region.box for region in found], np.float64))))
    faces = to_raster(Boxes(np.array([region.face for region in found], np.float64))).xyxy
    return [
        Region((box[0], box[1], box[2], box[3]), (face[0], face[1], face[2], face[3]), region.cell)
        for region, box, face in zip(found, boxes.tolist(), faces.tolist(), strict=True)
    ]


def _outward(boxes: Boxes) -> NDArray[np.int_]:
    """Whole pixels around each box; a millionth of a pixel is rounding noise, no pixel touched."""
    tidy = np.round(boxes.xyxy, 6)
    return np.concatenate([np.floor(tidy[:, :2]), np.ceil(tidy[:, 2:])], axis=1).astype(int)
