"""A real SavedModel that finds painted faces exactly, so that tests have true geometry.

A painted face is magenta over the upper 60 % of its box and skin below. The network labels connected
magenta pixels and returns the box that such a face would have. Like a real detector it needs the face
upright, still responds (weaker) to one that was blurred, and does not know what is not magenta.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 256
TOP = 0.6
MAX = 20


def paint_face(
    pixels: NDArray[np.uint8], box: tuple[int, int, int, int], strength: float = 1.0, seed: int = 0
) -> None:
    """Paint into RGB. A face of strength 1 scores about 0.9, one of 0.4 about 0.37."""
    xmin, ymin, xmax, ymax = box
    middle = ymin + round(TOP * (ymax - ymin))
    texture = np.random.default_rng(seed).integers(0, 12, (middle - ymin, xmax - xmin))
    pixels[ymin:middle, xmin:xmax, 0] = 255 - texture
    pixels[ymin:middle, xmin:xmax, 2] = 255
    pixels[ymin:middle, xmin:xmax, 1] = round(255 * (1 - strength)) + texture
    pixels[middle:ymax, xmin:xmax] = (224, 172, 105)


def background(width: int, height: int, seed: int = 0) -> NDArray[np.uint8]:
    """A soft green texture without a face."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 40, (height, width, 3), dtype=np.uint8)
    pixels[..., 1] += 110
    return pixels


def save(path: Path, faces: list[tuple[int, int, int, int]], strength: float = 1.0, **options: Any) -> Path:
    """A picture of 260 x 240 pixels with painted faces; its texture follows from its name."""
    pixels = background(260, 240, zlib.crc32(path.name.encode()))
    for number, box in enumerate(faces):
        paint_face(pixels, box, strength, number)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def build(folder: Path) -> Path:
    """Write the SavedModel; this imports TensorFlow."""
    import tensorflow as tf

    def find(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        colour = tf.cast(images, tf.float32) / 255
        magenta = tf.nn.relu(tf.minimum(colour[..., 0], colour[..., 2]) - colour[..., 1])
        mask = tf.cast(magenta > 0.15, tf.float32)
        label = tf.reshape(tf.range(1.0, SIDE * SIDE + 1), [1, SIDE, SIDE]) * mask

        def grow(label: tf.Tensor, _: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            new = tf.nn.max_pool2d(label[..., None], 3, 1, "SAME")[..., 0] * mask
            return new, tf.reduce_any(new != label)

        label, _ = tf.while_loop(lambda _, changed: changed, grow, [label, tf.constant(True)])
        return tf.map_fn(boxes, (label, magenta), fn_output_signature=(tf.float32, tf.float32, tf.float32))

    def boxes(pair: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        label, magenta = tf.reshape(pair[0], [-1]), tf.reshape(pair[1], [-1])
        inside = label > 0
        place = tf.where(inside)[:, 0]
        _, index = tf.unique(tf.boolean_mask(label, inside))
        count = tf.reduce_max(tf.concat([index, [-1]], 0)) + 1
        row, column = tf.cast(place // SIDE, tf.float32), tf.cast(place % SIDE, tf.float32)
        low = [tf.math.unsorted_segment_min(values, index, count) for values in (row, column)]
        high = [tf.math.unsorted_segment_max(values, index, count) + 1 for values in (row, column)]
        bottom = low[0] + (high[0] - low[0]) / TOP
        found = tf.stack([low[0], low[1], bottom, high[1]], axis=1) / SIDE
        scores = tf.math.unsorted_segment_mean(tf.boolean_mask(magenta, inside), index, count) * 0.95
        scores, order = tf.math.top_k(scores, tf.minimum(count, MAX))
        found = tf.gather(found, order)
        used = tf.shape(scores)[0]
        padded = tf.pad(found, [[0, MAX - used], [0, 0]])
        return tf.ensure_shape(padded, [MAX, 4]), tf.pad(scores, [[0, MAX - used]]), tf.cast(used, tf.float32)

    @tf.function(input_signature=[tf.TensorSpec([None, SIDE, SIDE, 3], tf.uint8, name="images")])
    def batched(images: tf.Tensor) -> dict[str, tf.Tensor]:
        found, scores, count = find(images)
        return {"detection_boxes": found, "detection_scores": scores, "num_detections": count}

    module = tf.Module()
    module.batched = batched
    tf.saved_model.save(module, str(folder), signatures={"batched": batched})
    return folder


def build_once(cache: Path) -> Path:
    """Build below ``cache``, or take what another process has built there."""
    folder = cache / "detector"
    if not (folder / "saved_model.pb").exists():
        building = cache / f"building-{np.random.default_rng().integers(1 << 40)}"
        build(building)
        try:
            building.rename(folder)
        except OSError:  # another worker was faster
            assert (folder / "saved_model.pb").exists()
    return folder
