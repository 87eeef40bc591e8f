"""The COCO file of a split: what evaluation reads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pipeline.data.consensus import is_added
from pipeline.data.examples import FACE, Attributes, LabelledPicture

FACE_ID = 1


def document(
    ids: Sequence[int], pictures: Sequence[LabelledPicture], groups: Sequence[int]
) -> dict[str, Any]:
    """A COCO document; boxes in pixels of the upright picture, ``xmin, ymin, width, height``.

    Args:
        ids: image ids, unique over all splits; the records' ``image/source_id`` is their text.
        groups: near-duplicate group of each picture.
    """
    images = [
        {
            "id": image_id,
            "file_name": f"{picture.source}/{picture.name}",
            "source": picture.source,
            "name": picture.name,
            "width": picture.width,
            "height": picture.height,
            "sha256": picture.sha256,
            "group": group,
        }
        for image_id, picture, group in zip(ids, pictures, groups, strict=True)
    ]
    annotations: list[dict[str, Any]] = []
    for image_id, picture in zip(ids, pictures, strict=True):
        annotations.extend(_annotations(image_id, picture, first_id=len(annotations) + 1))
    return {
        "info": {"description": "Faces, merged from the sources' own labels; boxes in the upright frame"},
        "categories": [{"id": FACE_ID, "name": FACE}],
        "images": images,
        "annotations": annotations,
    }


def _annotations(image_id: int, picture: LabelledPicture, first_id: int) -> list[dict[str, Any]]:
    return [
        {
            "id": first_id + index,
            "image_id": image_id,
            "category_id": FACE_ID,
            "bbox": [round(value, 3) for value in xywh],
            "area": round(area, 3),
            "iscrowd": int(bool(attributes.get("iscrowd", False))),
            "source": picture.source,
            "source_label": label,
            **(marks := _consensus_marks(attributes)),
            "attributes": {
                key: value for key, value in attributes.items() if key != "iscrowd" and key not in marks
            },
        }
        for index, (xywh, area, label, attributes) in enumerate(
            zip(
                picture.boxes.to_xywh().tolist(),
                picture.boxes.areas.tolist(),
                picture.labels,
                picture.attributes,
                strict=True,
            )
        )
    ]


def _consensus_marks(attributes: Attributes) -> dict[str, Any]:
    """Where a box that no source labelled comes from, beside the fields that COCO knows."""
    return (
        {key: value for key, value in attributes.items() if key != "iscrowd"} if is_added(attributes) else {}
    )
