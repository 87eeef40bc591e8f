"""The stages of one picture, each on its own: decode → detect → paint → encode.

Nothing here knows of folders or manifests. :mod:`pipeline.anonymize.work` drives the stages in batches.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.anonymize import timings
from pipeline.anonymize.detect import Detections, Detector, look_once
from pipeline.anonymize.entry import Face
from pipeline.anonymize.images import (
    AtLeast,
    Picture,
    PictureError,
    View,
    WriteResult,
    open_picture,
    write_picture,
)
from pipeline.anonymize.images.model import Pixels
from pipeline.anonymize.redact import Region, in_raster, redact, region_of_each, regions
from pipeline.anonymize.tiles import look
from pipeline.boxes import Boxes
from pipeline.config.schema import DetectorConfig, LimitsConfig, Method, RedactConfig
from pipeline.config.validate import validate

T = TypeVar("T")
DETECT_TOGETHER = 4
"""Frames handed to the detector at once: what is held upright in memory at a time, and one mirror image."""


@dataclass(frozen=True)
class Painted:
    """What redaction made of a picture.

    Attributes:
        frames: new pixels, in the stored raster, of each frame that has a face; the others stay.
        faces: what was redacted. candidates: what scored between the review and the operating threshold.
        regions: of each frame, on the upright frame.
    """

    frames: dict[int, Pixels] = field(default_factory=dict)
    faces: list[Face] = field(default_factory=list)
    candidates: list[Face] = field(default_factory=list)
    regions: list[list[Region]] = field(default_factory=list)


def wanted_side(detector: Detector) -> AtLeast:
    """Pixels that the longer side of a picture must keep for the detector to see all it can."""
    side: AtLeast = getattr(detector, "wanted_side", None)
    return side


class Shared:
    """A detector for several threads: they take turns, unless it says that it is ``concurrent``."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        concurrent = getattr(detector, "concurrent", False)
        self._turn: AbstractContextManager[object] = nullcontext() if concurrent else threading.Lock()
        self.digest = detector.digest
        self.wanted_side = wanted_side(detector)
        self.input_size = getattr(detector, "input_size", None)
        self.tiling = getattr(detector, "tiling", None)

    def detect(
        self, pictures: Sequence[NDArray[np.uint8]], reduced: Sequence[float] = (), only: Boxes | None = None
    ) -> list[Detections]:
        with self._in_turn():
            return look(self._detector, pictures, reduced, only)

    def look_once(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        """See :func:`look_once`."""
        with self._in_turn():
            return look_once(self._detector, pictures)

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        with ExitStack() as turn:
            with timings.stage("wait"):
                turn.enter_context(self._turn)
            with timings.stage("detect"):
                yield


def decode(path: Path, limits: LimitsConfig, at_least: AtLeast = None) -> Picture:
    """Read a picture; see :func:`open_picture`.

    Raises:
        PictureError: it cannot be read whole.
    """
    with timings.stage("read"):
        return open_picture(path, limits, at_least)


def detect(detector: Detector, pictures: Sequence[Picture]) -> list[list[Detections] | PictureError]:
    """For each picture, what is seen in each of its frames, or why a frame could not be decoded.

    The detector is shown pictures as small as it wants them (:func:`wanted_side`); boxes are of the full
    upright frames. Only :data:`DETECT_TOGETHER` frames are held upright at a time, of one or of several
    pictures.
    """
    found: list[list[Detections]] = [[] for _ in pictures]
    errors: dict[int, PictureError] = {}
    for together in _chunks(_views(pictures, wanted_side(detector), errors), DETECT_TOGETHER):
        pixels = [np.ascontiguousarray(view.pixels) for _, view in together]
        seen = look(detector, pixels, [view.factor for _, view in together])
        for (number, view), detections in zip(together, seen, strict=True):
            found[number].append(_in_full(detections, view))
    return [errors.get(number, each) for number, each in enumerate(found)]


def _views(
    pictures: Sequence[Picture], at_least: AtLeast, errors: dict[int, PictureError]
) -> Iterator[tuple[int, View]]:
    """Frames may be decoded only now; one that fails ends its picture, and no other."""
    for number, picture in enumerate(pictures):
        try:
            for frame in picture.frames:
                yield number, frame.view(at_least)
        except PictureError as error:
            errors[number] = error


def _in_full(detections: Detections, view: View) -> Detections:
    boxes = view.to_frame(detections.boxes)
    if boxes is detections.boxes:
        return detections
    return Detections(boxes[boxes.valid], detections.scores[boxes.valid])


def paint(
    picture: Picture, found: Sequence[Detections], redaction: RedactConfig, detector: DetectorConfig
) -> Painted:
    """Redact every face at or above the threshold, in every frame.

    Raises:
        UserError: a value of ``redaction`` or ``detector`` is not allowed; nothing may pass for its sake.
    """
    validate(detector, unasked=("model",))
    painted = Painted()
    for number, (frame, detections) in enumerate(zip(picture.frames, found, strict=True)):
        seen = detections.at_least(detector.score_threshold)
        upright = regions(seen.boxes, redaction, frame.upright_size)
        painted.regions.append(upright)
        painted.faces.extend(_faces(number, seen, redaction, frame.upright_size))
        painted.candidates.extend(
            _face(number, box, score, None)
            for box, score in zip(detections.boxes, detections.scores, strict=True)
            if detector.review_threshold <= score < detector.score_threshold
        )
        if upright and redaction.method is not Method.none:
            stored = in_raster(upright, frame.to_raster)
            colour = frame.native_colour(redaction.colour)
            with timings.stage("decode"):
                pixels = frame.pixels
            with timings.stage("redact"):
                painted.frames[number] = redact(pixels, stored, redaction, colour)
    return painted


def encode(picture: Picture, painted: Painted, out: Path) -> WriteResult:
    """Write the picture whole or not at all; without a painted frame, its pixels stay as they are.

    Raises:
        PictureError: it cannot be written, or the check after writing found what should be gone.
    """
    with timings.stage("encode"):
        return write_picture(picture, painted.frames, out)


def describe(picture: Picture) -> dict[str, Any]:
    """What the manifest says of a picture's form; sizes are upright."""
    width, height = picture.upright_size
    return {
        "format": picture.format,
        "mode": picture.mode,
        "bits": picture.bits,
        "width": width,
        "height": height,
        "orientation": picture.orientation,
        "frames": len(picture.frames),
    }


def _faces(frame: int, seen: Detections, redaction: RedactConfig, size: tuple[int, int]) -> Iterator[Face]:
    each = region_of_each(seen.boxes, redaction, size)
    for box, score, region in zip(seen.boxes, seen.scores, each, strict=True):
        hidden = region if redaction.method is not Method.none else None
        yield _face(frame, box, score, list(hidden.box) if hidden else None)


def _face(frame: int, box: Iterable[float], score: float, region: list[int] | None) -> Face:
    return Face(frame, [round(float(value), 2) for value in box], round(float(score), 4), region)


def _chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
