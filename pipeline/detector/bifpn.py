"""BiFPN: the bidirectional feature pyramid of EfficientDet, registered as a Model Garden decoder.

Source: Tan, Pang, Le, "EfficientDet: Scalable and Efficient Object Detection" (CVPR 2020), and the
authors' reference implementation, whose parameter counts the tests hold.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import tensorflow as tf
import tf_keras
from official.modeling import hyperparams
from official.vision.modeling.decoders import factory

EPSILON = 1e-4
NORM_MOMENTUM = 0.99
NORM_EPSILON = 1e-3


@dataclass
class BiFPNConfig(hyperparams.Config):
    """Channels of every level, and how often the cell repeats (64 and 3 at D0, 112 and 5 at D2)."""

    num_filters: int = 112
    num_repeats: int = 5


@dataclass(frozen=True)
class Node:
    """One fusion of a cell: the level it makes, and the nodes (by number) that it fuses."""

    level: int
    inputs: tuple[int, ...]


def cell(min_level: int, max_level: int) -> list[Node]:
    """The fusions of one cell. Nodes 0 … L-1 are its inputs, from ``min_level`` upward.

    First top-down, then bottom-up; a level's last node is its output. Between the two ends the
    bottom-up fusion sees the level's input once more.
    """
    latest = {level: [level - min_level] for level in range(min_level, max_level + 1)}
    nodes: list[Node] = []

    def fuse(level: int, *inputs: int) -> None:
        latest[level].append(max_level - min_level + 1 + len(nodes))
        nodes.append(Node(level, inputs))

    for level in range(max_level - 1, min_level - 1, -1):
        fuse(level, latest[level][0], latest[level + 1][-1])
    for level in range(min_level + 1, max_level + 1):
        fuse(level, *latest[level], latest[level - 1][-1])
    return nodes


class WeightedFusion(tf_keras.layers.Layer):
    """Fast normalized fusion: ``sum(relu(w_i) x_i) / (sum(relu(w)) + 1e-4)`` (paper, section 3.3)."""

    def build(self, input_shape: list[tf.TensorShape]) -> None:
        self.fusion_weights = self.add_weight(
            name="fusion_weights", shape=[len(input_shape)], initializer="ones", trainable=True
        )
        super().build(input_shape)

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        weights = tf.nn.relu(tf.cast(self.fusion_weights, inputs[0].dtype))
        weights = weights / (tf.reduce_sum(weights) + EPSILON)
        return tf.add_n([weights[i] * x for i, x in enumerate(inputs)])


@dataclass
class _Builder:
    """Carries what every layer of the pyramid shares while its graph is laid out."""

    filters: int
    regularizer: tf_keras.regularizers.Regularizer | None

    def norm(self, x: tf.Tensor) -> tf.Tensor:
        return tf_keras.layers.BatchNormalization(momentum=NORM_MOMENTUM, epsilon=NORM_EPSILON)(x)

    def lateral(self, x: tf.Tensor) -> tf.Tensor:
        """1×1 convolution and batch norm where the channels differ; otherwise the tensor itself."""
        if x.shape[-1] == self.filters:
            return x
        return self.norm(
            tf_keras.layers.Conv2D(self.filters, 1, padding="same", kernel_regularizer=self.regularizer)(x)
        )

    def downsample(self, x: tf.Tensor) -> tf.Tensor:
        return tf_keras.layers.MaxPool2D(3, strides=2, padding="same")(x)

    def resample(self, x: tf.Tensor, level: int, target: int) -> tf.Tensor:
        """Brings a feature map from one level to a neighbouring one."""
        x = self.lateral(x)
        if target > level:
            return self.downsample(x)
        if target < level:
            return tf_keras.layers.UpSampling2D(2, interpolation="nearest")(x)
        return x

    def node(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        x = tf.nn.swish(WeightedFusion()(inputs))
        x = tf_keras.layers.SeparableConv2D(
            self.filters,
            3,
            padding="same",
            depthwise_regularizer=self.regularizer,
            pointwise_regularizer=self.regularizer,
        )(x)
        return self.norm(x)


def build_bifpn(
    input_specs: Mapping[str, tf.TensorShape],
    config: BiFPNConfig,
    min_level: int = 3,
    max_level: int = 7,
    l2_regularizer: tf_keras.regularizers.Regularizer | None = None,
) -> tf_keras.Model:
    """The pyramid as a Keras model.

    Args:
        input_specs: the backbone's feature shapes by level, ``{"3": [B, H, W, C], …}``. Their sides
            must halve exactly from level to level: pictures with sides in multiples of
            ``2 ** max_level``.

    Returns:
        A model from the backbone's features to ``{"3": [B, H, W, filters], …}`` up to ``max_level``.
    """
    builder = _Builder(config.num_filters, l2_regularizer)
    inputs = {level: tf_keras.Input(shape=shape[1:]) for level, shape in input_specs.items()}
    features = {int(level): tensor for level, tensor in inputs.items()}
    for level in range(max(features) + 1, max_level + 1):
        features[level] = builder.downsample(builder.lateral(features[level - 1]))

    for _ in range(config.num_repeats):
        nodes = [(level, features[level]) for level in range(min_level, max_level + 1)]
        for node in cell(min_level, max_level):
            # Every edge resamples for itself: in the first cell P4 and P5 so get a lateral for each use.
            fused = [builder.resample(nodes[i][1], nodes[i][0], node.level) for i in node.inputs]
            nodes.append((node.level, builder.node(fused)))
        features = dict(nodes)  # the last node of a level wins
    model = tf_keras.Model(inputs, {str(level): x for level, x in features.items()}, name="bifpn")
    model.output_specs = {level: x.shape for level, x in model.output.items()}
    return model


@factory.register_decoder_builder("bifpn")
def build_bifpn_decoder(
    input_specs: Mapping[str, tf.TensorShape],
    model_config: hyperparams.Config,
    l2_regularizer: tf_keras.regularizers.Regularizer | None = None,
) -> tf_keras.Model:
    """Model Garden's hook: see :func:`build_bifpn`."""
    return build_bifpn(
        input_specs,
        model_config.decoder.get(),
        model_config.min_level,
        model_config.max_level,
        l2_regularizer,
    )
