"""Finds the map of scores: the operating point first, then what scores mean on either side of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

from pipeline.calibration.score_map import ScoreMap
from pipeline.calibration.scored import Scored
from pipeline.evaluation.predict import FLOOR
from pipeline.evaluation.slices import rate

OPERATING = 0.5
"""The calibrated score of the operating point."""
LEVELS = (0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, OPERATING, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
"""Calibrated scores of the knots."""
MIN_SLOPE = 0.25
"""In logits. Scores that say next to nothing still keep their order."""
RESAMPLES = 500
CANDIDATES = 512

FloatArray = NDArray[np.float64]


def operating_score(scored: Scored, precision: float, confidence: float) -> float | None:
    """The lowest raw score from which detections are right often enough; None if there is none.

    Taken at its face value, which is a confidence of .5, the lowest score whose precision reaches 0.80 has
    less than 0.80 on new pictures half of the time. With more, the lower bound has to reach it: the
    ``1 - confidence`` quantile over resamples of whole pictures, since errors come in company, and no more
    than Clopper–Pearson's bound, since resampling what was always right finds no error.

    Returns:
        A score halfway to the next lower one, so that rounding moves no detection across it.
    """
    shares = np.cumsum(scored.right) / np.arange(1, len(scored) + 1)
    last = np.append(np.diff(scored.scores) < 0, True) if len(scored) else np.zeros(0, dtype=bool)
    candidates = np.flatnonzero((shares >= precision) & last)  # the bound is never above the share
    if not len(candidates):
        return None
    chosen = np.unique(np.linspace(0, len(candidates) - 1, min(CANDIDATES, len(candidates))).astype(int))
    candidates = candidates[chosen]
    for place in candidates[_lower_bounds(scored, candidates, confidence) >= precision][::-1]:
        if exact_lower_bound(*scored.counts(scored.scores[place]), confidence) >= precision:
            below = scored.scores[place + 1] if place + 1 < len(scored) else 0.0
            return max(float(scored.scores[place] + below) / 2, 2 * FLOOR)
    return None


def lower_bound(scored: Scored, threshold: float, confidence: float) -> float:
    """What the precision from a score on is at least, with that confidence, as :func:`operating_score` has
    it.
    """
    right, found = scored.counts(threshold)
    if not found:
        return 0.0
    resampled = _lower_bounds(scored, np.array([found - 1]), confidence)
    return min(float(resampled[0]), exact_lower_bound(right, found, confidence))


def exact_lower_bound(right: int, found: int, confidence: float) -> float:
    """Clopper and Pearson's bound below which a share lies with a probability of ``1 - confidence``."""
    return rate(right, found, confidence=2 * confidence - 1).low


def _lower_bounds(scored: Scored, places: NDArray[np.intp], confidence: float) -> FloatArray:
    """For each place in the falling scores: a quantile of the precision down to it, over resamples."""
    column = np.searchsorted(places, np.arange(len(scored)))  # the first place that includes a detection
    inside = column < len(places)
    found, right = np.zeros((2, scored.pictures, len(places)))
    np.add.at(found, (scored.picture[inside], column[inside]), 1.0)
    np.add.at(right, (scored.picture[inside], column[inside]), scored.right[inside])
    even = np.full(scored.pictures, 1 / scored.pictures)
    weights = np.random.default_rng(0).multinomial(scored.pictures, even, size=RESAMPLES)
    shares = (weights @ right.cumsum(axis=1)) / np.maximum(weights @ found.cumsum(axis=1), 1)
    return np.asarray(np.quantile(shares, 1 - confidence, axis=0))


def fit(scored: Scored, operating: float) -> ScoreMap:
    """The map that takes ``operating`` to 0.5 and elsewhere comes near to probabilities.

    Platt scaling (1999) in logits, as Kull and others (2017) write it, held at the operating point and
    with a slope for each side of it: the log-odds of being right are
    ``a · min(z, 0) + b · max(z, 0)``, ``z`` being the logit of the score less that of ``operating``.
    """
    from sklearn.linear_model import LogisticRegression  # a second to import

    slopes = np.ones(2)
    if not scored.right.all():
        model = LogisticRegression(fit_intercept=False, C=1e3)
        slopes = model.fit(_sides(scored.scores, operating), scored.right).coef_[0]
    below, above = np.maximum(slopes, MIN_SLOPE)
    levels = np.array(LEVELS)
    distance = logit(levels)
    raw = np.round(expit(logit(operating) + np.where(distance < 0, distance / below, distance / above)), 6)
    kept = ((raw > 1.5 * FLOOR) & (raw < 0.9995)) | (levels == OPERATING)
    return ScoreMap((0.0, FLOOR, *raw[kept].tolist(), 1.0), (0.0, FLOOR, *levels[kept].tolist(), 1.0))


def _sides(scores: ArrayLike, operating: float) -> FloatArray:
    """``[D, 2]`` distance in logits below and above the operating point."""
    distance = logit(np.clip(scores, 1e-4, 1 - 1e-6)) - logit(operating)
    return np.stack([np.minimum(distance, 0), np.maximum(distance, 0)], axis=-1)
