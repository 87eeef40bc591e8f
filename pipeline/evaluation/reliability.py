"""Whether scores mean what they say: of the detections that score about 0.7, are about 0.7 right?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.anonymize.detect import Detections
from pipeline.config.schema.anonymization import SCORE_FLOOR
from pipeline.evaluation.matching import NOBODY, Match
from pipeline.evaluation.slices import Rate, rate

BINS = 10


@dataclass(frozen=True)
class Reliability:
    """Detections in bins of their score, equally wide; empty bins are left out.

    Attributes:
        scores: mean score in each bin.
        right: detections in each bin that found a face, with the interval of their share.
        error: expected calibration error (Naeini and others, 2015): the mean distance between score and
            share over the bins, weighted by their detections; 0 without any detection.
    """

    scores: tuple[float, ...]
    right: tuple[Rate, ...]
    error: float


def reliability(scores: NDArray[np.float64], right: NDArray[np.bool_], bins: int = BINS) -> Reliability:
    """Compares scores with what came of them.

    Args:
        scores: ``[D]`` from 0 to 1.
        right: ``[D]`` whether the detection found a face.
    """
    place = np.minimum((scores * bins).astype(int), bins - 1)
    inside = [place == number for number in range(bins) if (place == number).any()]
    means = tuple(float(scores[each].mean()) for each in inside)
    rates = tuple(rate(int(right[each].sum()), int(each.sum())) for each in inside)
    distances = [abs(mean - each.share) * each.of for mean, each in zip(means, rates, strict=True)]
    return Reliability(means, rates, float(sum(distances) / max(len(scores), 1)))


def kept_detections(
    detections: Sequence[Detections], matches: Sequence[Match]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scores of what the tool would keep (:data:`SCORE_FLOOR`), and whether it found a face; excused
    detections are left out.
    """
    scores = np.concatenate([found.scores for found in detections] or [np.zeros(0)])
    right = np.concatenate([each.face_of != NOBODY for each in matches] or [np.zeros(0, dtype=bool)])
    excused = np.concatenate([each.excused for each in matches] or [np.zeros(0, dtype=bool)])
    kept = (scores >= SCORE_FLOOR) & ~excused
    return scores[kept], right[kept]
