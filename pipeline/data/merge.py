"""Merging source labels to FACE by an explicit map, and counting them before and after."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from pipeline.boxes import Boxes
from pipeline.config.schema import GrowConfig
from pipeline.data.examples import FACE, LabelledPicture, RawLabels
from pipeline.errors import UserError

DROP = "drop"
Counts = dict[str, dict[str, int]]


def check_map(source: str, label_map: Mapping[str, str]) -> None:
    """Raises UserError if a label maps to something else than FACE or drop."""
    for label, target in label_map.items():
        if target not in (FACE, DROP):
            raise UserError(f"dataset.sources.{source}.label_map: {label}={target}; allowed: {FACE}, {DROP}")


def check_labels(counts: Counts, maps: Mapping[str, Mapping[str, str]]) -> None:
    """Stops on labels that no map names, and on maps without a face.

    Args:
        counts: source → source label → boxes, as read.
        maps: source → label map.

    Raises:
        UserError: lists every such label of every source with its count.
    """
    unknown = {
        source: {label: n for label, n in sorted(labels.items()) if label not in maps[source]}
        for source, labels in counts.items()
    }
    lines = [
        f"dataset.sources.{source}.label_map does not name: "
        + ", ".join(f"'{label}' ({n} boxes)" for label, n in labels.items())
        + f"; it names: {', '.join(maps[source]) or 'nothing'}"
        for source, labels in unknown.items()
        if labels
    ]
    if lines:
        raise UserError(
            "\n".join(lines) + f"\nEvery label needs a place: {FACE}, or {DROP} for what is not a face."
        )
    for source, names in maps.items():
        if FACE not in names.values():
            raise UserError(
                f"dataset.sources.{source}.label_map={dict(names)}: no label stands for a face; "
                f"allowed: at least one {FACE}"
            )


def check_repeat(repeat: Mapping[str, int], maps: Mapping[str, Mapping[str, str]]) -> None:
    """Raises UserError if no set has such a label, or none takes it for a face."""
    faces = sorted({label for names in maps.values() for label, target in names.items() if target == FACE})
    for label, times in repeat.items():
        if label not in faces:
            raise UserError(f"dataset.repeat: {label}={times}; allowed: labels of faces: {', '.join(faces)}")


def merge(picture: LabelledPicture, label_map: Mapping[str, str]) -> LabelledPicture:
    """The picture with only the boxes whose label maps to FACE; their source labels stay on them."""
    kept = [index for index, label in enumerate(picture.labels) if label_map[label] == FACE]
    return picture.keep(kept)


def check_grow(source: str, grow: Mapping[str, GrowConfig], label_map: Mapping[str, str]) -> None:
    """Raises UserError for a label that stands for no face."""
    faces = [label for label, target in label_map.items() if target == FACE]
    for label in grow:
        if label not in faces:
            raise UserError(
                f"dataset.sources.{source}.grow: {label}; allowed: labels of faces: {', '.join(faces)}"
            )


def even(picture: LabelledPicture, grow: Mapping[str, GrowConfig]) -> LabelledPicture:
    """The picture with the boxes of some labels as tight as other sets draw them, inside the picture."""
    if not grow:
        return picture
    sides = [grow.get(label, GrowConfig()) for label in picture.labels]
    shares = np.array([[-each.left, -each.top, each.right, each.bottom] for each in sides]).reshape(-1, 4)
    moved = Boxes(picture.boxes.xyxy + shares * np.tile(picture.boxes.sizes, 2))
    return replace(picture, boxes=moved.clip(picture.width, picture.height))


def growth(source: str, grow: Mapping[str, GrowConfig]) -> list[str]:
    """What :func:`even` does, in a note for each label."""
    sides = {
        label: ", ".join(f"{side} {share:+g}" for side, share in vars(each).items() if share)
        for label, each in grow.items()
    }
    return [
        f"sides of boxes of {label} in {source} are moved: {moved or 'none'}; shares of it, + is outwards"
        for label, moved in sides.items()
    ]


def targets(maps: Mapping[str, Mapping[str, str]]) -> list[tuple[str, str, str]]:
    """``(source, source label, FACE or drop)`` in the order of the maps."""
    return [(source, label, target) for source, names in maps.items() for label, target in names.items()]


def count_raw(labels: Iterable[RawLabels]) -> dict[str, int]:
    """Boxes as read, by source label."""
    return dict(Counter(label for raw in labels for label in raw.labels))


def count_pictures(pictures: Iterable[LabelledPicture]) -> Counts:
    """Boxes in the version, by source and source label."""
    counts: dict[str, Counter[str]] = {}
    for picture in pictures:
        counts.setdefault(picture.source, Counter()).update(picture.labels)
    return {source: dict(labels) for source, labels in counts.items()}
