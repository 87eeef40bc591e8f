"""The operating point and the map around it, on detections whose chances are known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pipeline.calibration.fit import OPERATING, exact_lower_bound, fit, operating_score
from pipeline.calibration.run import assess
from pipeline.calibration.scored import Scored
from pipeline.config.schema import CalibrationConfig
from pipeline.evaluation.predict import FLOOR


def drawn(pictures: int, seed: int = 0, together: bool = False) -> Scored:
    """Twenty detections a picture with chances from 0 to 1, scored too low: chance .5 scores .25.

    With ``together`` all errors of a picture come together.
    """
    random = np.random.default_rng(seed)
    chance = random.uniform(size=(pictures, 20)) ** 0.7
    luck = np.broadcast_to(random.uniform(size=(pictures, 1)), chance.shape) if together else None
    right = (random.uniform(size=chance.shape) if luck is None else luck) < chance
    scores = FLOOR + 0.98 * chance**2
    order = np.argsort(-scores.ravel(), kind="stable")
    picture = np.repeat(np.arange(pictures), 20)
    return Scored(scores.ravel()[order], right.ravel()[order], picture[order], pictures, int(right.sum()))


def calibrated(scored: Scored) -> Scored:
    score_map = assess(scored, CalibrationConfig(confidence=0.9)).score_map
    return dataclasses.replace(scored, scores=score_map(scored.scores))


def test_half_is_the_lowest_score_that_is_right_often_enough() -> None:
    scored = drawn(400)
    operating = operating_score(scored, 0.8, 0.9)
    assert operating is not None
    right, found = scored.counts(operating)
    assert 0.8 < right / found < 0.82
    right, found = scored.counts(operating * 0.9)
    assert right / found < 0.8, "a lower score would not do"
    assert fit(scored, operating)(operating) == pytest.approx(OPERATING, abs=1e-5)
    assert calibrated(scored).counts(OPERATING) == scored.counts(operating)


def test_precision_holds_on_new_pictures_as_often_as_promised() -> None:
    """Of fifty calibrations with a confidence of .9, about nine tenths hold; at face value half."""
    true = drawn(20_000, seed=1)
    kept = {0.9: 0, 0.5001: 0}
    for seed in range(50):
        scored = drawn(40, seed + 2, together=True)
        for confidence in kept:
            operating = operating_score(scored, 0.8, confidence)
            right, found = true.counts(operating) if operating else (1, 1)
            kept[confidence] += right >= 0.8 * found
    assert kept[0.9] >= 40
    assert kept[0.5001] < 36, "so the margin is what keeps the promise"


def test_scores_mean_probabilities_afterwards() -> None:
    found = assess(drawn(400), CalibrationConfig())
    assert not found.reason
    assert found.before.error > 0.15
    assert found.after.error < 0.06
    elsewhere = drawn(400, seed=9)
    right, of = dataclasses.replace(elsewhere, scores=found.score_map(elsewhere.scores)).counts(OPERATING)
    assert right / of >= 0.78


def test_every_candidate_stays_one() -> None:
    score_map = assess(drawn(100), CalibrationConfig()).score_map
    assert score_map(FLOOR) == FLOOR
    assert score_map(FLOOR - 1e-6) < FLOOR
    scores = np.linspace(0, 1, 10_001)
    assert (np.diff(score_map(scores)) > 0).all()


@pytest.mark.parametrize(
    ("scored", "reason"),
    [
        (drawn(3), "labelled faces, calibration.min_faces=100"),
        (dataclasses.replace(drawn(100), right=np.arange(2000) % 2 == 0), "at no score are 80% of the"),
        (Scored(np.zeros(0), np.zeros(0, bool), np.zeros(0, np.intp), 9, 200), "at no score"),
        (Scored(np.zeros(0), np.zeros(0, bool), np.zeros(0, np.intp), 0, 0), "0 labelled faces"),
    ],
)
def test_where_it_is_not_possible_scores_stay_and_it_says_why(scored: Scored, reason: str) -> None:
    found = assess(scored, CalibrationConfig())
    assert reason in found.reason
    assert found.score_map.is_identity


def test_five_of_five_is_no_proof() -> None:
    few = Scored(np.linspace(0.9, 0.5, 5), np.ones(5, bool), np.arange(5), 5, 200)
    assert operating_score(few, 0.8, 0.9) is None
    assert exact_lower_bound(5, 5, 0.9) == pytest.approx(0.1 ** (1 / 5))
    many = Scored(np.linspace(0.9, 0.5, 50), np.ones(50, bool), np.arange(50), 50, 200)
    assert operating_score(many, 0.8, 0.9) == pytest.approx(0.25), "all of them are right: none is left out"


def test_a_detector_that_is_always_right_is_calibrated_too() -> None:
    many = Scored(np.linspace(0.9, 0.5, 200), np.ones(200, bool), np.arange(200), 200, 220)
    found = assess(many, CalibrationConfig())
    assert not found.reason and found.recall.hits == 200
