"""COCO: one JSON for the whole set, boxes as ``xmin, ymin, width, height`` in pixels.

A picture that the file lists without boxes is a picture without faces; one that lies in the
folder and is not listed is unlabelled. ``iscrowd`` is carried over: evaluation ignores such boxes.
"""

from __future__ import annotations

import json
from typing import Any

from pipeline.boxes import Boxes
from pipeline.data.examples import Problem, RawLabels, Reading
from pipeline.data.ingest.files import SourceFolder
from pipeline.errors import UserError

REQUIRED = {"images": {"id", "file_name"}, "annotations": {"image_id"}, "categories": {"id", "name"}}
NOT_ATTRIBUTES = {"id", "image_id", "category_id", "bbox", "area", "segmentation", "keypoints", "iscrowd"}


def read(source: SourceFolder) -> Reading:
    """Raises UserError if the file is no COCO JSON."""
    document = _load(source)
    categories = {category["id"]: str(category["name"]) for category in document["categories"]}
    annotations: dict[Any, list[dict[str, Any]]] = {}
    for annotation in document["annotations"]:
        annotations.setdefault(annotation["image_id"], []).append(annotation)
    labels: list[RawLabels] = []
    problems: list[Problem] = []
    used: set[str] = set()
    for image in document["images"]:
        mine = annotations.pop(image["id"], [])
        name = source.find_name(image["file_name"])
        if name is None:
            problems.append(source.orphan(source.label_file, image["file_name"]))
            continue
        if name in used:
            problems.append(source.second_label(source.label_file, name))
            continue
        used.add(name)
        try:
            labels.append(_parse(image, mine, name, source, categories))
        except (ValueError, TypeError, KeyError) as error:
            detail = f"{image['file_name']}: {type(error).__name__} {error}"
            problems.append(source.unreadable_label(source.label_file, detail))
    for image_id, lost in annotations.items():
        problems.append(source.orphan(source.label_file, f"with id {image_id} is listed ({len(lost)} boxes)"))
    return Reading(labels, problems + source.unlabelled(used))


def _load(source: SourceFolder) -> dict[str, Any]:
    path = source.label_file
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
        missing = [key for key in REQUIRED if key not in document]
    except (ValueError, TypeError, OSError) as error:
        raise UserError(f"{path}: not a COCO JSON ({error})") from error
    if missing:
        raise UserError(f"{path}: not a COCO JSON; it lacks {', '.join(missing)}")
    for part, keys in REQUIRED.items():
        for number, entry in enumerate(document[part]):
            if not isinstance(entry, dict) or not keys <= entry.keys():
                raise UserError(
                    f"{path}: {part}[{number}] needs {', '.join(sorted(keys))}; got {str(entry)[:80]}"
                )
    return document


def _parse(
    image: dict[str, Any],
    annotations: list[dict[str, Any]],
    name: str,
    source: SourceFolder,
    categories: dict[Any, str],
) -> RawLabels:
    width, height = image.get("width"), image.get("height")
    picture = source.pictures[name]
    return RawLabels(
        name=source.relative(picture),
        path=picture,
        frame=(width, height) if width and height else None,
        boxes=Boxes.from_xywh([annotation["bbox"] for annotation in annotations]),
        labels=tuple(
            categories.get(annotation["category_id"], str(annotation["category_id"]))
            for annotation in annotations
        ),
        attributes=tuple(_attributes(annotation) for annotation in annotations),
    )


def _attributes(annotation: dict[str, Any]) -> dict[str, Any]:
    """COCO's own extension point ``attributes``, any field of the set's own, and the crowd flag."""
    own = {key: value for key, value in annotation.items() if key not in NOT_ATTRIBUTES}
    own |= own.pop("attributes", None) or {}
    return own | ({"iscrowd": 1} if annotation.get("iscrowd") else {})
