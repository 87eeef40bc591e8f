"""The redacted faces in COCO's form."""

from __future__ import annotations

from typing import Any

from pipeline.anonymize.entry import Entry, Face
from pipeline.anonymize.outcome import Summary

INFO = (
    "Faces found by Veil. Boxes are in pixels of the upright picture (EXIF orientation applied), whose size "
    "is width and height. 'region' is what was redacted, likewise [x, y, width, height]; 'frame' counts "
    "pages and animation frames from 0."
)


def coco(summary: Summary) -> dict[str, Any]:
    """Every picture that stands in OUT, and every face at or above the threshold."""
    images, annotations = [], []
    for number, entry in enumerate(summary.pictures, start=1):
        images.append(_image(number, entry))
        annotations += [_annotation(number, face) for face in entry.faces]
    for number, annotation in enumerate(annotations, start=1):
        annotation["id"] = number
    return {
        "info": {"description": INFO},
        "categories": [{"id": 1, "name": "FACE"}],
        "images": images,
        "annotations": annotations,
    }


def _image(number: int, entry: Entry) -> dict[str, Any]:
    picture = entry.picture
    return {
        "id": number,
        "file_name": entry.path,
        "width": picture["width"],
        "height": picture["height"],
        "orientation": picture["orientation"],
    }


def _annotation(image: int, face: Face) -> dict[str, Any]:
    box = _xywh(face.box)
    annotation = {
        "id": 0,
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
