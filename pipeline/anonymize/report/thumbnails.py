"""Pictures for the review list: from the output, what it shows of faces redacted, the doubtful ones drawn."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.anonymize.entry import Entry, Face
from pipeline.anonymize.images import PictureError, open_picture
from pipeline.anonymize.redact import redact, regions
from pipeline.boxes import Boxes
from pipeline.config.schema import LimitsConfig, Method, RedactConfig

SIDE = 260
"""Longer side of a thumbnail, in pixels."""
CONTEXT = 2.0
"""How far the close-up reaches beyond the box on each side, in sizes of the box."""
LEAST = 16
"""Pixels that a box counts for at least, lest the close-up show a few pixels only."""
HIDE = RedactConfig(method=Method.pixelate, top_fraction=1.0, margin=0.1)
"""A report is passed around more freely than the pictures: it shows where to look, never the face."""
COLOUR = (255, 196, 0)


def thumbnails(out: Path, entry: Entry, limits: LimitsConfig) -> list[str]:
    """The whole frame of the most doubtful candidate, and a close-up of it, as ``data:`` addresses.

    Empty when the output cannot be read any more.
    """
    worst = entry.doubtful[0]
    at_least = partial(_wanted_side, worst)
    try:
        frame = open_picture(out / entry.path, limits, at_least).frames[worst.frame]
        view = frame.view(at_least)
    except (PictureError, IndexError):
        return []
    upright = np.ascontiguousarray(view.pixels)
    seen = [face for face in entry.doubtful if face.frame == worst.frame]
    doubtful = [_smaller(face, view.factor) for face in seen]
    shown = [_smaller(face, view.factor) for face in _shown(entry, worst.frame)]
    hidden = _hidden(upright, [*doubtful, *shown])
    return [_encoded(_drawn(hidden, doubtful)), _encoded(_drawn(*_close_up(hidden, doubtful[0])))]


def _wanted_side(worst: Face, width: int, height: int) -> int:
    """Pixels of the picture's longer side that both thumbnails need: a large face needs few."""
    close_up = (1 + 2 * CONTEXT) * _longer_side(worst)
    return math.ceil(SIDE * max(1.0, max(width, height) / close_up))


def _longer_side(face: Face) -> float:
    xmin, ymin, xmax, ymax = face.box
    return max(xmax - xmin, ymax - ymin, LEAST)


def _smaller(face: Face, factor: int) -> Face:
    return Face(0, [value / factor for value in face.box], face.score)


def _shown(entry: Entry, frame: int) -> list[Face]:
    """Faces that the output shows: redacted by ``none``, or found by the second look."""
    findings = (entry.verified or {}).get("findings", ())
    found = [Face(each["frame"], each["box"], each["score"]) for each in findings]
    return [face for face in [*entry.faces, *found] if face.region is None and face.frame == frame]


def _hidden(upright: NDArray[np.uint8], faces: Sequence[Face]) -> NDArray[np.uint8]:
    boxes = Boxes(np.array([face.box for face in faces]))
    return redact(upright, regions(boxes, HIDE, (upright.shape[1], upright.shape[0])), HIDE)


def _close_up(picture: NDArray[np.uint8], face: Face) -> tuple[NDArray[np.uint8], list[Face]]:
    height, width = picture.shape[:2]
    xmin, ymin, xmax, ymax = face.box
    reach = CONTEXT * _longer_side(face)
    left, top = max(0, int(xmin - reach)), max(0, int(ymin - reach))
    crop = picture[top : min(height, int(ymax + reach) + 1), left : min(width, int(xmax + reach) + 1)]
    return crop, [Face(0, [xmin - left, ymin - top, xmax - left, ymax - top], face.score)]


def _drawn(picture: NDArray[np.uint8], faces: Sequence[Face]) -> NDArray[np.uint8]:
    scale = SIDE / max(picture.shape[:2])
    size = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    for face in faces:
        corners = [round(value * scale) for value in face.box]
        cv2.rectangle(small, (corners[0] - 1, corners[1] - 1), (corners[2] + 1, corners[3] + 1), COLOUR, 2)
    return small


def _encoded(picture: NDArray[np.uint8]) -> str:
    _, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode()
