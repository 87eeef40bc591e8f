"""The detections of a labelled set, right or wrong: what calibration is fitted to and measured on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.anonymize.detect import Detections
from pipeline.evaluation.labelled import LabelledFaces
from pipeline.evaluation.matching import NOBODY, match_all


@dataclass(frozen=True)
class Scored:
    """Detections of all pictures, those on ignored faces left out, best first.

    Attributes:
        scores: ``[D]``, falling.
        right: ``[D]`` whether it found a face.
        picture: ``[D]`` index of its picture.
        pictures: pictures in all.
        faces: faces that count.
    """

    scores: NDArray[np.float64]
    right: NDArray[np.bool_]
    picture: NDArray[np.intp]
    pictures: int
    faces: int

    def __len__(self) -> int:
        return len(self.scores)

    def counts(self, threshold: float) -> tuple[int, int]:
        """Right detections, and all of them, at or above a score."""
        kept = self.scores >= threshold
        return int((self.right & kept).sum()), int(kept.sum())


def score_all(pictures: Sequence[LabelledFaces], detections: Sequence[Detections], iou: float) -> Scored:
    """Matches as the evaluation does it: greedily, best score first; ignored faces count nowhere."""
    matches = match_all(pictures, detections, iou)
    scores = np.concatenate([found.scores for found in detections] or [np.zeros(0)])
    right = np.concatenate([each.face_of != NOBODY for each in matches] or [np.zeros(0, dtype=bool)])
    excused = np.concatenate([each.excused for each in matches] or [np.zeros(0, dtype=bool)])
    picture = np.repeat(np.arange(len(pictures)), [len(found) for found in detections])
    order = np.argsort(-scores, kind="stable")
    order = order[~excused[order]]
    faces = sum(int((~each.ignored).sum()) for each in pictures)
    return Scored(scores[order], right[order], picture[order], len(pictures), faces)
