"""Whether a runtime gives what the reference gives, on a built-in picture."""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.anonymize.detect.canvas import PADDING, Size, named
from pipeline.anonymize.detect.common import Picture
from pipeline.anonymize.detect.suppress import Floats, overlaps
from pipeline.config.paths import ROOT

ANCHORS = 256
"""Anchors that are compared: those that score best."""
MATTERS, SAME = 0.1, 0.4
"""Detections of that score must lie among the other's with that IoU. From 0.5 on suppression takes two boxes
for one face: of two that overlap by just that much, the last digits decide which one stays, and then the vote
moves it a little."""
PLACES = ((1, 0, 0), (2, 0, 512), (3, 256, 512), (4, 512, 0), (6, 512, 128), (8, 512, 214))
"""Of the portrait, 512 pixels wide, on the canvas: every which pixel is taken, top, left."""
SECONDS = 900


@dataclass(frozen=True)
class Tolerance:
    """How far outputs may lie from the reference's: scores by this much, boxes down to this IoU."""

    score: float
    iou: float


@dataclass(frozen=True)
class Raw:
    """Every anchor of one canvas.

    Attributes:
        boxes: float32 ``[N, 4]``: ymin, xmin, ymax, xmax in fractions of the canvas.
        scores: float32 ``[N]``, as users see them. ranks: likewise, as suppression compares them.
    """

    boxes: Floats
    scores: Floats
    ranks: Floats


@dataclass(frozen=True)
class Reference:
    """What TensorFlow gives for :func:`built_in_canvas`.

    Attributes:
        model: digest of the model. canvas: of the picture.
        boxes: ``[N, 4]`` detections after suppression, in fractions of the canvas; scores: ``[N]``.
        anchors: indices of the best anchors; anchor_boxes, anchor_ranks: what ``raw`` gives for them, the
            network's own scores where it has some: calibration would stretch differences.
    """

    model: str
    canvas: str
    boxes: Floats
    scores: Floats
    anchors: NDArray[np.int64]
    anchor_boxes: Floats
    anchor_ranks: Floats

    @classmethod
    def read(cls, path: Path, model: str, size: Size) -> Reference | None:
        """None: it is not there, or of another model or picture."""
        try:
            with np.load(path, allow_pickle=False) as file:
                values = {name: file[name] for name in cls.__dataclass_fields__}
        except (OSError, ValueError, KeyError):
            return None
        found = cls(**{**values, "model": str(values["model"]), "canvas": str(values["canvas"])})
        same = found.model == model and found.canvas == digest_of(built_in_canvas(size))
        return found if same else None

    def write(self, path: Path) -> None:
        np.savez_compressed(path, **vars(self))


def reference_file(size: Size) -> str:
    """Its name in a model's folder, or beside a conversion."""
    return f"reference-{named(size)}.npz"


def built_in_canvas(size: Size) -> Picture:
    """A portrait in the public domain at several sizes, as far as there is room: uint8 ``[h, w, 3]`` RGB.

    Sizes are reached by leaving out pixels, so that no library's way of resizing decides what is in it.

    Raises:
        FileNotFoundError: the package that ships the portrait is not there.
    """
    package = importlib.util.find_spec("skimage")
    if package is None or package.origin is None:
        raise FileNotFoundError("scikit-image, which ships the portrait of the check, is not there")
    bgr = cv2.imread(str(Path(package.origin).parent / "data" / "astronaut.png"))
    if bgr is None:
        raise FileNotFoundError("scikit-image has no astronaut.png")
    portrait = bgr[..., ::-1]
    canvas = np.full((*size, 3), PADDING, np.uint8)
    for step, top, left in PLACES:
        room = canvas[top:, left:]
        small = portrait[::step, ::step][: len(room), : room.shape[1]]
        room[: len(small), : small.shape[1]] = small
    return canvas


def digest_of(canvas: Picture) -> str:
    return hashlib.sha256(canvas.tobytes()).hexdigest()


def reference(model: Path, digest: str, size: Size, kept: Path) -> Reference:
    """The reference of a model: shipped with it, made earlier, or made now by TensorFlow in its own process.

    Args:
        model: the SavedModel's folder. digest: of it. size: of the canvas.
        kept: a folder to keep it in; those of other sizes are made with it.

    Raises:
        RuntimeError: it cannot be made here.
    """
    for folder in (model, kept):
        if found := Reference.read(folder / reference_file(size), digest, size):
            return found
    command = [sys.executable, "-m", "pipeline.anonymize.detect.reference", str(model), str(kept)]
    try:
        done = subprocess.run(command, cwd=ROOT, timeout=SECONDS, capture_output=True, text=True)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RuntimeError(f"the reference was not made ({error})") from error
    found = Reference.read(kept / reference_file(size), digest, size)
    if found is None:
        last = next(iter(reversed(done.stderr.strip().splitlines())), f"exit code {done.returncode}")
        raise RuntimeError(f"the reference was not made ({last})")
    return found


def difference(found: Raw, boxes: Floats, scores: Floats, wanted: Reference, allowed: Tolerance) -> str:
    """How the outputs for :func:`built_in_canvas` differ by more than allowed; empty when they do not.

    Args:
        found: every anchor. boxes, scores: ``[N, 4]`` and ``[N]``, what stays after suppression.
    """
    apart = np.abs(found.ranks[wanted.anchors] - wanted.anchor_ranks).max(initial=0)
    if not apart <= allowed.score:
        return f"scores of anchors differ by {apart:.4f}, allowed: {allowed.score:g}"
    pairs = zip(found.boxes[wanted.anchors], wanted.anchor_boxes, strict=True)
    worst = min((float(overlaps(one, other[None])[0]) for one, other in pairs), default=1.0)
    if not worst >= allowed.iou:
        return f"boxes of anchors overlap by {worst:.3f}, allowed: {allowed.iou:g}"
    here, there = (boxes, scores), (wanted.boxes, wanted.scores)
    for (ours, sure), (others, _) in ((here, there), (there, here)):
        for box, score in zip(ours, sure, strict=True):
            if score >= MATTERS and not overlaps(box, others).max(initial=0) >= SAME:
                return f"a detection of score {score:.2f} is not among the other's"
    return ""
