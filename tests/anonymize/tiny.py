"""A SavedModel with the same signatures as a released one, and a network of one convolution."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.anonymize.detect.reference import write_references

SIDE, STRIDE, CELL = 512, 32, 112
IOU, FLOOR, MOST = 0.4, 0.02, 25


def build_tiny(
    folder: Path,
    signatures: Sequence[str] = ("batched", "serving_default", "raw"),
    calibrated: bool = False,
    oblong: bool = True,
    voting: bool = False,
) -> Path:
    """Write it, and its references beside it; this imports TensorFlow.

    Args:
        signatures: which it has.
        calibrated: scores are a function of the network's, which come as ``raw_scores``.
        oblong: the network takes canvases that are no squares.
        voting: the boxes that are dropped share in where the kept one lies, as in an exported detector.
    """
    import tensorflow as tf

    random = np.random.default_rng(3)
    kernel = tf.constant(random.normal(0, 2 / STRIDE**2, (STRIDE, STRIDE, 3, 5)), tf.float32)
    cells = SIDE // STRIDE
    places = (np.arange(cells) + 0.5) * STRIDE
    middles = tf.constant(np.stack(np.meshgrid(places, places, indexing="ij"), -1), tf.float32)
    # in the padding, too, no two anchors score the same
    slopes = tf.reshape(tf.linspace(0.0, 1.0, cells**2), [cells, cells])
    square = tf.TensorSpec([None, SIDE, SIDE, 3], tf.uint8, name="images")
    canvas = tf.TensorSpec([None, None, None, 3], tf.uint8, name="images") if oblong else square

    def anchors(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        out = tf.nn.conv2d(tf.cast(images, tf.float32) / 127.5 - 1, kernel, STRIDE, "VALID")
        rows, columns = tf.shape(out)[1], tf.shape(out)[2]
        middle = tf.reshape(middles[:rows, :columns], [-1, 2])
        slope = tf.reshape(slopes[:rows, :columns], [-1])
        out = tf.reshape(out, [tf.shape(images)[0], -1, 5])
        half = CELL / 2 * tf.exp(0.3 * tf.tanh(out[..., 1:]))
        corners = tf.concat([middle - half[..., :2], middle + half[..., 2:]], -1)
        size = tf.cast(tf.tile(tf.shape(images)[1:3], [2]), tf.float32)
        return corners / size, tf.sigmoid(out[..., 0] + slope)

    def score(raw: tf.Tensor) -> tf.Tensor:
        return raw**2 if calibrated else raw

    @tf.function(input_signature=[canvas])
    def raw(images: tf.Tensor) -> dict[str, tf.Tensor]:
        boxes, scores = anchors(images)
        return {"boxes": boxes, "scores": score(scores)} | ({"raw_scores": scores} if calibrated else {})

    @tf.function(input_signature=[canvas])
    def suppressed(images: tf.Tensor) -> dict[str, tf.Tensor]:
        boxes, scores = anchors(images)
        kept = tf.image.combined_non_max_suppression(
            boxes[:, :, None], scores[:, :, None], MOST, MOST, IOU, FLOOR, clip_boxes=False
        )
        found = kept.nmsed_boxes
        if voting:
            from pipeline.export import vote

            found = vote(found, kept.nmsed_scores, boxes, scores)
        return {
            "detection_boxes": found,
            "detection_scores": score(kept.nmsed_scores),
            "num_detections": kept.valid_detections,
        }

    @tf.function(input_signature=[square])
    def batched(images: tf.Tensor) -> dict[str, tf.Tensor]:
        return suppressed(images)

    @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8, name="input_tensor")])
    def serve(input_tensor: tf.Tensor) -> dict[str, tf.Tensor]:
        return suppressed(input_tensor)  # of a canvas: it is not asked for pictures

    module = tf.Module()
    offered = {"raw": raw, "batched": batched} | ({"serving_default": serve} if oblong else {})
    wanted = {name: each for name, each in offered.items() if name in signatures}
    module.functions = list(wanted.values())
    tf.saved_model.save(module, str(folder), signatures=wanted)
    if "raw" in wanted:
        write_references(folder)
    return folder
