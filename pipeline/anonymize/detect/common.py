"""What every runtime shares: pictures in, scored face boxes out. Imports no TensorFlow."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.boxes import Boxes
from pipeline.errors import UserError

Picture = NDArray[np.uint8]
PADDING = (124, 116, 104)
"""RGB around a picture that is not square: the mean colour, which the network's normalization takes to 0."""
OVERSAMPLING = 2
"""A picture's longer side may be reduced to this times the network's square before it is resized to it."""
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
    longer side must keep for it to see all that it can).
    """

    @property
    def digest(self) -> str: ...

    def detect(self, pictures: Sequence[Picture]) -> list[Detections]:
        """Faces of each picture, given as uint8 ``[H, W, 3]`` RGB, upright."""
        ...


def check_picture(picture: Picture) -> None:
    """Raises ValueError unless it is a picture as :meth:`Detector.detect` takes it."""
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
        raise ValueError(f"picture: expected uint8 [H, W, 3], got {picture.dtype} {picture.shape}")


def letterbox(picture: Picture, side: int) -> tuple[Picture, tuple[int, int]]:
    """The picture scaled into the top left of a square of :data:`PADDING`, its aspect kept.

    Returns:
        uint8 ``[side, side, 3]``, and the height and width that the picture takes in it.
    """
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    inner = max(1, round(height * scale)), max(1, round(width * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    square = np.full((side, side, 3), PADDING, np.uint8)
    square[: inner[0], : inner[1]] = cv2.resize(picture, inner[::-1], interpolation=method)
    return square, inner


@dataclass(frozen=True)
class Letterboxed:
    """Where a picture lies in the square that the network saw.

    Attributes:
        size: height and width of the picture.
        inner: height and width that it takes in the square. side: of the square.
        floor: detections below this score are dropped.
    """

    size: tuple[int, int]
    inner: tuple[int, int]
    side: int
    floor: float

    def detections(self, boxes: NDArray[np.floating], scores: NDArray[np.floating]) -> Detections:
        """From fractions of the square to pixels of the picture.

        Args:
            boxes: ``[N, 4]`` ymin, xmin, ymax, xmax. scores: ``[N]``.
        """
        numbers = np.asarray(scores, np.float64)
        keep = ~(numbers < self.floor)  # what is no number is kept, for Detections to refuse
        height, width = self.size
        square = self.side / self.inner[0] * height, self.side / self.inner[1] * width
        found = Boxes.from_normalized_yxyx(boxes[keep], square[1], square[0]).clip(width, height)
        return Detections(found[found.valid], numbers[keep][found.valid])


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
