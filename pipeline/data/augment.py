"""Training augmentation by albumentations, between Model Garden's decoder and its parser.

A training picture leaves as a square crop of the training size, so that the parser behind it only
normalizes and labels anchors.
"""

from __future__ import annotations

import itertools
import random
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pipeline.data.cropping import FILL, ScaleJitterCrop

import albumentations as A  # isort: skip (after cropping, which keeps it off the network)

Picture = NDArray[np.uint8]
Boxes = NDArray[np.float32]
Labels = NDArray[np.int64]  # [N, 2]: class and crowd flag

MIN_FACE = 4.0  # px of the training crop: smaller faces are neither taught nor taught as background
MIN_VISIBLE = 0.35  # share of a face that must stay inside the crop, likewise
RECENT = 32  # pictures kept for mosaics


class Strengths(Protocol):
    """Probabilities and ranges; see ``AugmentConfig`` in ``pipeline.config.schema``."""

    flip: float
    scale_min: float
    scale_max: float
    focus: float
    mosaic: float
    colour: float
    grey: float
    blur: float
    jpeg: float
    noise: float
    dropout: float


def build_crop(strengths: Strengths, size: int, seed: int | None) -> A.Compose:
    """Scale, crop, flip. Boxes are albumentations': ``xmin, ymin, xmax, ymax`` as shares."""
    return A.Compose(
        [
            ScaleJitterCrop(size, (strengths.scale_min, strengths.scale_max), strengths.focus),
            A.HorizontalFlip(p=strengths.flip),
        ],
        bbox_params=A.BboxParams(
            format="albumentations",
            label_fields=["index"],
            clip=True,
            filter_invalid_bboxes=True,
            min_width=1,
            min_height=1,
        ),
        seed=seed,
        save_applied_params=True,
    )


def build_look(strengths: Strengths, seed: int | None) -> A.Compose:
    """What changes pixels in their places: colour, blur, noise, compression, holes."""
    colour = A.OneOf(
        [
            A.ColorJitter(
                brightness=(0.6, 1.4), contrast=(0.6, 1.4), saturation=(0.5, 1.5), hue=(-0.05, 0.05)
            ),
            A.RandomGamma(gamma_limit=(60, 160)),
            A.CLAHE(clip_limit=(1, 3)),
        ],
        p=strengths.colour,
    )
    blur = A.OneOf(
        [A.GaussianBlur(sigma_limit=(0.5, 2.0)), A.MotionBlur(blur_limit=(3, 7))], p=strengths.blur
    )
    return A.Compose(
        [
            colour,
            A.ToGray(p=strengths.grey),
            blur,
            A.GaussNoise(std_range=(0.01, 0.06), p=strengths.noise),
            A.ImageCompression(quality_range=(30, 90), p=strengths.jpeg),
            A.CoarseDropout(
                num_holes_range=(1, 4),
                hole_height_range=(0.02, 0.08),
                hole_width_range=(0.02, 0.08),
                fill=FILL,
                p=strengths.dropout,
            ),
        ],
        seed=seed,
    )


