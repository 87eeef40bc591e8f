"""The values that travel through the data stage, from a label file to a record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.boxes import Boxes

Attributes = Mapping[str, Any]
FACE = "FACE"
"""The one label that everything merges to; its class id is 1."""


@dataclass(frozen=True)
class RawLabels:
    """What a label file says about one picture, before the picture has been opened.

    Attributes:
        name: the picture, relative to the set's folder, with forward slashes.
        frame: width and height of the frame that the boxes are measured in: ``(1, 1)`` for
            fractions, the size that the label file states, or None for "the picture's pixels".
        boxes: in ``frame``'s unit, as written: perhaps outside, empty or inverted.
        labels: the source's own label of each box.
        attributes: whatever else the source says of each box; ``iscrowd`` is COCO's.
    """

    name: str
    path: Path
    frame: tuple[float, float] | None
    boxes: Boxes
    labels: tuple[str, ...]
    attributes: tuple[Attributes, ...] = ()

    def __post_init__(self) -> None:
        if not self.attributes:
            object.__setattr__(self, "attributes", tuple({} for _ in self.labels))
        if not len(self.boxes) == len(self.labels) == len(self.attributes):
            raise ValueError(
                f"{self.name}: {len(self.boxes)} boxes, {len(self.labels)} labels and "
                f"{len(self.attributes)} attributes, expected as many of each"
            )


@dataclass(frozen=True)
class LabelledPicture:
    """One readable picture and its valid boxes.

    Attributes:
        source: the name of the set in ``dataset.sources``.
        width, height: of the upright picture, in pixels.
        boxes: upright absolute pixels, inside the picture, none empty.
        labels: the source's own labels; after the merge every one of them stands for a face.
        sha256: of the file's bytes.
        dhash: bool ``[2, 256]``, the difference hash of the upright picture and of its mirror image.
        bit_exact: whether the file's bytes are an upright RGB JPEG, to be stored as they are.
    """

    source: str
    name: str
    path: Path
    width: int
    height: int
    boxes: Boxes
    labels: tuple[str, ...]
    attributes: tuple[Attributes, ...]
    sha256: str = ""
    dhash: Any = field(default=None, compare=False)
    bit_exact: bool = False

    def keep(self, indices: list[int]) -> LabelledPicture:
        """The same picture with only these boxes."""
        return LabelledPicture(
            **{
                **self.__dict__,
                "boxes": self.boxes[indices],
                "labels": tuple(self.labels[i] for i in indices),
                "attributes": tuple(self.attributes[i] for i in indices),
            }
        )


@dataclass(frozen=True)
class Problem:
    """One finding of the validation, and what it did to the version."""

    kind: str
    source: str
    name: str
    detail: str
    effect: str


@dataclass(frozen=True)
class Reading:
    """What a reader found in one set."""

    labels: list[RawLabels]
    problems: list[Problem]
