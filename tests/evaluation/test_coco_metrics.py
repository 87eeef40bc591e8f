from __future__ import annotations

import random

import numpy as np
import pytest

from pipeline.anonymize.detect import Detections
from pipeline.evaluation.coco import coco_metrics

A, B, FAR = [0, 0, 10, 10], [20, 0, 30, 10], [100, 50, 110, 60]
OVERLAP_62 = [0, 0, 10, 6.2]


@pytest.mark.parametrize(
    ("faces", "boxes", "scores", "ap50"),
    [
        pytest.param([A], [A], [0.9], 1, id="found"),
        pytest.param([A], [A, FAR], [0.9, 0.8], 1, id="a weaker false alarm costs nothing"),
        pytest.param([A], [A, FAR], [0.8, 0.9], 0.5, id="a stronger one halves the precision"),
        pytest.param([A, B], [A], [0.9], 51 / 101, id="half the faces: 51 of 101 recall points"),
        pytest.param(
            [A, B], [A, FAR, B], [0.9, 0.8, 0.7], (51 + 50 * 2 / 3) / 101, id="precision 1, then 2/3"
        ),
        pytest.param([A], [FAR], [0.9], 0, id="elsewhere"),
        pytest.param([A], [], [], 0, id="nothing"),
    ],
)
def test_ap50_by_hand(faces, boxes, scores, ap50, labelled, found) -> None:
    assert coco_metrics([labelled(faces)], [found(boxes, scores)])["AP50"] == pytest.approx(ap50)


def test_ap_is_the_mean_over_overlaps(labelled, found) -> None:
    metrics = coco_metrics([labelled([A])], [found([OVERLAP_62], [0.9])])
    assert metrics == pytest.approx({"AP": 0.3, "AP50": 1, "AP75": 0, "AR": 0.3})  # .50, .55, .60 of ten


def test_ignored_faces_count_nowhere(labelled, found) -> None:
    picture = labelled([A, B], ignored=[False, True])
    for boxes, scores in (([A], [0.8]), ([B, B, A], [0.9, 0.85, 0.8])):
        assert coco_metrics([picture], [found(boxes, scores)])["AP50"] == pytest.approx(1)


def test_a_false_alarm_in_a_picture_without_faces_counts(labelled, found) -> None:
    pictures = [labelled([A], id=1), labelled([], id=2)]
    assert coco_metrics(pictures, [found([A], [0.8]), found([A], [0.9])])["AP50"] == pytest.approx(0.5)


def test_no_face_to_find_is_no_figure(labelled, found) -> None:
    assert coco_metrics([labelled([])], [found([A], [0.9])]) == {}
    assert coco_metrics([labelled([A], ignored=[True])], [found([A], [0.9])]) == {}


def test_more_than_a_hundred_faces_in_one_picture(labelled, found) -> None:
    crowd = [
        [10 * column, 10 * row, 10 * column + 9, 10 * row + 9] for column in range(15) for row in range(10)
    ]
    metrics = coco_metrics([labelled(crowd)], [found(crowd, np.linspace(0.9, 0.1, len(crowd)))])
    assert metrics == pytest.approx({"AP": 1, "AP50": 1, "AP75": 1, "AR": 1})


def test_the_order_of_pictures_and_detections_does_not_matter(labelled, found) -> None:
    generator = random.Random(1)
    pictures, detections = [], []
    for number in range(12):
        faces = [[x, 10, x + 12, 22] for x in range(0, 180, 20)]
        boxes = [[x + generator.uniform(-9, 9), 10, x + 12, 22] for x, *_ in faces]
        pictures.append(labelled(faces, id=number + 1))
        detections.append(found(boxes, [generator.random() for _ in boxes]))
    expected = coco_metrics(pictures, detections)
    order = list(range(12))
    generator.shuffle(order)
    shuffled = [Detections(detections[i].boxes[::-1], detections[i].scores[::-1]) for i in order]
    assert 0.1 < expected["AP50"] < 0.95
    assert coco_metrics([pictures[i] for i in order], shuffled) == pytest.approx(expected)
