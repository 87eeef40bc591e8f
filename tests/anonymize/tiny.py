"""A SavedModel with the same signatures as a released one, and a network of one convolution."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.anonymize.detect.reference import write_reference

SIDE, STRIDE, CELL = 64, 4, 14
IOU, FLOOR, MOST = 0.4, 0.02, 25


def build_tiny(
    folder: Path, signatures: Sequence[str] = ("batched", "raw"), calibrated: bool = False
) -> Path:
    """Write it, and its reference beside it; this imports TensorFlow.

    Args:
        signatures: which it has.
        calibrated: scores are a function of the network's, which come as ``raw_scores``.
    """
    import tensorflow as tf

    random = np.random.default_rng(3)
    kernel = tf.constant(random.normal(0, 0.25, (STRIDE, STRIDE, 3, 5)), tf.float32)
    places = (np.arange(SIDE // STRIDE) + 0.5) * STRIDE
    middle = tf.constant(np.stack(np.meshgrid(places, places, indexing="ij"), -1).reshape(-1, 2), tf.float32)
    slope = tf.linspace(0.0, 1.0, len(middle))  # in the padding, too, no two anchors score the same
    spec = tf.TensorSpec([None, SIDE, SIDE, 3], tf.uint8, name="images")

    def anchors(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        out = tf.nn.conv2d(tf.cast(images, tf.float32) / 127.5 - 1, kernel, STRIDE, "VALID")
        out = tf.reshape(out, [-1, (SIDE // STRIDE) ** 2, 5])
        half = CELL / 2 * tf.exp(0.3 * tf.tanh(out[..., 1:]))
        corners = tf.concat([middle - half[..., :2], middle + half[..., 2:]], -1)
        return corners / SIDE, tf.sigmoid(out[..., 0] + slope)

    def score(raw: tf.Tensor) -> tf.Tensor:
        return raw**2 if calibrated else raw

    @tf.function(input_signature=[spec])
    def raw(images: tf.Tensor) -> dict[str, tf.Tensor]:
        boxes, scores = anchors(images)
        return {"boxes": boxes, "scores": score(scores)} | ({"raw_scores": scores} if calibrated else {})

    @tf.function(input_signature=[spec])
    def batched(images: tf.Tensor) -> dict[str, tf.Tensor]:
        boxes, scores = anchors(images)
        kept = tf.image.combined_non_max_suppression(
            boxes[:, :, None], scores[:, :, None], MOST, MOST, IOU, FLOOR, clip_boxes=False
        )
        return {
            "detection_boxes": kept.nmsed_boxes,
            "detection_scores": score(kept.nmsed_scores),
            "num_detections": kept.valid_detections,
        }

    module = tf.Module()
    module.raw, module.batched = raw, batched
    wanted = {name: each for name, each in {"raw": raw, "batched": batched}.items() if name in signatures}
    tf.saved_model.save(module, str(folder), signatures=wanted)
    if len(wanted) == 2:
        write_reference(folder)
    return folder
