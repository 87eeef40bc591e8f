"""Precision and recall: at the operating threshold, by slice, and over all thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.anonymize.detect import Detections
from pipeline.evaluation.labelled import LabelledFaces
from pipeline.evaluation.matching import NOBODY, Match
from pipeline.evaluation.slices import Rate, label_of, membership, rate

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """Precision and recall against the score, from the highest score down.

    Attributes:
        scores: ``[K]`` distinct scores, falling.
        precision, recall: ``[K]`` of the detections that score at least that much.
    """

    scores: FloatArray
    precision: FloatArray
    recall: FloatArray


@dataclass(frozen=True)
class MissedFace:
    """A face that no detection found at the operating threshold.

    Attributes:
        best_score: of the detections that overlap it enough, below the threshold or taken by
            another face; 0 where there is none.
    """

    picture: str
    xmin: float
    ymin: float
    xmax: float
    ymax: float
    size: float
    label: str
    slice: str
    source: str
    best_score: float


def curve(
    pictures: Sequence[LabelledFaces], detections: Sequence[Detections], matches: Sequence[Match]
) -> Curve:
    """Precision and recall at each score that occurs; excused detections and ignored faces count nowhere."""
    faces = sum(int((~picture.ignored).sum()) for picture in pictures)
    counts = [~each.excused for each in matches]
    scores = _joined([found.scores[kept] for found, kept in zip(detections, counts, strict=True)])
    right = _joined([(each.face_of != NOBODY)[kept] for each, kept in zip(matches, counts, strict=True)])
    order = np.argsort(-scores, kind="stable")
    scores, hits = scores[order], np.cumsum(right[order])
    last = (
        np.flatnonzero(np.append(np.diff(scores) != 0, True)) if len(scores) else np.zeros(0, dtype=np.intp)
    )
    hits = hits[last]
    return Curve(scores[last], hits / (last + 1), hits / max(faces, 1))


def precision_at(detections: Sequence[Detections], matches: Sequence[Match], threshold: float) -> Rate:
    """Share of the detections at or above the threshold that found a face; excused ones left out."""
    right = total = 0
    for found, each in zip(detections, matches, strict=True):
        kept = (found.scores >= threshold) & ~each.excused
        total += int(kept.sum())
        right += int((kept & (each.face_of != NOBODY)).sum())
    return rate(right, total)


def recall_at(
    pictures: Sequence[LabelledFaces], matches: Sequence[Match], threshold: float
) -> dict[str, Rate]:
    """Share of the faces found at the threshold: ``all``, then each slice."""
    counted = ~_joined([picture.ignored for picture in pictures]).astype(bool)
    found = _joined([each.score_of for each in matches]) >= threshold
    slices = {"all": np.ones(len(counted), dtype=bool)} | membership(pictures)
    return {
        name: rate(int((found & counted & inside).sum()), int((counted & inside).sum()))
        for name, inside in slices.items()
    }


def missed_faces(
    pictures: Sequence[LabelledFaces], matches: Sequence[Match], threshold: float
) -> list[MissedFace]:
    """Every counted face that the threshold leaves out, largest first."""
    missed = [
        _missed(picture, int(index), float(each.nearby[index]))
        for picture, each in zip(pictures, matches, strict=True)
        for index in np.flatnonzero((each.score_of < threshold) & ~picture.ignored)
    ]
    return sorted(missed, key=lambda face: (-face.size, face.picture, face.xmin, face.ymin))


def _missed(picture: LabelledFaces, index: int, best_score: float) -> MissedFace:
    xmin, ymin, xmax, ymax = (round(float(edge), 2) for edge in picture.boxes.xyxy[index])
    return MissedFace(
        picture=picture.name,
        xmin=xmin,
        ymin=ymin,
        xmax=xmax,
        ymax=ymax,
        size=round(float(picture.boxes.face_sizes[index]), 2),
        label=picture.labels[index],
        slice=label_of(picture.labels[index]),
        source=picture.sources[index],
        best_score=round(best_score, 4),
    )


def _joined(arrays: Sequence[NDArray]) -> NDArray:
    return np.concatenate(arrays) if arrays else np.zeros(0)
