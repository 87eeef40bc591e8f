"""COCO: one JSON for the whole set, boxes as ``xmin, ymin, width, height`` in pixels.

A picture that the file lists without boxes is a picture without faces; one that lies in the
folder and is not listed is unlabelled. ``iscrowd`` is carried over: evaluation ignores such boxes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipeline.boxes import Boxes
from pipeline.data.examples import Problem, RawLabels, Reading
from pipeline.data.ingest.files import SourceFolder
from pipeline.errors import UserError

REQUIRED = {"images": {"id", "file_name"}, "annotations": {"image_id"}, "categories": {"id", "name"}}
NAMED_BY_ID = {"images": "file_name", "categories": "name"}
FIELDS: list[tuple[str, Any, str]] = [
    ("file_name", str, "text"),
    ("width", int | float | None, "a number of pixels"),
    ("height", int | float | None, "a number of pixels"),
]
NOT_ATTRIBUTES = {"id", "image_id", "category_id", "bbox", "area", "segmentation", "keypoints", "iscrowd"}


def read(source: SourceFolder) -> Reading:
    """Raises UserError if the file is no COCO JSON, or one of its ids names two things."""
    document = _load(source)
    categories = {_key(category["id"]): str(category["name"]) for category in document["categories"]}
    images = document["images"]
    annotations: dict[str, list[dict[str, Any]]] = {_key(image["id"]): [] for image in images}
    listed = len(annotations)
    for annotation in document["annotations"]:
        annotations.setdefault(_key(annotation["image_id"]), []).append(annotation)
    owners = source.owners([image["file_name"] for image in images])
    labels: list[RawLabels] = []
    problems: list[Problem] = []
    for place, image in enumerate(images):
        mine = annotations[_key(image["id"])]
        name = source.find_name(image["file_name"])
        if name is None:
            problems.append(source.orphan(source.label_file, image["file_name"]))
            continue
        if place != owners[name][0]:
            problems.append(source.second_label(source.label_file, name))
            continue
        others = [images[other] for other in owners[name][1:]]
        if any(_content(other, annotations) != _content(image, annotations) for other in others):
            problems.append(source.contradiction(source.label_file, name))
            continue
        try:
            labels.append(_parse(image, mine, name, source, categories))
        except (ValueError, TypeError, KeyError) as error:
            detail = f"{image['file_name']}: {type(error).__name__} {error}"
            problems.append(source.unreadable_label(source.label_file, detail))
    for image_id, lost in list(annotations.items())[listed:]:
        problems.append(source.orphan(source.label_file, f"with id {image_id} is listed ({len(lost)} boxes)"))
    return Reading(labels, problems + source.unlabelled(owners))


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
        if not isinstance(document[part], list):
            raise UserError(f"{path}: {part} is {str(document[part])[:80]}; allowed: a list")
        for number, entry in enumerate(document[part]):
            if not isinstance(entry, dict) or not keys <= entry.keys():
                raise UserError(
                    f"{path}: {part}[{number}] needs {', '.join(sorted(keys))}; got {str(entry)[:80]}"
                )
    _check_images(path, document["images"])
    for part, field in NAMED_BY_ID.items():
        _check_ids(path, part, field, document[part])
    return document


def _check_images(path: Path, images: list[dict[str, Any]]) -> None:
    for number, image in enumerate(images):
        for field, kinds, allowed in FIELDS:
            if not isinstance(image.get(field), kinds):
                value = repr(image[field])[:80]
                raise UserError(f"{path}: images[{number}].{field}={value}; allowed: {allowed}")


def _check_ids(path: Path, part: str, field: str, entries: list[dict[str, Any]]) -> None:
    """Boxes of an id that two entries share would all go to one of them; an entry twice does no harm."""
    named: dict[str, Any] = {}
    for entry in entries:
        first = named.setdefault(_key(entry["id"]), entry[field])
        if first != entry[field]:
            raise UserError(
                f"{path}: {part} '{first}' and '{entry[field]}' have the same id {entry['id']}; "
                "allowed: an id for each"
            )


def _key(value: Any) -> str:
    """An id as text: scripts write the same one as 7, as 7.0 and as "7"."""
    return str(int(value) if isinstance(value, float) and value.is_integer() else value)


def _content(image: dict[str, Any], annotations: dict[str, list[dict[str, Any]]]) -> list[Any]:
    """What an entry says of its picture, but for the ids that tell it from another one."""
    boxes = [{**each, "id": None, "image_id": None} for each in annotations[_key(image["id"])]]
    return [image.get("width"), image.get("height"), boxes]


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
            categories.get(_key(annotation["category_id"]), str(annotation["category_id"]))
            for annotation in annotations
        ),
        attributes=tuple(_attributes(annotation) for annotation in annotations),
    )


def _attributes(annotation: dict[str, Any]) -> dict[str, Any]:
    """COCO's own extension point ``attributes``, any field of the set's own, and the crowd flag."""
    own = {key: value for key, value in annotation.items() if key not in NOT_ATTRIBUTES}
    own |= own.pop("attributes", None) or {}
    return own | ({"iscrowd": 1} if annotation.get("iscrowd") else {})
