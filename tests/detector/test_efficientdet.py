"""The network: golden sizes of the reference, hand-computed fusion, ported weights, and that it learns."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from official.vision.ops import anchor as anchors

from pipeline.config.compose import compose
from pipeline.config.schema import TrainConfig
from pipeline.detector.backbone import Backbone, load_published, port_weights
from pipeline.detector.bifpn import BiFPNConfig, WeightedFusion, build_bifpn, cell
from pipeline.detector.experiment import EfficientDetTaskConfig, model_config
from pipeline.detector.task import EfficientDetTask, build_efficientdet
from pipeline.errors import UserError
from pipeline.showcase import pictures

FACES = {"astronaut": (172, 60, 272, 186), "grace_hopper": (170, 60, 330, 290)}  # xyxy, by eye


def model(size: str) -> object:
    return compose(TrainConfig, "train", [f"model=efficientdet_{size}"]).model


def parameters(network: tf_keras.Model) -> int:
    return sum(int(np.prod(weight.shape)) for weight in network.trainable_weights)


@pytest.mark.parametrize(
    ("size", "golden"), [("d0", 3_880_067), ("d1", 6_625_898), ("d2", 8_097_039), ("d3", 12_032_296)]
)
def test_parameter_counts_are_the_reference_implementations(size: str, golden: int) -> None:
    assert parameters(build_efficientdet(model_config(model(size), num_classes=90))) == golden


def test_a_cell_fuses_as_in_the_papers_figure() -> None:
    # Inputs P3 … P7 are nodes 0 … 4; the reference's table of nodes.
    assert [(node.level, node.inputs) for node in cell(3, 7)] == [
        (6, (3, 4)),
        (5, (2, 5)),
        (4, (1, 6)),
        (3, (0, 7)),
        (4, (1, 7, 8)),
        (5, (2, 6, 9)),
        (6, (3, 5, 10)),
        (7, (4, 11)),
    ]


def test_fusion_by_hand() -> None:
    fusion = WeightedFusion()
    inputs = [tf.fill([1, 1, 1, 2], value) for value in (1.0, 10.0, 100.0)]
    fusion(inputs)
    fusion.set_weights([np.array([3.0, -5.0, 1.0])])
    # relu drops the -5: (3 · 1 + 1 · 100) / (3 + 1 + 1e-4)
    np.testing.assert_allclose(fusion(inputs), np.full((1, 1, 1, 2), 103 / 4.0001), rtol=1e-6)


def test_pyramid_levels_halve_and_share_their_channels() -> None:
    specs = {"3": (None, 32, 32, 48), "4": (None, 16, 16, 120), "5": (None, 8, 8, 352)}
    pyramid = build_bifpn(
        {level: tf.TensorShape(shape) for level, shape in specs.items()},
        BiFPNConfig(num_filters=16, num_repeats=2),
    )
    sides = {level: tuple(x.shape[1:]) for level, x in pyramid.output.items()}
    assert sides == {str(level): (256 >> level, 256 >> level, 16) for level in range(3, 8)}


def test_ported_backbone_gives_the_published_features() -> None:
    published = tf_keras.applications.EfficientNetB2(include_top=False, weights=None)
    _randomize_statistics(published)
    backbone = Backbone("b2")
    picture = pictures()["astronaut"]
    image = tf.image.resize(picture / 255.0, [256, 256])[None] - 0.45
    assert feature_difference(published, backbone, image) > 1e-2, "the test would pass without porting"
    port_weights(published, backbone)
    assert feature_difference(published, backbone, image) < 1e-4


def feature_difference(published: tf_keras.Model, backbone: Backbone, images: tf.Tensor) -> float:
    """Largest absolute difference of the two networks' level-5 features on normalized images.

    The published network is entered behind its own input normalization.
    """
    layers = {layer.name: layer for layer in published.layers}
    last_block = [
        name for name in layers if name.startswith("block7") and name.endswith(("_add", "project_bn"))
    ][-1]
    behind = tf_keras.Model(layers["stem_conv_pad"].input, layers[last_block].output)
    expected = behind(images, training=False)
    return float(tf.reduce_max(tf.abs(expected - backbone(images, training=False)["5"])))


def _randomize_statistics(network: tf_keras.Model) -> None:
    generator = np.random.default_rng(0)
    for weight in network.non_trainable_weights:
        if "moving_" in weight.name:
            weight.assign(generator.uniform(0.5, 1.5, weight.shape))


def test_weights_of_another_size_are_refused() -> None:
    published = tf_keras.applications.EfficientNetB0(include_top=False, weights=None)
    with pytest.raises(ValueError, match="does not fit"):
        port_weights(published, Backbone("b2"))


def test_a_file_that_holds_no_weights_is_named(tmp_path) -> None:
    path = tmp_path / "weights.h5"
    path.write_bytes(b"no weights")
    with pytest.raises(UserError, match=r"model\.init=.*weights\.h5"):
        load_published("b2", path)


def test_d2_overfits_a_handful_of_pictures() -> None:
    """From random weights: the loss falls tenfold, and the faces are found where they are.

    How many steps that takes is a matter of luck, with the same seed too: sums in threads differ.
    """
    tf_keras.utils.set_random_seed(1)
    task = EfficientDetTask(EfficientDetTaskConfig(model=model_config(model("d2"))))
    network = task.build_model()
    images, labels, truth = _portrait_batch(128)
    optimizer = tf_keras.optimizers.legacy.Adam(1e-3)

    @tf.function
    def step() -> tf.Tensor:
        return task.train_step((images, labels), network, optimizer)[task.loss]

    losses: list[float] = []
    for _ in range(4):
        losses += [float(step()) for _ in range(80)]
        _settle_statistics(network, images)
        found = network(images, image_shape=tf.fill([4, 2], 128.0), anchor_boxes=labels["anchor_boxes"])
        best = found["detection_boxes"][:, 0].numpy()
        overlap = min(_iou(box, mine) for box, mine in zip(truth, best, strict=True))
        score = float(tf.reduce_min(found["detection_scores"][:, 0]))
        if min(score, overlap) > 0.5:
            break
    assert np.mean(losses[-5:]) < losses[0] / 10
    assert score > 0.5 and overlap > 0.5


def _portrait_batch(size: int) -> tuple[tf.Tensor, dict[str, object], list[np.ndarray]]:
    """Two portraits and their mirror images, with labels as the parser makes them; boxes yxyx in pixels."""
    images, boxes = [], []
    for name, picture in pictures().items():
        side = max(picture.shape[:2])
        square = np.zeros((side, side, 3), np.float32)
        square[: picture.shape[0], : picture.shape[1]] = picture / 255.0 - 0.45
        xmin, ymin, xmax, ymax = (value * size / side for value in FACES[name])
        image = tf.image.resize(square, [size, size]).numpy() * 4
        images += [image, image[:, ::-1]]
        boxes += [np.array([ymin, xmin, ymax, xmax]), np.array([ymin, size - xmax, ymax, size - xmin])]
    generator = anchors.build_anchor_generator(3, 7, 3, [0.5, 1.0, 2.0], 4.0)
    multilevel = generator(image_size=(size, size))
    labeler = anchors.AnchorLabeler(match_threshold=0.5, unmatched_threshold=0.5)
    each = []
    for box in boxes:
        classes, targets, _, class_weights, box_weights = labeler.label_anchors(
            multilevel, tf.constant(box[None], tf.float32), tf.constant([[1]], tf.int64), {}
        )
        each.append(
            {
                "cls_targets": classes,
                "box_targets": targets,
                "cls_weights": class_weights,
                "box_weights": box_weights,
                "anchor_boxes": multilevel,
            }
        )
    return tf.constant(np.stack(images)), tf.nest.map_structure(lambda *x: tf.stack(x), *each), boxes


def _settle_statistics(network: tf_keras.Model, images: tf.Tensor) -> None:
    """Batch norm's moving statistics are slow by design; here they become those of the last weights."""
    for layer in network.submodules:
        if isinstance(layer, tf_keras.layers.BatchNormalization):
            layer.momentum = 0.0
    network(images, training=True)


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    shared = np.prod(np.clip(high - low, 0, None))
    return float(shared / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared))


def test_frozen_blocks_and_statistics_stay() -> None:
    backbone = Backbone("b0")
    everything = len(backbone.trainable_weights)
    backbone.freeze(3, statistics=True)
    kept = {weight.ref() for block in backbone.layers[:6] for weight in block.weights}
    assert 0 < len(backbone.trainable_weights) < everything
    assert not kept & {weight.ref() for weight in backbone.trainable_weights}
    assert not any("batch_norm" in weight.name for weight in backbone.trainable_weights)
    before = [weight.numpy() for weight in backbone.weights if "moving_" in weight.name]
    backbone(tf.random.normal([2, 64, 64, 3]), training=True)
    after = [weight.numpy() for weight in backbone.weights if "moving_" in weight.name]
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(UserError, match=r"trainer.frozen_blocks: 99; allowed: 0 to 16"):
        backbone.freeze(99, statistics=False)
