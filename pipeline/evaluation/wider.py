"""Average precision by the official protocol of WIDER FACE (Yang et al., CVPR 2016).

It differs from COCO's: scores are stretched to [0, 1] over the whole set, the curve has 1,000 evenly
spaced thresholds, boxes include their last pixel, a detection is compared with the one face that it
overlaps most (a second one on a found face is a false alarm), faces outside the difficulty's subset are
ignored with everything on them, and a picture without faces or without detections is passed over.
Follows the semantics of the benchmark's ``evaluation.m``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.anonymize.detect import Detections
from pipeline.boxes import Boxes
from pipeline.evaluation.labelled import DIFFICULTIES, LabelledFaces, has_difficulties

THRESHOLDS = 1000
IOU = 0.5

FloatArray = NDArray[np.float64]


def wider_ap(pictures: Sequence[LabelledFaces], detections: Sequence[Detections]) -> dict[str, float]:
    """AP for easy, medium and hard; empty for a set whose faces have no difficulties."""
    if not has_difficulties(pictures):
        return {}
    scores = normalized_scores(detections)
    return {name: _ap(pictures, detections, scores, name) for name in DIFFICULTIES}


def normalized_scores(detections: Sequence[Detections]) -> list[FloatArray]:
    """Scores stretched so that the set's lowest is 0 and its highest 1."""
    everything = np.concatenate([found.scores for found in detections]) if detections else np.zeros(0)
    if not everything.size:
        return [found.scores for found in detections]
    low, spread = everything.min(), np.ptp(everything)
    return [(found.scores - low) / (spread or 1.0) for found in detections]


def _ap(
    pictures: Sequence[LabelledFaces],
    detections: Sequence[Detections],
    scores: Sequence[FloatArray],
    difficulty: str,
) -> float:
    proposals, hits = np.zeros(THRESHOLDS), np.zeros(THRESHOLDS)
    faces = 0
    for picture, found, normalized in zip(pictures, detections, scores, strict=True):
        counted = picture.counted(difficulty)
        faces += int(counted.sum())
        if len(found.boxes) and len(picture.boxes):
            more_proposals, more_hits = _picture_counts(picture.boxes, counted, found.boxes, normalized)
            proposals += more_proposals
            hits += more_hits
    precision = np.divide(hits, proposals, out=np.zeros(THRESHOLDS), where=proposals > 0)
    return all_point_ap(hits / max(faces, 1), precision)


def _picture_counts(
    faces: Boxes, counted: NDArray[np.bool_], boxes: Boxes, scores: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """``[1000]`` proposals and ``[1000]`` faces found, of one picture, at each threshold."""
    order = np.argsort(-scores, kind="stable")
    overlap = inclusive_iou(boxes[order], faces)
    nearest, touches = overlap.argmax(axis=1), overlap.max(axis=1) >= IOU
    ignored = touches & ~counted[nearest]
    found = np.zeros(len(faces), dtype=bool)
    hits = np.zeros(len(order))
    for rank in range(len(order)):
        if touches[rank] and not ignored[rank]:
            found[nearest[rank]] = True
        hits[rank] = found.sum()
    thresholds = 1 - np.arange(1, THRESHOLDS + 1) / THRESHOLDS
    kept = np.searchsorted(-scores[order], -thresholds, side="right")
    proposals = np.cumsum(~ignored)
    return np.append(0, proposals)[kept], np.append(0, hits)[kept]


def inclusive_iou(boxes: Boxes, others: Boxes) -> FloatArray:
    """``[N, M]`` intersection over union with the maximum counted as inside, as the benchmark has it."""
    grown = [Boxes(each.xyxy + np.array([0, 0, 1, 1])) for each in (boxes, others)]
    return grown[0].iou(grown[1])


def all_point_ap(recall: FloatArray, precision: FloatArray) -> float:
    """Area under the curve after precision is made falling (Pascal VOC since 2010)."""
    recall = np.concatenate([[0.0], recall, [1.0]])
    envelope = np.maximum.accumulate(np.concatenate([[0.0], precision, [0.0]])[::-1])[::-1]
    return float(np.sum(np.diff(recall) * envelope[1:]))
