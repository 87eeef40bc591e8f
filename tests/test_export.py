"""The exported SavedModel runs without Model Garden and agrees with the training graph."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from pipeline.anonymize.detect import letterbox
from pipeline.anonymize.detect.graph import SavedModelFile
from pipeline.calibration.score_map import ScoreMap
from pipeline.config.compose import compose
from pipeline.config.schema import ModelConfig, TrainConfig
from pipeline.detector.experiment import model_config
from pipeline.detector.initialize import load_saved_model_weights, resolve_init
from pipeline.detector.task import build_efficientdet
from pipeline.errors import UserError
from pipeline.export import (
    VOTE_IOU,
    VOTE_SHARE,
    build_for_inference,
    export_calibrated,
    export_saved_model,
    layout,
    load_trained_weights,
    votes,
)
from pipeline.release import checks
from pipeline.showcase import pictures
from tests.anonymize.tiny import build_tiny

MAP = ScoreMap((0.0, 0.005, 0.012, 0.03, 1.0), (0.0, 0.01, 0.3, 0.8, 1.0))
MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])  # ImageNet's
PLAIN = """
import sys
for name in ("official", "tf_keras", "orbit"):
    sys.modules[name] = None  # importing it fails
import numpy as np, tensorflow as tf
detect = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
found = detect(input_tensor=tf.constant(np.load(sys.argv[2])[None]))
np.savez(sys.argv[3], **{name: value.numpy() for name, value in found.items()})
"""


@pytest.fixture(scope="module")
def released(root: Path) -> Path:
    return root / "models" / "efficientdet_d2"


@pytest.fixture(scope="module")
def signatures(released: Path) -> Mapping[str, Any]:
    return tf.saved_model.load(str(released)).signatures


@pytest.fixture(scope="module")
def model(released: Path) -> ModelConfig:
    """The released one's, which sees more than its authors' default."""
    side = SavedModelFile.read(released).input_shape("batched")[1]
    return compose(TrainConfig, "train", ["model=efficientdet_d2", f"model.input_size={side}"]).model


def test_plain_tensorflow_runs_it_by_the_object_detection_apis_convention(
    released: Path, tmp_path: Path
) -> None:
    picture = pictures()["astronaut"]
    np.save(tmp_path / "picture.npy", picture)
    paths = [str(path) for path in (released, tmp_path / "picture.npy", tmp_path / "found.npz")]
    subprocess.run([sys.executable, "-c", PLAIN, *paths], check=True, capture_output=True)
    found = np.load(tmp_path / "found.npz")
    count = int(found["num_detections"][0])
    assert found["detection_boxes"].shape[::2] == (1, 4)
    assert found["detection_scores"].shape == found["detection_boxes"].shape[:2]
    assert count >= 1
    assert set(found["detection_classes"][0, :count]) == {1.0}
    ymin, xmin, ymax, xmax = found["detection_boxes"][0, 0] * 512
    assert found["detection_scores"][0, 0] > 0.5
    assert xmin < 225 < xmax and ymin < 120 < ymax, "the astronaut's nose is inside the best box"


def test_outputs_equal_the_training_graphs_on_real_pictures(
    released: Path, signatures: Mapping[str, Any], model: ModelConfig
) -> None:
    """The training graph: normalized pictures, Model Garden's anchors and suppression; then the vote."""
    config, suppression = model_config(model), SavedModelFile.read(released).suppression()
    assert suppression is not None
    config.detection_generator.return_decoded = True
    network = build_efficientdet(config)
    load_saved_model_weights(network, released)
    faces = 0
    for picture in [
        *pictures().values(),
        pictures()["astronaut"][60:360],
        pictures()["astronaut"][:, 100:400],
    ]:
        canvas = letterbox(picture, model.input_size, oblong=True)[0][None]
        normalized, size = (canvas / 255.0 - MEAN) / DEVIATION, np.array([canvas.shape[1:3]], np.float32)
        expected = network(tf.constant(normalized, tf.float32), image_shape=tf.constant(size), training=False)
        scores, boxes = expected["detection_scores"].numpy(), expected["detection_boxes"].numpy()
        every, sure = (expected[name].numpy()[0, :, 0] for name in ("decoded_boxes", "decoded_box_scores"))
        corners = np.tile(size, 2)
        boxes[0] = corners * suppression.vote(boxes[0] / corners, scores[0], every / corners, sure)
        given = tf.constant(canvas)
        answers = [signatures["serving_default"](input_tensor=given)]
        if canvas.shape[1] == canvas.shape[2]:
            answers.append(signatures["batched"](images=given))
        for actual in answers:
            np.testing.assert_allclose(actual["detection_raw_scores"], scores, atol=1e-4)
            pixels = actual["detection_boxes"].numpy() * corners
            found = scores > 0.05
            faces += found.sum()
            np.testing.assert_allclose(pixels[found], boxes[found], atol=0.05)
    assert faces >= 6