class _Tools:
    """What one call works with: a Compose keeps state while it runs."""

    def __init__(self, strengths: Strengths, size: int, seed: int | None) -> None:
        self.crop = build_crop(strengths, size, seed)
        self.quarter = build_crop(strengths, size // 2, seed)
        self.look = build_look(strengths, seed)
        self.random = random.Random(seed)


class Augmenter:
    """Decoded Model Garden tensors in, the same out: image uint8 ``[size, size, 3]``, boxes
    normalized ``ymin, xmin, ymax, xmax``, and each box's class, crowd flag and area.

    With probability ``mosaic`` a picture shares the square with three seen shortly before, each cropped to
    a quarter of it (Bochkovskiy et al. 2020): more and smaller faces for the same computing.
    """

    def __init__(self, strengths: Strengths, size: int, seed: int | None = None) -> None:
        self.size = size
        self._strengths = strengths
        self._seed = seed
        self._idle: list[_Tools] = []
        self._made = itertools.count()
        self._recent: deque[tuple[Picture, Boxes, Labels]] = deque(maxlen=RECENT)

    def augment(self, image: Picture, boxes: Boxes, labels: Labels) -> tuple[Picture, Boxes, Labels]:
        """Pure NumPy. Returns the image, the boxes that are left and their labels."""
        xyxy = np.clip(boxes[:, [1, 0, 3, 2]], 0.0, 1.0)
        this = image, xyxy, labels
        recent = list(self._recent)
        self._recent.append(this)
        with self._tools() as tools:
            if len(recent) >= 3 and tools.random.random() < self._strengths.mosaic:
                square, left, kept = self._mosaic([this, *tools.random.sample(recent, 3)], tools.quarter)
            else:
                square, left, kept = _cropped(this, tools.crop)
            return tools.look(image=square)["image"], left[:, [1, 0, 3, 2]], kept

    def _mosaic(
        self, parts: list[tuple[Picture, Boxes, Labels]], crop: A.Compose
    ) -> tuple[Picture, Boxes, Labels]:
        """Four crops side by side; boxes xyxy as shares of the whole."""
        half = self.size // 2
        square = np.empty((self.size, self.size, 3), np.uint8)
        boxes, labels = [], []
        for number, part in enumerate(parts):
            column, row = number % 2, number // 2
            pixels, found, kept = _cropped(part, crop)
            square[row * half :, column * half :][:half, :half] = pixels
            boxes.append((found + np.array([column, row, column, row], np.float32)) / 2)
            labels.append(kept)
        return square, np.concatenate(boxes), np.concatenate(labels)

    @contextmanager
    def _tools(self) -> Iterator[_Tools]:
        """Lends those that no other call works with.

        They cannot belong to a thread: to Python, each call by TensorFlow's is one of a new thread.
        """
        try:
            tools = self._idle.pop()
        except IndexError:
            seed = None if self._seed is None else self._seed + next(self._made)
            tools = _Tools(self._strengths, self.size, seed)
        yield tools
        self._idle.append(tools)

    def __call__(self, decoded: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        labels = [tf.cast(decoded[f"groundtruth_{key}"], tf.int64) for key in ("classes", "is_crowd")]
        image, boxes, labels = tf.numpy_function(
            self.augment,
            [decoded["image"], decoded["groundtruth_boxes"], tf.stack(labels, axis=1)],
            [tf.uint8, tf.float32, tf.int64],
        )
        image.set_shape([self.size, self.size, 3])
        boxes.set_shape([None, 4])
        labels.set_shape([None, 2])
        sides = (boxes[:, 2:] - boxes[:, :2]) * self.size
        return decoded | {
            "image": image,
            "height": tf.constant(self.size, tf.int64),
            "width": tf.constant(self.size, tf.int64),
            "groundtruth_boxes": boxes,
            "groundtruth_classes": labels[:, 0],
            "groundtruth_is_crowd": tf.cast(labels[:, 1], tf.bool),
            "groundtruth_area": sides[:, 0] * sides[:, 1],
        }


def _cropped(part: tuple[Picture, Boxes, Labels], crop: A.Compose) -> tuple[Picture, Boxes, Labels]:
    """What is left of the picture and its boxes; those that show too little of a face are to be ignored."""
    image, boxes, labels = part
    result = crop(image=image, bboxes=boxes, index=np.arange(len(boxes)).tolist())
    left = np.asarray(result["bboxes"], np.float32).reshape(-1, 4)
    kept = np.asarray(result["index"], np.int64).reshape(-1)
    labels = labels[kept]
    scale = dict(result["applied_transforms"])[ScaleJitterCrop.__name__]["scale"]
    sides, whole = _sides(left, result["image"]), _sides(boxes[kept], image) * scale
    ignored = (sides.min(axis=1) < MIN_FACE) | (sides.prod(axis=1) < MIN_VISIBLE * whole.prod(axis=1))
    labels[:, 1] |= ignored
    return result["image"], left, labels


def _sides(boxes: Boxes, image: Picture) -> Boxes:
    """Width and height in pixels, ``[N, 2]``."""
    height, width = image.shape[:2]
    return (boxes[:, 2:] - boxes[:, :2]) * np.array([width, height], np.float32)
