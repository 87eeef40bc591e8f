"""Faces that nobody labelled, but that two detectors of others agree on.

A *consensus file* names them by the content of their picture; ``python -m benchmarks.consensus`` makes one.
What is certain (both detectors are sure enough) becomes a label of the training split; what is not becomes
a region that training ignores. In validation and test everything is such a region: figures that count
the detectors' opinion as truth would measure how far a model agrees with them.

The file changes neither the split nor any source file.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.boxes import Boxes
from pipeline.config.paths import locate
from pipeline.config.schema import ConsensusUse
from pipeline.data.examples import Attributes, LabelledPicture, Problem
from pipeline.errors import UserError

ORIGIN = "consensus"
"""The ``origin`` of every such box, and its source label."""
SAME_IOU, SAME_SHARE = 0.2, 0.4
"""Overlap with a labelled face, and share of the smaller of both, from which they are one face."""


@dataclass(frozen=True)
class Agreed:
    """A face that the detectors agree on.

    Attributes:
        box: ``xmin, ymin, xmax, ymax`` in pixels of the upright picture.
        scores: by detector.
        certain: whether it is good enough to be a label.
    """

    box: tuple[float, float, float, float]
    scores: Mapping[str, float]
    certain: bool


@dataclass(frozen=True)
class Consensus:
    """What a consensus file says.

    Attributes:
        detectors: name → version, as they are recorded with each box.
        faces: by the SHA-256 of the picture's file.
        digest: of the consensus file.
    """

    detectors: Mapping[str, str]
    faces: Mapping[str, tuple[Agreed, ...]]
    digest: str


def read(path: str) -> Consensus:
    """Reads a consensus file; below Veil's own folder if it is not found from here.

    Raises:
        UserError: it is missing or no such file.
    """
    try:
        content = locate(path).read_bytes()
        document = json.loads(content)
        faces = {
            picture["sha256"]: tuple(_agreed(face) for face in picture["faces"])
            for picture in document["pictures"]
        }
        detectors = {str(name): str(each["version"]) for name, each in document["detectors"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"dataset.consensus={path}: {error!r}; allowed: a file that python -m benchmarks.consensus wrote"
        ) from error
    return Consensus(detectors, faces, hashlib.sha256(content).hexdigest())


def _agreed(face: Mapping[str, Any]) -> Agreed:
    xmin, ymin, xmax, ymax = (float(number) for number in face["box"])
    scores = {str(name): float(score) for name, score in face["scores"].items()}
    return Agreed((xmin, ymin, xmax, ymax), scores, bool(face["certain"]))


def add(
    pictures: Sequence[LabelledPicture], sides: Sequence[str], consensus: Consensus, use: ConsensusUse
) -> tuple[list[LabelledPicture], list[Problem]]:
    """The pictures with the faces that their labels lack, one finding for each of these.

    Args:
        sides: the split of each picture.
        use: what the certain ones are in the training split.
    """
    grown, problems = [], []
    for picture, side in zip(pictures, sides, strict=True):
        faces = unlabelled(picture, consensus.faces.get(picture.sha256, ()))
        taught = side == "train" and use is ConsensusUse.labels
        marks = [_attributes(face, consensus, ignored=not (taught and face.certain)) for face in faces]
        grown.append(_with(picture, faces, marks))
        problems += [
            _finding(picture, side, face, bool(mark.get("ignore")))
            for face, mark in zip(faces, marks, strict=True)
        ]
    return grown, problems


def unlabelled(picture: LabelledPicture, faces: Sequence[Agreed]) -> list[Agreed]:
    """Those that lie on no labelled face, inside the picture."""
    boxes = Boxes(np.array([face.box for face in faces], dtype=np.float64).reshape(-1, 4))
    boxes = boxes.clip(picture.width, picture.height)
    new = boxes.valid & ~same_face(boxes, picture.boxes)
    return [
        replace(face, box=tuple(box.tolist()))
        for face, box, wanted in zip(faces, boxes.xyxy, new, strict=True)
        if wanted
    ]


def same_face(boxes: Boxes, labelled: Boxes) -> NDArray[np.bool_]:
    """Bool ``[N]``: which boxes show a face that has a label, as far as overlap can tell."""
    overlaps = (boxes.iou(labelled) >= SAME_IOU).any(axis=1)
    return overlaps | (overlap_share(boxes, labelled) >= SAME_SHARE)


def overlap_share(boxes: Boxes, labelled: Boxes) -> NDArray[np.float64]:
    """``[N]`` the largest share that a box has in common with a labelled one, of the smaller of both."""
    smaller = np.minimum(boxes.areas[:, None], labelled.areas[None])
    return (boxes.intersection(labelled) / np.maximum(smaller, 1e-9)).max(axis=1, initial=0.0)


def counts(pictures: Sequence[LabelledPicture], sides: Sequence[str]) -> dict[str, dict[str, int]]:
    """Split → ``{"labels": …, "ignored": …}``, the boxes that came from a consensus."""
    found: dict[str, Counter[str]] = {}
    for picture, side in zip(pictures, sides, strict=True):
        mine = [mark for mark in picture.attributes if is_added(mark)]
        found.setdefault(side, Counter(labels=0, ignored=0)).update(
            "ignored" if mark.get("ignore") else "labels" for mark in mine
        )
    return {side: dict(each) for side, each in found.items()}


def is_added(attributes: Attributes) -> bool:
    """Whether the box with these attributes came from a consensus."""
    return attributes.get("origin") == ORIGIN


def is_ignored(attributes: Attributes) -> bool:
    """Whether it came from a consensus and is no label."""
    return is_added(attributes) and bool(attributes.get("ignore"))


def _attributes(face: Agreed, consensus: Consensus, ignored: bool) -> Attributes:
    """``iscrowd`` is the mark that pycocotools and Model Garden obey; ``ignore`` is the one for people."""
    mark = {"origin": ORIGIN, "detectors": dict(consensus.detectors), "scores": dict(face.scores)}
    return mark | ({"ignore": 1, "iscrowd": 1} if ignored else {})


def _with(picture: LabelledPicture, faces: Sequence[Agreed], marks: Sequence[Attributes]) -> LabelledPicture:
    if not faces:
        return picture
    return replace(
        picture,
        boxes=Boxes(np.concatenate([picture.boxes.xyxy, np.array([face.box for face in faces])])),
        labels=(*picture.labels, *[ORIGIN] * len(faces)),
        attributes=(*picture.attributes, *marks),
    )


def _finding(picture: LabelledPicture, side: str, face: Agreed, ignored: bool) -> Problem:
    corners = " ".join(f"{value:g}" for value in np.round(face.box, 1))
    scores = ", ".join(f"{name} {score:.2f}" for name, score in face.scores.items())
    effect = f"ignored, in {side}" if ignored else f"added as a label, in {side}"
    return Problem("face without a label", picture.source, picture.name, f"{corners}: {scores}", effect)
