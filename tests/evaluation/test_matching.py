from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.anonymize.detect import Detections
from pipeline.boxes import Boxes
from pipeline.evaluation.matching import NOBODY, match

A, B, FAR = [0, 0, 10, 10], [20, 0, 30, 10], [100, 50, 110, 60]
A_AND_A_BIT = [0, 0, 12, 10]  # IoU with A: 100 / 120
HALF_OF_A = [0, 0, 10, 5]  # IoU with A: exactly 0.5
LESS_OF_A = [0, 0, 10, 4.9]


@pytest.mark.parametrize(
    ("faces", "ignored", "boxes", "scores", "face_of", "excused"),
    [
        pytest.param([A, B], [0, 0], [A, B], [0.9, 0.8], [0, 1], [0, 0], id="both found"),
        pytest.param([A], [0], [A, A_AND_A_BIT], [0.9, 0.8], [0, NOBODY], [0, 0], id="second is a duplicate"),
        pytest.param(
            [A],
            [0],
            [A_AND_A_BIT, A],
            [0.9, 0.8],
            [0, NOBODY],
            [0, 0],
            id="the score decides, not the overlap",
        ),
        pytest.param(
            [A], [0], [A_AND_A_BIT, A], [0.7, 0.7], [0, NOBODY], [0, 0], id="a tie keeps the detector's order"
        ),
        pytest.param(
            [A, A], [0, 0], [A, A], [0.9, 0.8], [0, 1], [0, 0], id="of equal overlaps the first face"
        ),
        pytest.param([A], [0], [HALF_OF_A], [0.9], [0], [0], id="exactly the overlap counts"),
        pytest.param([A], [0], [LESS_OF_A], [0.9], [NOBODY], [0], id="less does not"),
        pytest.param([A], [1], [A], [0.9], [NOBODY], [1], id="an ignored face excuses"),
        pytest.param([A], [1], [A, A, HALF_OF_A], [0.9, 0.8, 0.7], [NOBODY] * 3, [1, 1, 1], id="any number"),
        pytest.param([A], [1], [[1, 1, 3, 3]], [0.9], [NOBODY], [1], id="a crowd covers what lies in it"),
        pytest.param([A, A], [1, 0], [A_AND_A_BIT], [0.9], [1], [0], id="a counted face comes first"),
        pytest.param([], [], [A], [0.9], [NOBODY], [0], id="no face"),
        pytest.param([A], [0], [], [], [], [], id="no detection"),
        pytest.param([A], [0], [FAR], [0.9], [NOBODY], [0], id="elsewhere"),
    ],
)
def test_greedy(faces, ignored, boxes, scores, face_of, excused, found) -> None:
    result = match(
        Boxes(np.array(faces, dtype=float)), np.array(ignored, dtype=bool), found(boxes, scores), 0.5
    )
    assert result.face_of.tolist() == face_of
    assert result.excused.tolist() == [bool(each) for each in excused]


def test_scores_of_faces(found) -> None:
    faces = Boxes(np.array([A, B, FAR], dtype=float))
    result = match(faces, np.zeros(3, dtype=bool), found([A, A_AND_A_BIT, B], [0.6, 0.9, 0.3]), 0.5)
    assert result.score_of.tolist() == [0.9, 0.3, 0]
    assert result.nearby.tolist() == [0.9, 0.3, 0]


coordinates = st.integers(0, 12)
sides = st.integers(1, 8)
boxes = st.lists(st.tuples(coordinates, coordinates, sides, sides), max_size=8).map(
    lambda rows: Boxes.from_xywh(np.array(rows, dtype=float).reshape(-1, 4))
)


@settings(deadline=None)  # a busy machine is no failure
@given(boxes, boxes, st.data())
def test_one_matching_serves_every_threshold(faces: Boxes, others: Boxes, data: st.DataObject) -> None:
    scores = data.draw(st.lists(st.integers(0, 5), min_size=len(others), max_size=len(others)))
    ignored = np.array(
        data.draw(st.lists(st.booleans(), min_size=len(faces), max_size=len(faces))), dtype=bool
    )
    everything = Detections(others, np.array(scores, dtype=float))
    whole = match(faces, ignored, everything, 0.5)
    for threshold in range(7):
        part = match(faces, ignored, everything.at_least(threshold), 0.5)
        kept = everything.scores >= threshold
        assert part.face_of.tolist() == whole.face_of[kept].tolist()
        assert part.excused.tolist() == whole.excused[kept].tolist()
        assert part.score_of.tolist() == np.where(whole.score_of >= threshold, whole.score_of, 0).tolist()
