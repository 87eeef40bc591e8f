"""Suppression in NumPy against TensorFlow's, to the box."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.anonymize.detect.suppress import Suppression, overlaps

DRAWN = {
    "few": (50, 0.5, 0.01, 300),
    "many": (3000, 0.5, 0.01, 300),
    "more than are kept": (3000, 0.9, 0.01, 40),
    "hardly any overlap allowed": (800, 0.05, 0.3, 300),
    "any overlap allowed": (200, 1.0, 0.2, 300),
    "none above the floor": (50, 0.5, 1.0, 300),
}


def drawn(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Crowded boxes, some turned around, some without area, and scores that are all different."""
    random = np.random.default_rng(seed)
    low = random.random((count, 2), dtype=np.float32)
    boxes = np.concatenate([low, low + random.random((count, 2), dtype=np.float32) * 0.3], axis=1)
    boxes[::7] = boxes[::7][:, [2, 3, 0, 1]]
    boxes[::11, 2] = boxes[::11, 0]
    scores = np.linspace(0, 1, count, dtype=np.float32)
    return boxes.astype(np.float32), random.permutation(scores)


@pytest.mark.parametrize("case", DRAWN)
@pytest.mark.parametrize("seed", range(3))
def test_it_keeps_what_tensorflow_keeps(case: str, seed: int) -> None:
    import tensorflow as tf

    count, iou, floor, most = DRAWN[case]
    boxes, scores = drawn(count, seed)
    wanted = tf.image.combined_non_max_suppression(
        boxes[None, :, None], scores[None, :, None], most, most, iou, floor, clip_boxes=False
    )
    expected = int(wanted.valid_detections[0])
    kept = Suppression(iou, floor, most).keep(boxes, scores)
    np.testing.assert_array_equal(scores[kept], wanted.nmsed_scores[0, :expected])
    np.testing.assert_array_equal(boxes[kept], wanted.nmsed_boxes[0, :expected])
    assert expected == 0 if case == "none above the floor" else expected > 1


@pytest.mark.parametrize(("seed", "voters"), [(0, 4096), (1, 4096), (2, 300)])
def test_boxes_vote_as_in_the_exported_graph(seed: int, voters: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.export import VOTE_IOU, VOTE_SHARE, vote

    for module in ("pipeline.export", "pipeline.anonymize.detect.suppress"):
        monkeypatch.setattr(f"{module}.VOTERS", voters)
    random = np.random.default_rng(seed)
    faces, scores = drawn(40, seed)
    faces = np.sort(faces.reshape(-1, 2, 2), axis=1).reshape(-1, 4)
    boxes = np.repeat(faces, 30, axis=0) + random.normal(0, 0.01, (1200, 4)).astype(np.float32)
    scores = np.repeat(scores, 30) * random.random(1200, dtype=np.float32)
    suppression = Suppression(0.5, 0.01, 300, VOTE_IOU, VOTE_SHARE)
    kept = suppression.keep(boxes, scores)
    padded = np.pad(boxes[kept], [(0, 3), (0, 0)]), np.pad(scores[kept], (0, 3))
    boxes[scores < 0.01] = np.nan  # whatever a box without a vote is
    voted = suppression.vote(padded[0][:-3], padded[1][:-3], boxes, scores)
    wanted = vote(*(each[None] for each in (*padded, boxes, scores)))[0]
    np.testing.assert_allclose(voted, wanted[:-3], atol=1e-6)
    np.testing.assert_array_equal(wanted[-3:], 0)
    assert (np.abs(voted - boxes[kept]).max(axis=1) > 1e-3).sum() > 20


def test_votes_weigh_their_overlap_by_the_square_of_their_score() -> None:
    boxes = np.array(
        [[0.1, 0, 0.9, 0.9], [0.1, 0, 0.9, 0.72], [0.1, 0, 0.9, 0.45], [0.1, 0, 0.9, 0.8]], np.float32
    )
    scores = np.array([0.8, 0.4, 0.7, 0.2], np.float32)  # the third overlaps, the last scores too little
    voted = Suppression(0.5, 0, 9, 0.6, 0.3).vote(boxes[:1], scores[:1], boxes, scores)
    width = (0.9 * 0.64 + 0.72 * 0.8 * 0.16) / (0.64 + 0.8 * 0.16)
    np.testing.assert_allclose(voted, [[0.1, 0, 0.9, width]], rtol=1e-5)
    unmoved = Suppression(0.5, 0, 9).vote(boxes[:1], scores[:1], boxes, scores)
    np.testing.assert_array_equal(unmoved, boxes[:1])


def test_what_scores_more_is_anothers_and_edges_stay() -> None:
    boxes = np.array([[0, 0.2, 1, 0.6], [0.1, 0.2, 0.9, 0.5], [0.1, 0.2, 0.9, 0.55]], np.float32)
    scores = np.array([0.5, 0.4, 0.9], np.float32)
    voted = Suppression(0.5, 0, 9, 0.55, 0.3).vote(boxes[:1], scores[:1], boxes, scores)
    right = (0.6 * 0.25 + 0.5 * 0.6 * 0.16) / (0.25 + 0.6 * 0.16)
    np.testing.assert_allclose(voted, [[0, 0.2, 1, right]], rtol=1e-5)


def test_a_box_without_an_area_stays() -> None:
    boxes = np.array([[0, 0, 0, 1]], np.float32)
    sure = np.array([0.9], np.float32)
    np.testing.assert_array_equal(Suppression(0.5, 0, 9, 0.6, 0.3).vote(boxes, sure, boxes, sure), boxes)


def test_of_equal_scores_the_first_stays() -> None:
    boxes = np.array([[0, 0, 1, 1]] * 3 + [[2, 2, 3, 3]], np.float32)
    assert Suppression(0.5, 0.01, 9).keep(boxes, np.full(4, 0.5, np.float32)).tolist() == [0, 3]


def test_no_face_gets_lost_as_no_number() -> None:
    boxes = np.array([[0, 0, 1, 1], [2, 2, 3, 3]], np.float32)
    with pytest.raises(ValueError, match="score is no number"):
        Suppression(0.5, 0.01, 9).keep(boxes, np.array([0.9, np.nan], np.float32))
    boxes[1, 2] = np.inf
    with pytest.raises(ValueError, match="corner of a box is no number"):
        Suppression(0.5, 0.01, 9).keep(boxes, np.array([0.9, 0.8], np.float32))
    assert Suppression(0.5, 0.5, 9).keep(boxes, np.array([0.9, 0.1], np.float32)).tolist() == [0]


def test_overlaps() -> None:
    others = np.array([[0, 0, 2, 2], [1, 1, 3, 3], [0, 0, 2, 1], [5, 5, 6, 6], [0, 0, 0, 2]], np.float32)
    np.testing.assert_allclose(overlaps(others[0], others), [1, 1 / 7, 0.5, 0, 0])
