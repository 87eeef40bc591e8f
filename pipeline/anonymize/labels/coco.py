"""COCO: one JSON for many pictures."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from pipeline.anonymize.labels.pictures import IGNORE, Carried, LabelError, Pictures, refuse_embedded

LINKS = ("coco_url", "flickr_url", "url")
MASK = re.compile(r"[0-o]*")
"""The characters of a run-length mask, the one value of COCO that may be long; base64 needs others."""


def carry(path: str, data: bytes, pictures: Pictures) -> Carried | None:
    """The file for OUT; None when it is no COCO file.

    Raises:
        LabelError: it embeds data, or says something twice.
    """
    try:
        content = json.loads(data, object_pairs_hook=_once)
    except ValueError:
        return None
    if not _is_coco(content):
        return None
    refuse_embedded(_texts(content))
    notes = _drop_left_out(content, path, pictures)
    if pictures.ignore_faces:
        notes += _add_ignored(content, path, pictures)
    notes += _move(content, pictures)
    links = sum(any(image.get(link) for link in LINKS) for image in content["images"])
    told = [f"{links} images carry a link to the original on the web, which stays"] if links else []
    return Carried(json.dumps(content).encode() if notes else data, notes + told)


def _is_coco(content: Any) -> bool:
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        return False
    if not content["images"] and not isinstance(content.get("annotations"), list):
        return False  # whatever else it may be
    return all(
        isinstance(image, dict) and isinstance(image.get("file_name"), str) for image in content["images"]
    )


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; a name given twice would hide the first value from every check, and be copied with it."""
    content = dict(pairs)
    if len(content) != len(pairs):
        raise LabelError("corrupt", "an object of it has two values of the same name")
    return content


def _texts(content: Any) -> Iterator[str]:
    """Every name and text, except the runs of masks."""
    stack = [content]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            yield from value
            stack.extend(each for name, each in value.items() if name != "segmentation")
            stack.append(_without_runs(value.get("segmentation")))
        elif isinstance(value, list):
            stack.extend(value)
        elif isinstance(value, str):
            yield value


def _without_runs(segmentation: Any) -> Any:
    runs = segmentation.get("counts") if isinstance(segmentation, dict) else None
    if isinstance(runs, str) and MASK.fullmatch(runs):
        return {name: each for name, each in segmentation.items() if name != "counts"}
    return segmentation


def _drop_left_out(content: dict[str, Any], path: str, pictures: Pictures) -> list[str]:
    images = content["images"]
    content["images"] = [
        image for image in images if not pictures.all_left_out(pictures.named(image["file_name"], path))
    ]
    dropped = len(images) - len(content["images"])
    if not dropped:
        return []
    kept = {image.get("id") for image in content["images"]}
    annotations = content.get("annotations") or []
    content["annotations"] = [each for each in annotations if each.get("image_id") in kept]
    lost = len(annotations) - len(content["annotations"])
    return [f"{dropped} images and {lost} annotations dropped, since the pictures were left out"]


def _move(content: dict[str, Any], pictures: Pictures) -> list[str]:
    """Every absolute path into DATA, under whatever name: tools add ``path`` and others to ``file_name``."""
    moved = 0
    stack: list[Any] = [content]
    while stack:
        value = stack.pop()
        for place, each in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(each, dict | list):
                stack.append(each)
            elif isinstance(each, str) and (new := pictures.moved(each)) != each:
                value[place] = new
                moved += 1
    return [f"{moved} absolute paths now lead into OUT"] if moved else []


def _add_ignored(content: dict[str, Any], path: str, pictures: Pictures) -> list[str]:
    """Regions as crowd annotations, which pycocotools and trainers take for 'do not count'."""
    category = 1 + max((each["id"] for each in content.get("categories") or []), default=0)
    number = 1 + max((each["id"] for each in content.get("annotations") or []), default=0)
    added: list[dict[str, Any]] = []
    for image in content["images"]:
        named = pictures.named(image["file_name"], path)
        if len(named) != 1 or pictures.entries[named[0]].status != "done":
            continue
        boxes, _ = pictures.ignored_boxes(named[0], (image.get("width"), image.get("height")))
        for x, y, width, height in boxes.to_xywh().tolist():
            corners = [x, y, x + width, y, x + width, y + height, x, y + height]
            added.append(
                {
                    "id": number + len(added),
                    "image_id": image["id"],
                    "category_id": category,
                    "bbox": [x, y, width, height],
                    "area": width * height,
                    "segmentation": [corners],
                    "iscrowd": 1,
                    "ignore": 1,
                }
            )
    content["categories"] = [*(content.get("categories") or []), {"id": category, "name": IGNORE}]
    content["annotations"] = [*(content.get("annotations") or []), *added]
    return [f"{len(added)} redacted regions added as {IGNORE}"]
