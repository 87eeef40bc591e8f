from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.anonymize.detect import Detections
from pipeline.boxes import Boxes
from pipeline.evaluation.labelled import DIFFICULTIES, LabelledFaces
from pipeline.evaluation.wider import wider_ap

A, B, C = [0, 0, 9, 9], [20, 0, 29, 9], [40, 0, 49, 9]
ALL, HARD = ("easy", "medium", "hard"), ("hard",)


def slow_overlap(one: list[float], other: list[float]) -> float:
    """Written from the benchmark's description: both corners belong to the box."""
    wide = min(one[2], other[2]) - max(one[0], other[0]) + 1
    high = min(one[3], other[3]) - max(one[1], other[1]) + 1
    if wide <= 0 or high <= 0:
        return 0.0
    first, second = ((box[2] - box[0] + 1) * (box[3] - box[1] + 1) for box in (one, other))
    return wide * high / (first + second - wide * high)


def slow_counts(faces: list, counted: list[bool], boxes: list) -> tuple[int, int]:
    """Faces found by these detections, and how many of the detections are judged at all."""
    hit: set[int] = set()
    judged = 0
    for box in boxes:
        overlaps = [slow_overlap(box, face) for face in faces]
        nearest = overlaps.index(max(overlaps))
        if overlaps[nearest] >= 0.5 and not counted[nearest]:
            continue
        judged += 1
        if overlaps[nearest] >= 0.5:
            hit.add(nearest)
    return len(hit), judged


def slow_ap(pictures: list[LabelledFaces], detections: list[Detections], difficulty: str) -> float:
    """The protocol, threshold by threshold, each time from the beginning."""
    scores = [score for found in detections for score in found.scores.tolist()]
    low, high = (min(scores), max(scores)) if scores else (0.0, 1.0)
    total = sum(difficulty in each for picture in pictures for each in picture.difficulties or ())
    points = []
    for step in range(1, 1001):
        threshold = 1 - step / 1000
        hits = judged = 0
        for picture, found in zip(pictures, detections, strict=True):
            kept = [
                box
                for box, score in zip(found.boxes.xyxy.tolist(), found.scores.tolist(), strict=True)
                if (score - low) / ((high - low) or 1) >= threshold
            ]
            if len(picture.boxes) and kept:
                counted = [difficulty in each for each in picture.difficulties or ()]
                more_hits, more_judged = slow_counts(picture.boxes.xyxy.tolist(), counted, kept)
                hits, judged = hits + more_hits, judged + more_judged
        points.append((hits / max(total, 1), hits / judged if judged else 0.0))
    area, recall = 0.0, 0.0
    for position, (point, _) in enumerate(points):
        area += (point - recall) * max(precision for _, precision in points[position:])
        recall = point
    return area


coordinates, sides = st.integers(0, 20), st.integers(2, 9)
corners = st.tuples(coordinates, coordinates, sides, sides).map(
    lambda b: [b[0], b[1], b[0] + b[2], b[1] + b[3]]
)
faces = st.lists(st.tuples(corners, st.sampled_from([(), HARD, ("medium", "hard"), ALL])), max_size=5)
scored = st.lists(st.tuples(corners, st.integers(0, 1500).map(lambda n: n / 1500)), max_size=7)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(faces, scored), min_size=1, max_size=4))
def test_equals_a_second_implementation(drawn) -> None:
    pictures, detections = [], []
    for number, (labels, boxes) in enumerate(drawn):
        pictures.append(
            LabelledFaces(
                id=number,
                path=None,  # type: ignore[arg-type]
                name="",
                source="",
                width=40,
                height=40,
                boxes=Boxes(np.array([box for box, _ in labels], dtype=float)),
                labels=("face",) * len(labels),
                sources=("",) * len(labels),
                ignored=np.zeros(len(labels), dtype=bool),
                difficulties=tuple(frozenset(levels) for _, levels in labels),
            )
        )
        own = [(box, score) for box, score in boxes]
        detections.append(
            Detections(
                Boxes(np.array([box for box, _ in own], dtype=float)), np.array([score for _, score in own])
            )
        )
    result = wider_ap(pictures, detections)
    if not any(picture.difficulties for picture in pictures):
        assert result == {}
        return
    for difficulty in DIFFICULTIES:
        assert result[difficulty] == pytest.approx(slow_ap(pictures, detections, difficulty), abs=1e-12)


def test_perfect(labelled, found) -> None:
    picture = labelled([A, B, C], difficulties=[ALL, ("medium", "hard"), HARD])
    assert wider_ap([picture], [found([A, B, C], [0.9, 0.8, 0.7])]) == {"easy": 1, "medium": 1, "hard": 1}


@pytest.mark.parametrize(
    ("boxes", "scores", "easy", "hard"),
    [
        pytest.param([A, B], [0.9, 0.8], 1, 1, id="a face outside the subset is ignored, found or not"),
        pytest.param([B, A], [0.9, 0.8], 1, 1, id="also when it scores higher"),
        pytest.param([A], [0.9], 1, 0.5, id="one of two"),
        pytest.param([C, A, B], [0.9, 0.8, 0.7], 0.5, 2 / 3, id="a false alarm first"),
        pytest.param([A, A, B], [0.9, 0.8, 0.7], 1, 0.5 + 0.5 * 2 / 3, id="a duplicate is a false alarm"),
        pytest.param([], [], 0, 0, id="nothing"),
    ],
)
def test_by_hand(boxes, scores, easy, hard, labelled, found) -> None:
    picture = labelled([A, B], difficulties=[ALL, HARD])
    result = wider_ap([picture], [found(boxes, scores)])
    assert (result["easy"], result["hard"]) == pytest.approx((easy, hard))


def test_the_last_pixel_belongs_to_a_box(labelled, found) -> None:
    """Half of ten rows of pixels is five: an overlap of .5, where exclusive corners would give 4 / 9."""
    picture = labelled([A], difficulties=[ALL])
    assert wider_ap([picture], [found([[0, 0, 9, 4]], [0.9])])["easy"] == 1
    assert wider_ap([picture], [found([[0, 0, 9, 3]], [0.9])])["easy"] == 0


def test_scores_are_stretched_over_the_set(labelled, found) -> None:
    """A thousand thresholds over [0, 1] could not tell .00011 from .00012."""
    picture = labelled([A, B], difficulties=[ALL, ALL])
    result = wider_ap([picture], [found([A, C, B], [0.00013, 0.00012, 0.00011])])
    assert result["easy"] == pytest.approx(0.5 + 0.5 * 2 / 3)


def test_a_picture_without_faces_is_passed_over(labelled, found) -> None:
    pictures = [labelled([A], difficulties=[ALL]), labelled([], id=2, difficulties=[])]
    assert wider_ap(pictures, [found([A], [0.5]), found([A, B], [0.9, 0.8])])["easy"] == 1


def test_sets_without_difficulties_have_no_such_figure(labelled, found) -> None:
    assert wider_ap([labelled([A])], [found([A], [0.9])]) == {}
    mixed = [labelled([A]), labelled([A], id=2, difficulties=[ALL])]
    assert wider_ap(mixed, [found(), found()]) == {}
    assert wider_ap([], []) == {}
