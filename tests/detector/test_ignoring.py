"""What the loss sees of faces, of ignored boxes and of the rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from pipeline.detector.ignoring import Parser

SIZE = 256
FACE, IGNORED, TINY = (0.1, 0.1, 0.35, 0.35), (0.6, 0.6, 0.85, 0.85), (0.7, 0.2, 0.72, 0.22)
NAMES = "cls_weights", "box_weights", "cls_targets", "box_targets", "anchor_boxes"
SMALL = 0.7, 0.2, 0.77, 0.27  # 18 pixels


def parsed(boxes: list[tuple[float, ...]], crowds: list[bool], face_anchors: int = 0) -> dict[str, Any]:
    """A training picture's labels; within a graph, as the input pipeline calls it."""
    parser = Parser(
        output_size=[SIZE, SIZE], min_level=3, max_level=7, num_scales=3,
        aspect_ratios=[1.0], anchor_size=4.0, dtype="float32", max_num_instances=10,
        face_anchors=face_anchors,
    )  # fmt: skip
    data = tf.data.Dataset.from_tensors(
        {
            "image": np.zeros((SIZE, SIZE, 3), np.uint8),
            "groundtruth_boxes": np.array(boxes, np.float32).reshape(-1, 4),
            "groundtruth_classes": np.ones(len(boxes), np.int64),
            "groundtruth_is_crowd": np.array(crowds, bool),
        }
    )
    _, labels = next(iter(data.map(parser._parse_train_data)))
    return {name: labels[name] for name in NAMES}


def overlaps(labels: dict[str, Any], box: tuple[float, ...]) -> Any:
    """IoU of each anchor with the box, share of the box in the anchor, and the anchor's area in boxes."""
    anchors = np.concatenate([level.numpy().reshape(-1, 4) for level in labels["anchor_boxes"].values()])
    ymin, xmin, ymax, xmax = np.array(box) * SIZE
    height = np.minimum(anchors[:, 2], ymax) - np.maximum(anchors[:, 0], ymin)
    width = np.minimum(anchors[:, 3], xmax) - np.maximum(anchors[:, 1], xmin)
    common = np.clip(height, 0, None) * np.clip(width, 0, None)
    areas = (anchors[:, 2] - anchors[:, 0]) * (anchors[:, 3] - anchors[:, 1])
    area = (ymax - ymin) * (xmax - xmin)
    return common / (areas + area - common), common / area, areas / area


@pytest.mark.parametrize("order", [1, -1])
def test_an_ignored_box_is_neither_face_nor_background(order: int) -> None:
    labels = parsed([FACE, IGNORED][::order], [False, True][::order])
    alone = parsed([FACE], [False])
    passed_over = labels["cls_weights"].numpy() == 0
    iou, inside, times = overlaps(labels, IGNORED)
    assert np.array_equal(passed_over, (iou >= 0.4) | (inside >= 0.7) & (times <= 16))
    assert passed_over.any()
    for name in ("box_weights", "cls_targets"):
        for mine, other in zip(tf.nest.flatten(labels[name]), tf.nest.flatten(alone[name]), strict=True):
            assert np.array_equal(mine, other), name


def test_the_best_anchor_of_a_tiny_ignored_box_is_passed_over() -> None:
    labels = parsed([TINY], [True])
    overlap, _, times = overlaps(labels, TINY)
    assert overlap.max() < 0.4 and times.min() > 16
    passed_over = labels["cls_weights"].numpy() == 0
    assert passed_over.sum() >= 1
    assert np.allclose(overlap[passed_over], overlap.max())
    assert labels["box_weights"].numpy().sum() == 0


def test_what_lies_around_a_small_ignored_box_is_passed_over() -> None:
    labels = parsed([SMALL], [True])
    iou, inside, times = overlaps(labels, SMALL)
    passed_over = labels["cls_weights"].numpy() == 0
    assert iou.max() < 0.4
    assert np.array_equal(passed_over, (inside >= 0.7) & (times <= 16))
    assert passed_over.sum() > 8


def test_a_face_wins_over_an_ignored_box_on_it() -> None:
    labels, alone = parsed([FACE, FACE], [False, True]), parsed([FACE], [False])
    positive = alone["box_weights"].numpy() > 0
    assert (labels["cls_weights"].numpy()[positive] == 1).all()


@pytest.mark.parametrize("boxes", [[], [FACE]])
def test_without_ignored_boxes_every_anchor_weighs(boxes: list[Any]) -> None:
    for face_anchors in (0, 6):
        labels = parsed(boxes, [False] * len(boxes), face_anchors)
        assert (labels["cls_weights"].numpy() == 1).all()
        assert positives(labels).any() == bool(boxes)


def positives(labels: dict[str, Any]) -> Any:
    return labels["box_weights"].numpy() > 0


def test_a_small_face_takes_the_anchors_that_it_overlaps_most() -> None:
    before, after = parsed([SMALL], [False]), parsed([SMALL], [False], face_anchors=6)
    iou, _, _ = overlaps(after, SMALL)
    assert positives(before).sum() == 1
    taken = np.sort(iou[positives(after)])
    assert len(taken) == 6 and np.allclose(taken, np.sort(iou)[-6:]) and taken.min() >= 0.2
    classes = np.concatenate([level.numpy().ravel() for level in after["cls_targets"].values()])
    assert (classes[positives(after)] == 1).all() and (classes == 1).sum() == 6


def test_a_tiny_face_takes_no_anchor_that_hardly_overlaps_it() -> None:
    assert positives(parsed([TINY], [False], face_anchors=6)).sum() == 1


def test_a_large_face_takes_what_it_took() -> None:
    alone = parsed([FACE], [False])
    assert positives(alone).sum() > 6
    assert np.array_equal(positives(parsed([FACE], [False], face_anchors=6)), positives(alone))


def test_small_faces_side_by_side_share_the_anchors_in_either_order() -> None:
    near = 0.7, 0.24, 0.77, 0.31
    targets = []
    for boxes in ([SMALL, near], [near, SMALL]):
        labels = parsed(boxes, [False, False], face_anchors=6)
        targets.append(np.concatenate([t.numpy().reshape(-1, 4) for t in labels["box_targets"].values()]))
        assert positives(labels).sum() > 6
    assert np.allclose(*targets)
