"""Intervals over resamples of pictures."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.evaluation import bootstrap
from pipeline.evaluation.bootstrap import interval, interval_of_share
from pipeline.evaluation.coco import coco_figures


@pytest.fixture
def crowd(labelled, found):
    """Forty pictures of six faces, found with an overlap and a score by luck; a few false alarms."""
    random = np.random.default_rng(3)
    corners = np.array([[x, y] for x in (0, 60, 120) for y in (0, 50)], dtype=float)
    boxes = np.concatenate([corners, corners + 40], axis=1)
    pictures = [labelled(boxes, id=number, ignored=[False] * 5 + [True]) for number in range(1, 41)]
    detections = [
        found(boxes[:count] + random.uniform(-9, 9, (count, 4)), random.uniform(0.1, 1, count).round(2))
        for count in random.integers(1, 7, len(pictures))
    ]
    return pictures, detections


def test_undisturbed_weights_give_what_coco_gives(crowd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "draws", lambda pictures: np.ones((1, pictures)))
    figures, intervals = coco_figures(*crowd)
    assert 0.1 < figures["AP"] < figures["AP50"] < 1
    assert {name: low for name, (low, _) in intervals.items()} == pytest.approx(figures)


def test_the_interval_holds_the_figure_and_narrows_with_more_pictures(crowd) -> None:
    pictures, detections = crowd
    figures, wide = coco_figures(pictures[:10], detections[:10])
    figures, narrow = coco_figures(pictures, detections)
    low, high = narrow["AP50"]
    assert low < figures["AP50"] < high
    assert high - low < wide["AP50"][1] - wide["AP50"][0]


def test_a_share_of_pixels() -> None:
    wholes = np.full(400, 100.0)
    parts = np.random.default_rng(0).binomial(100, 0.3, 400).astype(float)
    low, high = interval_of_share(parts, wholes)
    assert low < 0.3 < high
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.3 * 0.7 / 40_000), rel=0.2)
    for pictures in (0, 3):
        assert interval_of_share(np.zeros(pictures), np.zeros(pictures)) == (0, 0)


def test_a_resample_of_nothing_says_nothing() -> None:
    """Of three pictures one has faces, all of them found: no interval that reaches down to 0."""
    assert interval_of_share(np.array([4.0, 0, 0]), np.array([4.0, 0, 0])) == (1, 1)


def test_the_middle_ninety_five_percent() -> None:
    assert interval(np.arange(1001.0)) == pytest.approx((25, 975))
