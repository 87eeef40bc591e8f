"""Humans in the Loop's "Medical mask dataset": one JSON a picture, ``<picture's name>.json``.

Its box is ``xmin, ymin, xmax, ymax`` in pixels. Of its 20 classes four are faces; the others are
things worn, which the label map has to drop.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipeline.boxes import Boxes
from pipeline.data.examples import Problem, RawLabels, Reading
from pipeline.data.ingest.files import SourceFolder, label_files


def read(source: SourceFolder) -> Reading:
    labels: list[RawLabels] = []
    problems: list[Problem] = []
    used: set[str] = set()
    for stem, path in label_files(source, ".json"):
        document, error = _load(path)
        name = source.find(stem, document.get("FileName"))
        if name is None:
            problems.append(source.orphan(path, stem))
            continue
        if name in used:
            problems.append(source.second_label(path, name))
            continue
        used.add(name)
        try:
            if error is not None:
                raise error
            labels.append(_parse(document, source.pictures[name], source))
        except (ValueError, TypeError, KeyError) as fault:
            problems.append(source.unreadable_label(path, f"{type(fault).__name__}: {fault}"))
    return Reading(labels, problems + source.unlabelled(used))


def _load(path: Path) -> tuple[dict[str, Any], Exception | None]:
    """The document, or an empty one and why."""
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, OSError) as error:
        return {}, error
    if not isinstance(document, dict):
        return {}, ValueError(f"expected an object with 'Annotations', got a {type(document).__name__}")
    return document, None


def _parse(document: dict[str, Any], picture: Path, source: SourceFolder) -> RawLabels:
    annotations = document["Annotations"]
    return RawLabels(
        name=source.relative(picture),
        path=picture,
        frame=None,
        boxes=Boxes([annotation["BoundingBox"] for annotation in annotations]),  # type: ignore[arg-type]
        labels=tuple(str(annotation["classname"]) for annotation in annotations),
        attributes=tuple(annotation.get("Attributes") or {} for annotation in annotations),
    )
