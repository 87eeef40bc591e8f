"""Whether scores mean what they say."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.evaluation.matching import match_all
from pipeline.evaluation.reliability import kept_detections, reliability

A, B, FAR = [0, 0, 10, 10], [20, 0, 60, 40], [100, 50, 110, 60]


def test_the_error_by_hand() -> None:
    scores = np.array([0.15, 0.15, 0.15, 0.95, 1.0])
    result = reliability(scores, np.array([True, False, False, True, True]))
    assert [(each.hits, each.of) for each in result.right] == [(1, 3), (2, 2)]
    assert result.scores == pytest.approx((0.15, 0.975))
    assert result.error == pytest.approx((3 * abs(0.15 - 1 / 3) + 2 * 0.025) / 5)


def test_nothing_found_is_no_error() -> None:
    assert reliability(np.zeros(0), np.zeros(0, bool)).error == 0


def test_what_the_tool_drops_and_what_is_excused_count_nowhere(labelled, found) -> None:
    pictures = [labelled([A, B, FAR], ignored=[False, False, True])]
    detections = [found([A, B, FAR, [150, 50, 170, 70]], [0.9, 0.04, 0.8, 0.3])]
    scores, right = kept_detections(detections, match_all(pictures, detections, 0.5))
    assert scores.tolist() == [0.9, 0.3]
    assert right.tolist() == [True, False]
