"""Which detection found which face: greedy matching, best score first, as COCO and Pascal VOC do it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.anonymize.detect import Detections
from pipeline.boxes import Boxes
from pipeline.evaluation.labelled import LabelledFaces

NOBODY = -1


@dataclass(frozen=True)
class Match:
    """Faces and detections of one picture, matched.

    Attributes:
        face_of: ``[D]`` index of the face that each detection found, -1 for none.
        excused: ``[D]`` detections that lie on an ignored face: neither right nor wrong.
        score_of: ``[F]`` score of the detection that found each face, 0 where none did.
        nearby: ``[F]`` best score of any detection that overlaps the face enough, taken or not.
    """

    face_of: NDArray[np.intp]
    excused: NDArray[np.bool_]
    score_of: NDArray[np.float64]
    nearby: NDArray[np.float64]


def match(faces: Boxes, ignored: NDArray[np.bool_], detections: Detections, iou: float) -> Match:
    """Gives each detection, best score first, the free face that it overlaps most, if by ``iou`` at least.

    A detection is matched without looking at weaker ones, so one matching serves every threshold:
    the matches at a threshold are those whose detection scores that much. A detection takes an
    ignored face only when no other is left for it, and several may lie on one ignored face (a crowd);
    on those, the overlap is the share of the *detection* that the face covers (pycocotools does both).
    Equal scores keep the detector's order; of equally overlapped faces the first is taken.
    """
    overlap = detections.boxes.iou(faces)
    inside = detections.boxes.intersection(faces) / np.maximum(detections.boxes.areas, 1e-9)[:, None]
    face_of = np.full(len(detections.boxes), NOBODY, dtype=np.intp)
    excused = np.zeros(len(detections.boxes), dtype=bool)
    free = ~np.asarray(ignored, dtype=bool)
    for index in np.argsort(-detections.scores, kind="stable"):
        candidates = np.where(free, overlap[index], NOBODY)
        if candidates.size and candidates.max() >= iou:
            face_of[index] = int(candidates.argmax())
            free[face_of[index]] = False
        else:
            excused[index] = bool((inside[index][ignored] >= iou).any())
    score_of = np.zeros(len(faces))
    found = face_of != NOBODY
    score_of[face_of[found]] = detections.scores[found]
    nearby = np.max(np.where(overlap >= iou, detections.scores[:, None], 0.0), axis=0, initial=0.0)
    return Match(face_of, excused, score_of, nearby)


def match_all(pictures: Sequence[LabelledFaces], detections: Sequence[Detections], iou: float) -> list[Match]:
    """One :class:`Match` a picture, in the same order."""
    pairs = zip(pictures, detections, strict=True)
    return [match(picture.boxes, picture.ignored, found, iou) for picture, found in pairs]
