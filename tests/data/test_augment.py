"""Augmented boxes stay on what they mark, whatever the geometry."""

import numpy as np
import pytest
import tensorflow as tf

from pipeline.config.schema import AugmentConfig
from pipeline.data import augment
from pipeline.data.augment import MIN_VISIBLE, Augmenter, build_look
from pipeline.data.cropping import FOCUS_SIDES

GEOMETRY_ONLY = {"colour": 0.0, "grey": 0.0, "blur": 0.0, "jpeg": 0.0, "noise": 0.0, "dropout": 0.0}


def _marked(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A dark picture with two white boxes, and these as normalized ymin, xmin, ymax, xmax."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(150, 400, 2)
    image = np.full((height, width, 3), 20, np.uint8)
    boxes = []
    for left in (0.1, 0.6):
        box = np.array([rng.uniform(0.1, 0.5), left, 0, 0])
        box[2:] = box[:2] + rng.uniform(0.15, 0.3, 2)
        y0, x0, y1, x1 = np.rint(box * [height, width, height, width]).astype(int)
        image[y0:y1, x0:x1] = 255
        boxes.append(np.array([y0, x0, y1, x1]) / [height, width, height, width])
    return image, np.array(boxes, np.float32)


def _augment(augmenter: Augmenter, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    image, boxes = _marked(seed)
    return augmenter.augment(image, boxes, np.array([[1, 0], [2, 0]], np.int64))


@pytest.mark.parametrize("name", ["jitter", "focus", "mosaic"])
def test_boxes_stay_on_what_they_mark(name: str) -> None:
    extra = {} if name == "jitter" else {name: 1.0}
    augmenter = Augmenter(AugmentConfig(**GEOMETRY_ONLY, **extra), 256, seed=1)
    seen = 0
    for number in range(40):
        square, boxes, labels = _augment(augmenter, number)
        assert square.shape == (256, 256, 3)
        assert len(boxes) == len(labels) and set(labels[:, 0]) <= {1, 2}
        inside = np.zeros((256, 256), bool)
        for y0, x0, y1, x1 in boxes * 256:
            assert 0 <= y0 < y1 <= 256 and 0 <= x0 < x1 <= 256
            core = square[round(y0) + 2 : round(y1) - 2, round(x0) + 2 : round(x1) - 2]
            assert core.size == 0 or core.mean() > 240, f"picture {number}: the box shows something else"
            inside[int(y0) : int(np.ceil(y1)), int(x0) : int(np.ceil(x1))] = True
            seen += 1
    assert seen > 30


def test_a_mosaic_holds_the_faces_of_four_pictures() -> None:
    config = AugmentConfig(**GEOMETRY_ONLY, mosaic=1.0, scale_min=1.0, scale_max=1.0)
    augmenter = Augmenter(config, 256, seed=0)
    counts = [len(_augment(augmenter, number)[1]) for number in range(6)]
    assert counts[:3] == [2, 2, 2]  # nothing to share the square with yet
    assert counts[3:] == [8, 8, 8]


def test_a_focused_crop_shows_a_face_large_or_small() -> None:
    sides = []
    augmenter = Augmenter(
        AugmentConfig(**GEOMETRY_ONLY, focus=1.0, scale_min=0.1, scale_max=8.0), 512, seed=3
    )
    for number in range(60):
        _, boxes, _ = _augment(augmenter, number)
        assert len(boxes), "the face that was asked for is in the crop"
        sides += list(np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1)) * 512)
    assert min(sides) < 20 and max(sides) > 150
    assert np.median(sides) < FOCUS_SIDES[1] / 2


def test_faces_of_which_little_is_left_are_ignored_and_not_background() -> None:
    augmenter = Augmenter(AugmentConfig(**GEOMETRY_ONLY, scale_min=0.9, scale_max=6.0), 256, seed=5)
    shares = {0: [], 1: []}
    for number in range(200):
        # One square whose side is a fifth of the picture's: 51 px of the crop at scale 1.
        image = np.full((300, 300, 3), 20, np.uint8)
        top, left = np.random.default_rng(number).integers(0, 240, 2)
        image[top : top + 60, left : left + 60] = 255
        boxes = np.array([[top, left, top + 60, left + 60]], np.float32) / 300
        square, found, labels = augmenter.augment(image, boxes, np.array([[1, 0]], np.int64))
        assert (square.max() > 200) <= len(found), "what shows a face has a box"
        for box, (_, ignored) in zip(found, labels, strict=True):
            height, width = box[2:] - box[:2]
            # Of a square at least as much is cut off as its longer side lacks of the shorter one's length.
            shares[int(ignored)].append(min(height, width) / max(height, width))
    assert min(shares[0]) > MIN_VISIBLE * 0.9
    assert len(shares[1]) > 10 and min(shares[1]) < MIN_VISIBLE


def test_a_face_too_small_to_teach_is_ignored() -> None:
    augmenter = Augmenter(AugmentConfig(**GEOMETRY_ONLY, scale_min=0.5, scale_max=0.5), 128, seed=5)
    boxes = np.array([[0.5, 0.5, 0.54, 0.54], [0.1, 0.1, 0.3, 0.3]], np.float32)  # 2.6 and 12.8 px
    image = np.full((300, 300, 3), 20, np.uint8)
    _, found, labels = augmenter.augment(image, boxes, np.array([[1, 0], [1, 0]], np.int64))
    assert len(found) == 2 and labels[:, 1].tolist() == [1, 0]


def test_a_box_keeps_its_crowd_flag() -> None:
    augmenter = Augmenter(AugmentConfig(**GEOMETRY_ONLY, scale_min=1.0, scale_max=1.0), 256, seed=0)
    image, boxes = _marked(0)
    decoded = {
        "image": tf.constant(image),
        "groundtruth_boxes": tf.constant(boxes[[0, 0, 1]]) * [[1.0], [0.0], [1.0]],  # the second is empty
        "groundtruth_classes": tf.constant([1, 1, 1], tf.int64),
        "groundtruth_is_crowd": tf.constant([False, False, True]),
    }
    out = augmenter(decoded)
    assert out["groundtruth_is_crowd"].numpy().tolist() == [False, True]
    assert out["groundtruth_boxes"].shape == (2, 4)


def test_what_a_call_works_with_is_lent_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(augment, "build_look", lambda *given: made.append(given) or build_look(*given))
    augmenter = Augmenter(AugmentConfig(scale_min=1.0), 64, seed=1)
    image, boxes = _marked(0)
    decoded = {
        "image": tf.constant(image),
        "groundtruth_boxes": tf.constant(boxes),
        "groundtruth_classes": tf.constant([1, 1], tf.int64),
        "groundtruth_is_crowd": tf.constant([False, False]),
    }
    pictures = tf.data.Dataset.from_tensors(decoded).repeat(30).map(augmenter, num_parallel_calls=2)
    seen = {out["image"].numpy().tobytes() for out in pictures}
    assert len(made) <= 2, "one for each of the threads"
    assert len(seen) == 30, "and yet no two pictures are alike"
