"""What every runtime shares: pictures in, scored face boxes out. Imports no TensorFlow."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.boxes import Boxes
from pipeline.errors import UserError

Picture = NDArray[np.uint8]
OVERSAMPLING = 2
"""A picture's longer side may be reduced to this times the network's before it is resized to it."""
ALLOWED = "allowed: a SavedModel folder that train.py made"


@dataclass(frozen=True)
class Detections:
    """What a detector sees in one picture, best first.

    Attributes:
        boxes: absolute pixels of the upright picture.
        scores: float64 ``[N]``, falling.

    Raises:
        ValueError: there are not as many scores as boxes, or a score is no number: a face must not get
            lost below every threshold.
    """

    boxes: Boxes = field(default_factory=Boxes.empty)
    scores: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        scores = np.asarray(self.scores, dtype=np.float64).reshape(-1)
        if len(scores) != len(self.boxes):
            raise ValueError(f"detections: expected {len(self.boxes)} scores, got {len(scores)}")
        if np.isnan(scores).any():
            raise ValueError("detections: a score is no number")
        order = np.argsort(-scores, kind="stable")
        object.__setattr__(self, "scores", scores[order])
        object.__setattr__(self, "boxes", self.boxes[order])

    def __len__(self) -> int:
        return len(self.scores)

    def at_least(self, score: float) -> Detections:
        """Those with at least that score."""
        keep = self.scores >= score
        return Detections(self.boxes[keep], self.scores[keep])


class Detector(Protocol):
    """Whatever finds faces. ``digest`` names the weights: a changed digest redoes a folder.

    A detector may also say that it is ``concurrent`` (threads may call it at once; otherwise they take
    turns), its ``runtime`` (what computes the network) and its ``wanted_side`` (pixels that a picture's
    longer side must keep for it to see all that it can), its ``input_size`` (the longer side of what its
    network sees), and that this is ``oblong`` (the other side is as short as the picture allows). One that
    says its ``input_size`` and its ``part_size`` (a smaller one, or None) has a second method,
    ``detect_parts``, which shows parts of a picture to the network at that size and takes less time.
    """

    @property
    def digest(self) -> str: ...

    def detect(self, pictures: Sequence[Picture]) -> list[Detections]:
        """Faces of each picture, given as uint8 ``[H, W, 3]`` RGB, upright."""
        ...


class Passing:
    """A detector that asks another one, and says of itself what that says: ``runtime``, ``input_size``."""

    detector: Detector

    @property
    def digest(self) -> str:
        """Of the weights; how they are asked is a setting."""
        return self.detector.digest

    def __getattr__(self, name: str) -> Any:
        # look_once would go past what this one does to the answers
        if name.startswith("__") or name in ("detector", "look_once"):
            raise AttributeError(name)
        return getattr(self.detector, name)


@dataclass(frozen=True)
class Wrapped(Passing):
    """One that asks more than once, or otherwise. As thread-safe as the other."""

    detector: Detector

    def look_once(self, pictures: Sequence[Picture]) -> list[Detections]:
        """See :func:`look_once`."""
        return look_once(self.detector, pictures)


class AskedOnce(Passing):
    """A detector that is asked once for each whole picture, by content.

    Of parts nothing is kept: which they are depends on what becomes of its scores.
    """

    timed = False  # what was kept says nothing of the detector's speed
    concurrent = False

    def __init__(self, detector: Detector) -> None:
        self.detector = detector
        self.known: dict[str, Detections] = {}

    def detect(self, pictures: Sequence[Picture]) -> list[Detections]:
        """See :class:`Detector`."""
        names = [picture_digest(picture) for picture in pictures]
        new = {name: picture for name, picture in zip(names, pictures, strict=True) if name not in self.known}
        if new:
            answers = dict(zip(new, self.detector.detect(list(new.values())), strict=True))
            self.known |= answers
            self.keep(answers)
        return [self.known[name] for name in names]

    def keep(self, answers: Mapping[str, Detections]) -> None:
        """Called with each answer that is new, by its picture's digest."""


def look_once(detector: Detector, pictures: Sequence[Picture]) -> list[Detections]:
    """Each picture as one full view and not mirrored, of any detector, whatever it would do on its own."""
    return list(getattr(detector, "look_once", detector.detect)(pictures))


def check_picture(picture: Picture) -> None:
    """Raises ValueError unless it is a picture as :meth:`Detector.detect` takes it."""
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        raise ValueError(f"picture: expected uint8 [H, W, 3], got {picture.dtype} {picture.shape}")


def picture_digest(picture: Picture) -> str:
    """SHA-256 of the pixels and their shape."""
    return hashlib.sha256(repr(picture.shape).encode() + np.ascontiguousarray(picture).tobytes()).hexdigest()


def model_digest(folder: Path) -> str:
    """SHA-256 over what decides a SavedModel's output; its card and read-me may change freely.

    Raises:
        UserError: the folder holds no SavedModel.
    """
    graph = folder / "saved_model.pb"
    if not graph.is_file():
        raise UserError(
            f"detector.model: {str(folder)!r} holds no saved_model.pb; allowed: a SavedModel folder"
        )
    digest = hashlib.sha256()
    for path in [graph, *sorted((folder / "variables").glob("*")), *sorted((folder / "assets").glob("*"))]:
        digest.update(f"{path.relative_to(folder).as_posix()}\0{path.stat().st_size}\0".encode())
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
