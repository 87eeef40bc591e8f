"""What a labelled set says is there: pictures with their faces, read from a data set version's COCO json."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.boxes import Boxes
from pipeline.data.consensus import ORIGIN
from pipeline.data.version import picture_path
from pipeline.errors import UserError

DIFFICULTIES = ("easy", "medium", "hard")


@dataclass(frozen=True)
class LabelledFaces:
    """One picture and the faces that its labels name.

    Attributes:
        id: the picture's id in the COCO json.
        path: where the picture is.
        name: how reports name it.
        source: the labelled set that it came from.
        width, height: pixels, upright.
        boxes: ``N`` faces, upright pixels.
        labels: ``N`` labels as the source wrote them.
        sources: ``N`` sets.
        ignored: ``[N]`` faces that count neither as missed nor, when found, as a false alarm.
        difficulties: ``N`` sets out of easy, medium, hard; ``None`` when the set has no such notion.
    """

    id: int
    path: Path
    name: str
    source: str
    width: int
    height: int
    boxes: Boxes
    labels: tuple[str, ...]
    sources: tuple[str, ...]
    ignored: NDArray[np.bool_]
    difficulties: tuple[frozenset[str], ...] | None = None
    added: NDArray[np.bool_] | None = None
    """``[N]`` boxes that no source labelled, from a consensus of detectors; None is none of them."""

    def __post_init__(self) -> None:
        lengths = {"labels": len(self.labels), "sources": len(self.sources), "ignored": len(self.ignored)}
        if self.difficulties is not None:
            lengths["difficulties"] = len(self.difficulties)
        for name, length in lengths.items():
            if length != len(self.boxes):
                raise ValueError(f"{self.name}: {len(self.boxes)} boxes, but {length} {name}")

    def as_labelled(self) -> LabelledFaces:
        """The picture with what its source labelled, and nothing else."""
        if self.added is None or not self.added.any():
            return self
        kept = np.flatnonzero(~self.added).tolist()
        return replace(
            self,
            boxes=self.boxes[kept],
            labels=tuple(self.labels[index] for index in kept),
            sources=tuple(self.sources[index] for index in kept),
            ignored=self.ignored[kept],
            difficulties=self.difficulties and tuple(self.difficulties[index] for index in kept),
            added=None,
        )

    def counted(self, difficulty: str) -> NDArray[np.bool_]:
        """``[N]`` which faces that difficulty counts."""
        return np.array([difficulty in each for each in self.difficulties or ()], dtype=bool)


def has_difficulties(pictures: Sequence[LabelledFaces]) -> bool:
    """Whether WIDER FACE's difficulties are known for every face of the set."""
    known = all(picture.difficulties is not None for picture in pictures)
    return known and any(picture.difficulties for picture in pictures)


def read_labelled(coco_jsons: Path | Iterable[Path], consensus: bool = False) -> list[LabelledFaces]:
    """Reads one COCO json, or the splits of one data set version as one set, in the files' order.

    Crowds, faces marked ``ignore`` and those whose source calls them invalid are ignored.

    Args:
        consensus: whether faces that only a consensus of detectors names are there, to be ignored.

    Raises:
        UserError: a file is missing or no COCO json, a picture is missing, or files share picture ids.
    """
    paths = [coco_jsons] if isinstance(coco_jsons, Path) else list(coco_jsons)
    pictures = [picture for path in paths for picture in _read_one(path)]
    if len({picture.id for picture in pictures}) < len(pictures):
        raise UserError(
            f"{', '.join(map(str, paths))}: picture ids occur twice; allowed: splits of one version"
        )
    return pictures if consensus else [picture.as_labelled() for picture in pictures]


def of_sources(pictures: list[LabelledFaces], sources: Sequence[str]) -> list[LabelledFaces]:
    """The pictures of some of the sets; of all for none.

    Raises:
        UserError: a set has no picture among them.
    """
    there = {picture.source for picture in pictures}
    if unknown := sorted(set(sources) - there):
        raise UserError(f"evaluation.sources: {', '.join(unknown)}; allowed: {', '.join(sorted(there))}")
    return [picture for picture in pictures if not sources or picture.source in sources]


def _read_one(path: Path) -> list[LabelledFaces]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        annotations: dict[int, list[Mapping[str, Any]]] = {image["id"]: [] for image in content["images"]}
        for annotation in content["annotations"]:
            annotations[annotation["image_id"]].append(annotation)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: expected a COCO json with images and annotations: {error!r}") from error
    return [_picture(path, image, annotations[image["id"]]) for image in content["images"]]


def _picture(path: Path, image: Mapping[str, Any], annotations: Sequence[Mapping[str, Any]]) -> LabelledFaces:
    found = [_difficulty(annotation) for annotation in annotations]
    known = not found or any(each is not None for each in found)
    source = str(image.get("source", ""))
    added = np.array([annotation.get("origin") == ORIGIN for annotation in annotations], dtype=bool)
    return LabelledFaces(
        id=int(image["id"]),
        path=picture_path(path, image),
        name=str(image["file_name"]),
        source=source,
        width=int(image["width"]),
        height=int(image["height"]),
        boxes=Boxes.from_xywh([annotation["bbox"] for annotation in annotations]),
        labels=tuple(str(annotation.get("source_label", "")) for annotation in annotations),
        sources=tuple(str(annotation.get("source", source)) for annotation in annotations),
        ignored=np.array([_ignored(annotation) for annotation in annotations], dtype=bool) | added,
        difficulties=tuple(each or frozenset() for each in found) if known else None,
        added=added if added.any() else None,
    )


def _ignored(annotation: Mapping[str, Any]) -> bool:
    attributes = annotation.get("attributes", {})
    marks = (
        annotation.get("iscrowd"),
        annotation.get("ignore"),
        attributes.get("ignore"),
        attributes.get("invalid"),
    )
    return any(bool(mark) for mark in marks)


def _difficulty(annotation: Mapping[str, Any]) -> frozenset[str] | None:
    named = annotation.get("difficulty", annotation.get("attributes", {}).get("difficulty"))
    return None if named is None else frozenset(named)
