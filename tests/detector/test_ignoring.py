"""What the loss sees of faces, of ignored boxes and of the rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from pipeline.detector.ignoring import Parser

SIZE = 256
FACE, IGNORED, TINY = (0.1, 0.1, 0.35, 0.35), (0.6, 0.6, 0.85, 0.85), (0.7, 0.2, 0.72, 0.22)


def parsed(boxes: list[tuple[float, ...]], crowds: list[bool]) -> dict[str, Any]:
    """A training picture's labels; within a graph, as the input pipeline calls it."""
    parser = Parser(
        output_size=[SIZE, SIZE], min_level=3, max_level=7, num_scales=3,
        aspect_ratios=[1.0], anchor_size=4.0, dtype="float32", max_num_instances=10,
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
    return {name: labels[name] for name in ("cls_weights", "box_weights", "cls_targets", "anchor_boxes")}


def overlaps(labels: dict[str, Any], box: tuple[float, ...]) -> Any:
    anchors = np.concatenate([level.numpy().reshape(-1, 4) for level in labels["anchor_boxes"].values()])
    ymin, xmin, ymax, xmax = np.array(box) * SIZE
    height = np.minimum(anchors[:, 2], ymax) - np.maximum(anchors[:, 0], ymin)
    width = np.minimum(anchors[:, 3], xmax) - np.maximum(anchors[:, 1], xmin)
    inside = np.clip(height, 0, None) * np.clip(width, 0, None)
    areas = (anchors[:, 2] - anchors[:, 0]) * (anchors[:, 3] - anchors[:, 1])
    return inside / (areas + (ymax - ymin) * (xmax - xmin) - inside)


@pytest.mark.parametrize("order", [1, -1])
def test_an_ignored_box_is_neither_face_nor_background(order: int) -> None:
    labels = parsed([FACE, IGNORED][::order], [False, True][::order])
    alone = parsed([FACE], [False])
    passed_over = labels["cls_weights"].numpy() == 0
    assert np.array_equal(passed_over, overlaps(labels, IGNORED) >= 0.4)
    assert passed_over.any()
    for name in ("box_weights", "cls_targets"):
        for mine, other in zip(tf.nest.flatten(labels[name]), tf.nest.flatten(alone[name]), strict=True):
            assert np.array_equal(mine, other), name


def test_the_best_anchor_of_a_tiny_ignored_box_is_passed_over() -> None:
    labels = parsed([TINY], [True])
    overlap = overlaps(labels, TINY)
    assert overlap.max() < 0.4
    passed_over = labels["cls_weights"].numpy() == 0
    assert passed_over.sum() >= 1
    assert np.allclose(overlap[passed_over], overlap.max())
    assert labels["box_weights"].numpy().sum() == 0


def test_a_face_wins_over_an_ignored_box_on_it() -> None:
    labels, alone = parsed([FACE, FACE], [False, True]), parsed([FACE], [False])
    positive = alone["box_weights"].numpy() > 0
    assert (labels["cls_weights"].numpy()[positive] == 1).all()


@pytest.mark.parametrize("boxes", [[], [FACE]])
def test_without_ignored_boxes_every_anchor_weighs(boxes: list[Any]) -> None:
    assert (parsed(boxes, [False] * len(boxes))["cls_weights"].numpy() == 1).all()
