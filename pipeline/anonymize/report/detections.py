"""The redacted faces in COCO's form."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import count
from textwrap import indent
from typing import Any

from pipeline.anonymize.entry import Entry, Face
from pipeline.anonymize.outcome import Summary

INFO = (
    "Faces found by Veil. Boxes are in pixels of the upright picture (EXIF orientation applied), whose size "
    "is width and height. 'region' is what was redacted, likewise [x, y, width, height]; 'frame' counts "
    "pages and animation frames from 0."
)


def coco(summary: Summary) -> Iterator[str]:
    """Every picture that stands in OUT, and every face at or above the threshold, as parts of a JSON text.

    The manifest is read once for either list, so that the parts are all that is held.
    """
    head = {"info": {"description": INFO}, "categories": [{"id": 1, "name": "FACE"}]}
    yield json.dumps(head, indent=1).removesuffix("\n}")
    yield ',\n "images": '
    yield from _list(map(_image, count(1), summary.standing()))
    yield ',\n "annotations": '
    yield from _list(_annotations(summary.standing()))
    yield "\n}\n"


def _list(records: Iterable[dict[str, Any]]) -> Iterator[str]:
    """The list as it stands at depth 1 of what ``json.dumps`` makes with ``indent=1``."""
    opened = False
    for record in records:
        yield (",\n" if opened else "[\n") + indent(json.dumps(record, indent=1), "  ")
        opened = True
    yield "\n ]" if opened else "[]"


def _annotations(pictures: Iterable[Entry]) -> Iterator[dict[str, Any]]:
    faces = ((image, face) for image, entry in enumerate(pictures, start=1) for face in entry.faces)
    for number, (image, face) in enumerate(faces, start=1):
        yield _annotation(number, image, face)


def _image(number: int, entry: Entry) -> dict[str, Any]:
    picture = entry.picture
    return {
        "id": number,
        "file_name": entry.path,
        "width": picture["width"],
        "height": picture["height"],
        "orientation": picture["orientation"],
    }


def _annotation(number: int, image: int, face: Face) -> dict[str, Any]:
    box = _xywh(face.box)
    annotation = {
        "id": number,
        "image_id": image,
        "category_id": 1,
        "bbox": box,
        "area": round(box[2] * box[3], 2),
        "iscrowd": 0,
        "score": face.score,
        "frame": face.frame,
    }
    return annotation | ({"region": _xywh(face.region)} if face.region else {})


def _xywh(box: list[float] | list[int]) -> list[float]:
    xmin, ymin, xmax, ymax = box
    return [xmin, ymin, round(xmax - xmin, 2), round(ymax - ymin, 2)]
