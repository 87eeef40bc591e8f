"""Exports a trained detector as a SavedModel that plain TensorFlow runs, without Model Garden."""

from __future__ import annotations

import functools
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from official.vision.ops import anchor, box_ops, preprocess_ops

from pipeline.anonymize.detect.canvas import PADDING, SLACK, canvas_sides
from pipeline.anonymize.detect.graph import SavedModelFile
from pipeline.anonymize.detect.suppress import VOTERS
from pipeline.calibration.score_map import ScoreMap
from pipeline.config.schema import ModelConfig
from pipeline.data.coco import FACE_ID
from pipeline.detector.experiment import MIN_SCORE, NUM_CLASSES, model_config
from pipeline.detector.initialize import initialize, load_saved_model_weights, resolve_init
from pipeline.detector.task import build_efficientdet
from pipeline.quiet import wake_tensorflow

UNCALIBRATED = ScoreMap()
VOTE_IOU, VOTE_SHARE = 0.6, 0.3
"""See :class:`pipeline.anonymize.detect.suppress.Suppression`. On the validation split of the mask sets AP
rises by .8 and AP75 by two points; shares from 0 to 0.5 and overlaps from 0.5 to 0.7 do about the same."""
VOTING = [VOTE_IOU, VOTE_SHARE]


class DetectionModule(tf.Module):
    """A detector for pictures as they are: resizing and normalization are inside.

    ``weights`` are the network's variables in its own order, for :mod:`pipeline.detector.initialize` to read
    back. The network itself is not tracked: Keras would add a trace of every layer, 30 MB of them.

    Args:
        network: as :func:`build_for_inference` makes it.
        model: ``model.input_size`` is the longer side ``S`` in pixels of the canvas that the network sees.
        score_map: from the network's scores to calibrated ones; every signature gives both.
    """

    def __init__(
        self, network: tf_keras.Model, model: ModelConfig, score_map: ScoreMap = UNCALIBRATED
    ) -> None:
        super().__init__(name="veil_detector")
        config, side = model_config(model), model.input_size
        self.weights = list(network.weights)
        self._network = functools.partial(_heads, network)
        self._model = model
        self._calibrate = score_map.in_graph
        self._anchors = anchor.build_anchor_generator(
            min_level=config.min_level,
            max_level=config.max_level,
            num_scales=config.anchor.num_scales,
            aspect_ratios=config.anchor.aspect_ratios,
            anchor_size=config.anchor.anchor_size,
        )(image_size=(side, side))
        self.squares = tf.TensorSpec([None, side, side, 3], tf.uint8, name="images")
        self.canvases = tf.TensorSpec([None, None, None, 3], tf.uint8, name="images")
        # One trace that every signature calls, so that the file holds the network once.
        self._every_anchor = tf.function(self._decode, input_signature=[self.canvases])

    def _decode(self, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Box and score of every anchor of every picture, as Model Garden's generator decodes them; that one
        needs to know the sides when it is traced.
        """
        size = tf.cast(tf.tile(tf.shape(images)[1:3], [2]), tf.float32)
        normalized = preprocess_ops.normalize_image(tf.image.convert_image_dtype(images, tf.float32))
        found_scores, found_boxes = self._network(normalized)
        boxes, scores = [], []
        for level, of_square in self._anchors.items():
            cells = tf.shape(found_scores[level])[1:3]
            # a smaller canvas has the anchors at the top left of the square's
            anchors = tf.reshape(of_square[: cells[0], : cells[1]], [1, -1, 4])
            moved = tf.reshape(found_boxes[level], [tf.shape(images)[0], -1, 4])
            boxes.append(box_ops.decode_boxes(moved, anchors))
            logits = tf.reshape(found_scores[level], [tf.shape(images)[0], -1, NUM_CLASSES])
            scores.append(tf.sigmoid(logits[:, :, FACE_ID]))
        inside = tf.clip_by_value(tf.concat(boxes, axis=1), 0.0, size)
        return inside / size, tf.concat(scores, axis=1)

    @tf.function
    def raw(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Every anchor's box and scores, before suppression: for runtimes that cannot do it in the graph.

        Takes canvases uint8 ``[B, h, w, 3]`` whose sides are multiples of 128, the network's coarsest stride,
        and at most ``S``. Boxes are fractions of the canvas.
        """
        boxes, scores = self._every_anchor(images)
        return {"boxes": boxes, "scores": self._calibrate(scores), "raw_scores": scores}

    @tf.function
    def batched(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """The fast path: uint8 ``[B, S, S, 3]``, pictures that the caller has resized to fit and laid out
        at the top left, the rest filled with :data:`PADDING`. Boxes are fractions of the square.
        """
        boxes, scores = self._every_anchor(images)
        kept = tf.image.combined_non_max_suppression(
            boxes[:, :, None],
            scores[:, :, None],
            max_output_size_per_class=self._model.max_detections,
            max_total_size=self._model.max_detections,
            iou_threshold=self._model.nms_iou,
            score_threshold=MIN_SCORE,
            clip_boxes=False,
        )
        return {
            "detection_boxes": vote(kept.nmsed_boxes, kept.nmsed_scores, boxes, scores),
            "detection_scores": self._calibrate(kept.nmsed_scores),
            "detection_raw_scores": kept.nmsed_scores,
            "num_detections": kept.valid_detections,
        }

    @tf.function
    def serve(self, input_tensor: tf.Tensor) -> dict[str, tf.Tensor]:
        """The TensorFlow Object Detection API's convention: one picture of any size."""
        outer, inner = layout(tf.shape(input_tensor)[1:3], self._model.input_size)
        # Antialiased, since a photograph of 12 megapixels shrinks by 5 on its way to the network.
        resized = tf.image.resize(tf.cast(input_tensor, tf.float32), inner, antialias=True)
        resized = tf.cast(tf.round(tf.clip_by_value(resized, 0.0, 255.0)), tf.uint8)
        padding = tf.constant(PADDING, tf.uint8)  # subtracted and added again; bytes wrap around
        canvas = padding + tf.image.pad_to_bounding_box(resized - padding, 0, 0, outer[0], outer[1])
        found = self.batched(canvas)
        share = tf.tile(tf.cast(inner, tf.float32) / tf.cast(outer, tf.float32), [2])
        exists = tf.sequence_mask(found["num_detections"], self._model.max_detections, tf.float32)
        return {
            "detection_boxes": tf.clip_by_value(found["detection_boxes"] / share, 0.0, 1.0),
            "detection_scores": found["detection_scores"],
            "detection_raw_scores": found["detection_raw_scores"],
            "detection_classes": exists,  # FACE is class 1
            "num_detections": tf.cast(found["num_detections"], tf.float32),
        }

    def signatures(self) -> dict[str, Any]:
        """What the SavedModel offers; see the methods for what each takes and gives."""
        picture = tf.TensorSpec([1, None, None, 3], tf.uint8, name="input_tensor")
        return {
            "serving_default": self.serve.get_concrete_function(picture),
            "batched": self.batched.get_concrete_function(self.squares),
            "raw": self.raw.get_concrete_function(self.canvases),
        }


def layout(size: tf.Tensor, side: int) -> tuple[tf.Tensor, tf.Tensor]:
    """What :func:`pipeline.anonymize.detect.letterbox` does with a picture, for an oblong canvas.

    Args:
        size: height and width of the picture, int32 ``[2]``. side: longer side of the canvas.

    Returns:
        int32 ``[2]`` each: of the canvas, and of the picture in it.
    """
    sides, wanted = tf.constant(canvas_sides(side)), tf.cast(size, tf.float32)
    least = wanted * ((1 - SLACK) * side / tf.reduce_max(wanted))
    outer = tf.stack([tf.reduce_min(sides[tf.cast(sides, tf.float32) >= least[axis]]) for axis in range(2)])
    scale = tf.reduce_min(tf.cast(outer, tf.float32) / wanted)
    return outer, tf.clip_by_value(tf.cast(tf.round(wanted * scale), tf.int32), 1, outer)


def vote(kept: tf.Tensor, kept_scores: tf.Tensor, boxes: tf.Tensor, scores: tf.Tensor) -> tf.Tensor:
    """What :meth:`pipeline.anonymize.detect.suppress.Suppression.vote` does.

    Args:
        kept: ``[B, K, 4]`` after suppression. boxes: ``[B, N, 4]`` before it. scores: of each.

    Returns:
        ``[B, K, 4]``.
    """
    kept_scores = kept_scores[:, :, None]
    scores, best = tf.math.top_k(scores, tf.minimum(VOTERS, tf.shape(scores)[1]))
    boxes, scores = tf.gather(boxes, best, batch_dims=1), scores[:, None]
    shared = box_ops.bbox_overlap(kept, boxes)
    near = (scores >= tf.constant(VOTE_SHARE, name="vote_share") * kept_scores) & (scores <= kept_scores)
    votes = near & (shared > tf.constant(VOTE_IOU, name="vote_iou"))
    weights = tf.where(votes, shared * scores**2, 0.0)
    # no matrix product: a box that is no number and has no vote would spoil it, and GPUs would round it
    places = [tf.where(votes, weights * each[:, None], 0.0) for each in tf.unstack(boxes, axis=2)]
    total = tf.reduce_sum(weights, axis=2, keepdims=True)
    mean = tf.math.divide_no_nan(tf.stack([tf.reduce_sum(each, axis=2) for each in places], axis=2), total)
    return tf.where((total > 0) & (kept > 0) & (kept < 1), mean, kept)


def votes(saved_model: Path) -> bool:
    """Whether the boxes of a SavedModel vote as those of a new one do."""
    says = SavedModelFile.read(saved_model).suppression()
    return says is not None and bool(np.allclose([says.vote_iou, says.vote_share], VOTING))


def _heads(network: tf_keras.Model, pictures: tf.Tensor) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the two heads say of every anchor, by level: class logits and box codes."""
    features = network.decoder(network.backbone(pictures, training=False), training=False)
    scores, boxes, _ = network.head(features, training=False)
    return scores, boxes


def build_for_inference(model: ModelConfig) -> tf_keras.Model:
    """The network in float32. Of it the graph takes :func:`_heads`: decoding and suppression are its own."""
    tf_keras.mixed_precision.set_global_policy("float32")
    return build_efficientdet(model_config(model))


def export_saved_model(
    network: tf_keras.Model, model: ModelConfig, folder: Path, score_map: ScoreMap = UNCALIBRATED
) -> None:
    """Writes the SavedModel; whatever is in the folder goes."""
    module = DetectionModule(network, model, score_map)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        whole = Path(scratch) / folder.name
        tf.saved_model.save(module, str(whole), signatures=module.signatures())
        shutil.rmtree(folder, ignore_errors=True)
        whole.rename(folder)


def export_checkpoint(model: ModelConfig, checkpoint: str, folder: Path) -> None:
    """Writes the SavedModel of a training checkpoint.

    Args:
        model: as it was trained.
        checkpoint: path prefix, as :class:`pipeline.training.loop.TrainingResult` holds it.
        folder: of the SavedModel.

    Raises:
        AssertionError: the checkpoint is of another network.
    """
    wake_tensorflow()
    network = build_for_inference(model)
    load_trained_weights(network, model, checkpoint)
    export_saved_model(network, model, folder)


def load_trained_weights(network: tf_keras.Model, model: ModelConfig, checkpoint: str) -> None:
    """Those of a training checkpoint, or their mean with the start's, as ``model.start_share`` says.

    A detector and what it became by more training lie in one basin: the mean of their weights is a detector,
    too, and often one that errs less than either (Wortsman et al. 2022, "Robust fine-tuning of zero-shot
    models").

    Raises:
        AssertionError: the checkpoint is of another network.
        UserError: the start is gone, or of another network.
    """
    share = model.start_share
    start: list[np.ndarray] = []
    if share:
        initialize(network, model_config(model), resolve_init(model))
        start = [weight.numpy() for weight in network.weights]
    restored = tf.train.Checkpoint(**network.checkpoint_items).read(checkpoint)
    restored.expect_partial().assert_existing_objects_matched()
    if share:
        for weight, before in zip(network.weights, start, strict=True):
            weight.assign(share * before + (1 - share) * weight)


def export_calibrated(model: ModelConfig, source: Path, folder: Path, score_map: ScoreMap) -> None:
    """Writes a SavedModel again with another map of its scores.

    Args:
        model: what the SavedModel was made of; its input size and suppression may differ.
        source: the SavedModel whose weights are taken.
        folder: of the new one; may be ``source``.

    Raises:
        UserError: the SavedModel is of another network.
    """
    wake_tensorflow()
    network = build_for_inference(model)
    load_saved_model_weights(network, source)
    export_saved_model(network, model, folder, score_map)