def test_both_signatures_find_the_same_faces(signatures: Mapping[str, Any], model: ModelConfig) -> None:
    picture = pictures()["astronaut"][:, 100:400]
    canvas, inner = letterbox(picture, model.input_size, oblong=True)
    one = signatures["serving_default"](input_tensor=tf.constant(picture[None]))
    many = signatures["serving_default"](input_tensor=tf.constant(canvas[None]))
    assert abs(float(one["detection_scores"][0, 0]) - float(many["detection_scores"][0, 0])) < 0.02
    np.testing.assert_allclose(
        one["detection_boxes"][0, 0] * [*inner, *inner],
        many["detection_boxes"][0, 0] * [*canvas.shape[:2], *canvas.shape[:2]],
        atol=4,
    )


@pytest.mark.parametrize(
    "size", [(512, 512), (300, 512), (345, 512), (534, 800), (648, 768), (656, 768), (512, 90), (2, 1000)]
)
def test_the_graph_lays_pictures_out_as_the_tool_does(size: tuple[int, int]) -> None:
    canvas, inner = letterbox(np.zeros((*size, 3), np.uint8), 768, oblong=True)
    outer, taken = tf.function(layout)(tf.constant(size), 768)
    assert (tuple(outer.numpy()), tuple(taken.numpy())) == (canvas.shape[:2], inner)


def test_weights_survive_the_round_trip(calibrated: tuple[tf_keras.Model, Path]) -> None:
    network, folder = calibrated
    other = build_for_inference(small())
    assert not np.allclose(network.trainable_weights[0], other.trainable_weights[0])
    load_saved_model_weights(other, folder)
    for ours, theirs in zip(network.weights, other.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(UserError, match="do not fit"):
        load_saved_model_weights(build_efficientdet(model_config(medium())), folder)


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory: pytest.TempPathFactory) -> tuple[tf_keras.Model, Path]:
    """A tiny detector with a map of its scores, which at a random start all lie near 0.013."""
    network, folder = build_for_inference(small()), tmp_path_factory.mktemp("calibrated") / "model"
    (prior,) = (each for each in network.weights if np.allclose(each, np.log(0.01 / 0.99)))
    prior.assign_add(tf.fill(prior.shape, 0.3))  # else the graph would drop them all
    export_saved_model(network, small(), folder, MAP)
    return network, folder


def small() -> ModelConfig:
    return compose(TrainConfig, "train", ["model=efficientdet_d0", "model.input_size=128"]).model


