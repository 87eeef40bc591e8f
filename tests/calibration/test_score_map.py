"""The map of scores: the same in NumPy and in the graph, and it keeps every order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.calibration.score_map import ScoreMap

MAP = ScoreMap((0.0, 0.01, 0.25, 0.6, 1.0), (0.0, 0.01, 0.5, 0.9, 1.0))


def in_graph(score_map: ScoreMap, scores: np.ndarray) -> np.ndarray:
    import tensorflow as tf

    return score_map.in_graph(tf.constant(scores, tf.float32)).numpy()


def test_the_graph_computes_what_numpy_does() -> None:
    scores = np.random.default_rng(0).uniform(size=(2, 500))
    np.testing.assert_allclose(in_graph(MAP, scores), MAP(scores), atol=1e-6)
    np.testing.assert_allclose(MAP.inverse(MAP(scores)), scores, atol=1e-12)


def test_knots_are_met_and_padding_stays_nothing() -> None:
    np.testing.assert_allclose(in_graph(MAP, np.array(MAP.raw)), MAP.calibrated, atol=1e-6)
    assert in_graph(MAP, np.zeros(3)).tolist() == [0, 0, 0]
    assert in_graph(MAP, np.ones(1)) >= 1 - 1e-6


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0.01, 0.99), min_size=4, max_size=16, unique=True), st.integers(0, 2**31))
def test_no_order_is_lost_in_float32(knots: list[float], seed: int) -> None:
    half = len(knots) // 2
    raw, calibrated = sorted(np.float32(knots[:half])), sorted(np.float32(knots[half : 2 * half]))
    try:
        score_map = ScoreMap((0.0, *map(float, raw), 1.0), (0.0, *map(float, calibrated), 1.0))
    except ValueError:  # two knots fell together in float32
        return
    scores = np.sort(np.random.default_rng(seed).uniform(size=2000).astype(np.float32))
    assert (np.diff(in_graph(score_map, scores)) >= 0).all()


def test_the_identity_changes_no_bit() -> None:
    scores = np.random.default_rng(0).uniform(size=100).astype(np.float32)
    assert ScoreMap().is_identity
    np.testing.assert_array_equal(in_graph(ScoreMap(), scores), scores)


@pytest.mark.parametrize(
    ("raw", "calibrated"),
    [
        ((0.0, 0.5, 1.0), (0.0, 1.0)),  # not as many
        ((0.0, 0.5, 0.5, 1.0), (0.0, 0.2, 0.3, 1.0)),  # not strict
        ((0.0, 0.5, 1.0), (0.0, 0.6, 0.6)),
        ((0.0, 0.5, 1.0), (0.1, 0.6, 1.0)),  # padding would become a detection
        ((0.0, 0.5, 0.5 + 1e-9, 1.0), (0.0, 0.2, 0.3, 1.0)),  # the same in float32
        ((0.0, float("nan"), 1.0), (0.0, 0.2, 1.0)),
    ],
)
def test_knots_that_do_not_rise_are_refused(raw: tuple[float, ...], calibrated: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="score map"):
        ScoreMap(raw, calibrated)
