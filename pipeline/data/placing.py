"""From the frame that a label file measured in to the upright picture."""

from __future__ import annotations

import numpy as np

from pipeline.boxes import Boxes

Size = tuple[float, float]


class UnknownFrame(ValueError):
    """The label file states a size that is neither the picture's nor proportional to it."""


def place(boxes: Boxes, frame: Size | None, upright: Size, stored: Size, orientation: int) -> Boxes:
    """The boxes in pixels of the upright picture.

    Labels are in the frame that the annotator saw. Where the label file states a size, it tells
    whether the tool honoured the EXIF orientation; where it does not (YOLO, a square picture, a
    half turn), the tool is taken to have shown the picture upright, as browsers and current tools do.

    Args:
        frame: size of the frame that the boxes are in, ``(1, 1)`` for fractions; None for the
            upright picture's own pixels.
        orientation: the picture's EXIF orientation, 1 to 8.

    Raises:
        UnknownFrame: ``frame`` fits neither the upright picture nor the stored one.
    """
    if frame is None or frame == upright:
        return boxes
    if frame == stored:
        return _turn(boxes, stored, orientation)
    if frame == (1, 1) or _proportional(frame, upright):
        scale = np.array([upright[0] / frame[0], upright[1] / frame[1]])
        return Boxes(boxes.xyxy * np.tile(scale, 2))
    raise UnknownFrame(
        f"the label is for {frame[0]:g}x{frame[1]:g}, the picture has {upright[0]:g}x{upright[1]:g}"
    )


def _proportional(one: Size, other: Size) -> bool:
    """Whether one is the other resized, each side rounded to a pixel."""
    scale = max(other) / max(one)
    return abs(one[0] * scale - other[0]) <= max(1, scale) and abs(one[1] * scale - other[1]) <= max(1, scale)


def _turn(boxes: Boxes, stored: Size, orientation: int) -> Boxes:
    """Stored raster to upright; EXIF 2.32, tag 0x0112, says where row 0 and column 0 are shown."""
    width, height = stored
    x0, y0, x1, y1 = boxes.xyxy.T
    turned = {
        1: (x0, y0, x1, y1),
        2: (width - x1, y0, width - x0, y1),
        3: (width - x1, height - y1, width - x0, height - y0),
        4: (x0, height - y1, x1, height - y0),
        5: (y0, x0, y1, x1),
        6: (height - y1, x0, height - y0, x1),
        7: (height - y1, width - x1, height - y0, width - x0),
        8: (y0, width - x1, y1, width - x0),
    }[orientation]
    return Boxes(np.stack(turned, axis=1))