def test_every_signature_gives_calibrated_and_raw_scores(calibrated: tuple[tf_keras.Model, Path]) -> None:
    offered = tf.saved_model.load(str(calibrated[1])).signatures
    assert checks.signatures(offered, 128) == ""
    assert "batched takes" in checks.signatures(offered, 256)
    assert checks.signatures({"raw": offered["raw"]}, 128).startswith("serving_default is missing; batched")
    squares = tf.constant(np.random.default_rng(0).integers(0, 255, (2, 128, 128, 3)), tf.uint8)
    every = {name: value.numpy() for name, value in offered["raw"](images=squares).items()}
    assert set(every) == {"boxes", "scores", "raw_scores"}
    assert every["raw_scores"].std() > 0
    np.testing.assert_allclose(every["scores"], MAP(every["raw_scores"]), atol=1e-6)
    many = offered["batched"](images=squares)
    assert int(many["num_detections"][0]) > 5
    np.testing.assert_allclose(many["detection_scores"], MAP(many["detection_raw_scores"]), atol=1e-6)
    assert (np.diff(many["detection_scores"]) <= 0).all(), "best first, and padding scores nothing"
    one, alone = offered["serving_default"](input_tensor=squares[:1]), offered["batched"](images=squares[:1])
    np.testing.assert_allclose(one["detection_scores"], alone["detection_scores"], atol=1e-6)
    np.testing.assert_allclose(one["detection_raw_scores"], alone["detection_raw_scores"], atol=1e-6)


@pytest.mark.slow
def test_a_map_replaces_the_one_before_and_weights_stay(
    calibrated: tuple[tf_keras.Model, Path], tmp_path: Path
) -> None:
    export_calibrated(small(), calibrated[1], tmp_path / "plain", ScoreMap())
    squares = tf.constant(np.random.default_rng(1).integers(0, 255, (1, 128, 128, 3)), tf.uint8)
    mapped = tf.saved_model.load(str(calibrated[1])).signatures["raw"](images=squares)
    plain = tf.saved_model.load(str(tmp_path / "plain")).signatures["raw"](images=squares)
    np.testing.assert_allclose(plain["scores"], mapped["raw_scores"], atol=1e-6)
    np.testing.assert_array_equal(plain["scores"], plain["raw_scores"])


def test_what_is_exported_may_be_a_mean_with_the_start(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    wanted = ["model=efficientdet_d0", "model.init=released", "model.start_share=0.25"]
    small = compose(TrainConfig, "train", wanted).model
    network = build_for_inference(small)
    load_saved_model_weights(network, root / "models/efficientdet_d0")
    start = [weight.numpy() for weight in network.weights]
    for weight in network.weights:
        weight.assign(weight + 1.0)
    trained = tf.train.Checkpoint(**network.checkpoint_items).write(str(tmp_path / "trained"))
    load_trained_weights(network, small, trained)
    for weight, before in zip(network.weights, start, strict=True):
        np.testing.assert_allclose(weight, before + 0.75, atol=1e-4, rtol=1e-5)
    small.start_share = 0.0
    load_trained_weights(network, small, trained)
    np.testing.assert_allclose(network.weights[0], start[0] + 1.0, atol=1e-6)


def test_a_mean_needs_a_start_that_is_a_whole_detector() -> None:
    wanted = ["model=efficientdet_d0", "model.init=imagenet", "model.start_share=0.5"]
    with pytest.raises(UserError, match=r"model\.start_share: 0\.5, but .* imagenet; allowed: 0, or"):
        resolve_init(compose(TrainConfig, "train", wanted).model)


def medium() -> ModelConfig:
    return compose(TrainConfig, "train", ["model=efficientdet_d1"]).model


@pytest.mark.parametrize(
    ("init", "message"),
    [
        ("nowhere", r"model\.init.*nowhere.*allowed"),
        ("models/efficientdet_d2", r"that detector is efficientdet_d2, but model\.name is efficientdet_d0"),
    ],
)
def test_a_start_that_does_not_exist_or_fit_is_refused(
    init: str, message: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    with pytest.raises(UserError, match=message):
        resolve_init(compose(TrainConfig, "train", ["model=efficientdet_d0", f"model.init={init}"]).model)


def test_the_graph_says_how_its_boxes_vote(calibrated: tuple[tf_keras.Model, Path]) -> None:
    suppression = SavedModelFile.read(calibrated[1]).suppression()
    assert suppression is not None
    assert (suppression.vote_iou, suppression.vote_share) == pytest.approx((VOTE_IOU, VOTE_SHARE))
    assert votes(calibrated[1])


def test_a_graph_from_before_boxes_voted_is_known(tmp_path: Path) -> None:
    assert not votes(build_tiny(tmp_path / "model", signatures=["batched"]))
