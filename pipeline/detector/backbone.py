"""The EfficientNet backbone, trimmed to what a detector uses, and its published weights."""

from __future__ import annotations

from pathlib import Path

import tf_keras
from official.vision.modeling.backbones import efficientnet

from pipeline.errors import UserError

LEVELS = ("3", "4", "5")


class Backbone(tf_keras.Model):
    """Model Garden's EfficientNet with swish throughout (its own factory puts relu into
    squeeze-and-excitation, which loads published weights without an error and ruins the features)
    and without the classifier's convolution.

    Maps normalized RGB ``[B, H, W, 3]`` to ``{"3": [B, H/8, W/8, C3], "4": …, "5": …}``.
    """

    def __init__(self, model_id: str, regularizer: tf_keras.regularizers.Regularizer | None = None) -> None:
        full = efficientnet.EfficientNet(
            model_id=model_id,
            input_specs=tf_keras.layers.InputSpec(shape=[None, None, None, 3]),
            se_ratio=0.25,
            activation="swish",
            se_inner_activation="swish",
            norm_momentum=0.99,
            norm_epsilon=1e-3,
            kernel_regularizer=regularizer,
        )
        super().__init__(full.input, {level: full.output[level] for level in LEVELS}, name="backbone")
        self.output_specs = {level: full.output[level].shape for level in LEVELS}

    def freeze(self, blocks: int, statistics: bool) -> None:
        """Keeps the weights of the stem and the first ``blocks`` blocks, and all batch statistics if asked.

        A frozen normalization works with its moving averages, in training too: it then costs a
        multiplication instead of a pass over the batch and one over its gradient.

        Raises:
            UserError: there are fewer blocks.
        """
        own = [
            layer
            for layer in self.layers
            if isinstance(layer, efficientnet.nn_blocks.InvertedBottleneckBlock)
        ]
        if blocks > len(own):
            raise UserError(
                f"trainer.frozen_blocks: {blocks}; allowed: 0 to {len(own)}, the backbone's blocks"
            )
        if blocks:
            for layer in self.layers[: self.layers.index(own[blocks - 1]) + 1]:
                layer.trainable = False
        if statistics:
            for layer in self.submodules:
                if isinstance(layer, tf_keras.layers.BatchNormalization):
                    layer.trainable = False


def load_published(model_id: str, weights: str | Path) -> tf_keras.Model:
    """``tf_keras.applications``' EfficientNet of that size.

    Args:
        weights: ``"imagenet"`` (downloaded by Keras, or from its cache) or an ``.h5`` file.

    Raises:
        UserError: the weights cannot be had, or do not fit.
    """
    build = getattr(tf_keras.applications, f"EfficientNet{model_id.upper()}")
    try:
        return build(include_top=False, weights=str(weights))
    except Exception as error:  # Keras raises plain Exception for a failed download
        if weights == "imagenet":
            raise UserError(
                f"model.init=imagenet: the published EfficientNet-{model_id.upper()} weights could not be "
                f"downloaded ({_first_line(error)}). Go on with one of: model.init=<backbone .h5 file>, "
                "model.init=released (the detector in models/, if it has this size), "
                "model.init=sliced (a larger one there, cut down), or model.init=random"
            ) from error
        raise UserError(
            f"model.init={weights}: not the weights of tf_keras.applications.EfficientNet{model_id.upper()}"
            f"(include_top=False): {_first_line(error)}"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]


def port_weights(published: tf_keras.Model, backbone: Backbone) -> None:
    """Copies the weights of ``tf_keras.applications``' EfficientNet into ours.

    Both list their tensors in the same order. The published one has more at the end (the
    classifier's convolution) and, among the statistics, at the start (its input normalization).

    Raises:
        ValueError: a tensor's shape differs, so the sizes are not the same.
    """
    statistics = [w for w in published.non_trainable_weights if "moving_" in w.name]
    pairs = [
        *zip(backbone.trainable_weights, published.trainable_weights, strict=False),
        *zip(backbone.non_trainable_weights, statistics, strict=False),
    ]
    for ours, theirs in pairs:
        if ours.shape != theirs.shape:
            raise ValueError(f"{theirs.name} {theirs.shape} does not fit {ours.name} {ours.shape}")
    for ours, theirs in pairs:
        ours.assign(theirs)
