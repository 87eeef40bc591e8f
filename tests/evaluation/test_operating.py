from __future__ import annotations

import numpy as np
import pytest

from pipeline.evaluation.matching import match_all
from pipeline.evaluation.operating import curve, missed_faces, precision_at, recall_at

A, B, FAR = [0, 0, 10, 10], [20, 0, 60, 40], [100, 50, 110, 60]


def test_curve_by_hand(labelled, found) -> None:
    pictures = [labelled([A, B]), labelled([A], id=2), labelled([], id=3)]
    detections = [found([A, FAR, B], [0.9, 0.8, 0.3]), found([FAR], [0.8]), found([FAR], [0.6])]
    result = curve(pictures, detections, match_all(pictures, detections, 0.5))
    assert result.scores.tolist() == [0.9, 0.8, 0.6, 0.3]
    assert result.precision.tolist() == pytest.approx([1, 1 / 3, 1 / 4, 2 / 5])
    assert result.recall.tolist() == pytest.approx([1 / 3, 1 / 3, 1 / 3, 2 / 3])


def test_the_threshold_itself_counts(labelled, found) -> None:
    pictures = [labelled([A, B, FAR], labels=["mask", "no_mask", "hat"], ignored=[False, False, True])]
    detections = [found([A, B, FAR], [0.5, 0.49, 0.9])]
    matches = match_all(pictures, detections, 0.5)
    recall, precision = recall_at(pictures, matches, 0.5), precision_at(detections, matches, 0.5)
    assert {name: (each.hits, each.of) for name, each in recall.items()} == {
        "all": (1, 2),
        "size_lt16": (1, 1),
        "size_16_32": (0, 0),
        "size_32_96": (0, 1),
        "size_gt96": (0, 0),
        "hat": (0, 0),
        "with_mask": (1, 1),
        "without_mask": (0, 1),
        "source_drawn": (1, 2),
    }
    assert (precision.hits, precision.of) == (1, 1)


def test_the_curve_agrees_with_the_operating_point(labelled, found) -> None:
    generator = np.random.default_rng(0)
    pictures, detections = [], []
    for number in range(10):
        corners = generator.integers(0, 60, (6, 2))
        faces = np.concatenate([corners, corners + generator.integers(8, 30, (6, 2))], axis=1)
        pictures.append(labelled(faces, id=number, ignored=generator.random(6) < 0.3))
        detections.append(found(faces + generator.integers(-4, 5, (6, 4)), generator.integers(1, 9, 6) / 10))
    matches = match_all(pictures, detections, 0.5)
    whole = curve(pictures, detections, matches)
    for score, precision, recall in zip(whole.scores, whole.precision, whole.recall, strict=True):
        assert precision == pytest.approx(precision_at(detections, matches, score).share)
        assert recall == pytest.approx(recall_at(pictures, matches, score)["all"].share)


def test_missed_faces(labelled, found) -> None:
    pictures = [
        labelled([A, B, FAR], labels=["mask_weared_incorrect", "x y", "mask"], ignored=[False, False, True])
    ]
    detections = [found([A, [20, 0, 60, 39]], [0.9, 0.3])]
    missed = missed_faces(pictures, match_all(pictures, detections, 0.5), 0.5)
    assert len(missed) == 1
    face = missed[0]
    assert (face.picture, face.label, face.slice, face.source) == ("picture 1", "x y", "x_y", "drawn")
    assert (face.xmin, face.ymin, face.xmax, face.ymax, face.size, face.best_score) == (
        20,
        0,
        60,
        40,
        40,
        0.3,
    )


def test_nothing_at_all(labelled, found) -> None:
    for pictures in ([], [labelled([])]):
        detections = [found() for _ in pictures]
        matches = match_all(pictures, detections, 0.5)
        assert len(curve(pictures, detections, matches).scores) == 0
        assert recall_at(pictures, matches, 0.5)["all"].of == 0
        assert precision_at(detections, matches, 0.5).of == 0
        assert missed_faces(pictures, matches, 0.5) == []
