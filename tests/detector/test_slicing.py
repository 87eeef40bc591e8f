"""Cutting a detector out of a larger one: what goes where, and that what stays computes the same."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from pipeline import history
from pipeline.config.compose import compose
from pipeline.config.schema import ModelConfig, TrainConfig
from pipeline.detector.experiment import model_config
from pipeline.detector.initialize import initialize, resolve_init
from pipeline.detector.slicing import Slice, mapping, slice_weights
from pipeline.detector.task import build_efficientdet
from pipeline.detector.wiring import SlicingError
from pipeline.errors import UserError
from pipeline.export import DetectionModule


def size(name: str, **changes: object) -> ModelConfig:
    return dataclasses.replace(compose(TrainConfig, "train", [f"model=efficientdet_{name}"]).model, **changes)


def build(name: str, **changes: object) -> tf_keras.Model:
    return build_efficientdet(model_config(size(name, **changes)))


def randomized(network: tf_keras.Model, seed: int = 0) -> tf_keras.Model:
    """No batch norm or bias stays as it is made, so that none could be forgotten unseen."""
    generator = np.random.default_rng(seed)
    for weight in network.weights:
        if len(weight.shape) == 1:
            weight.assign(generator.uniform(0.5, 1.5, weight.shape))
    return network


@pytest.fixture(scope="module")
def d0() -> tf_keras.Model:
    return build("d0")


@pytest.fixture(scope="module")
def d2() -> tf_keras.Model:
    return randomized(build("d2"))


@pytest.fixture(scope="module")
def shallow() -> tf_keras.Model:
    """As wide as D2, with D0's three pyramid cells: a cell left out has no way around it."""
    return randomized(build("d2", bifpn_cells=3))


def everything(network: tf_keras.Model) -> list[np.ndarray]:
    """Features, pyramid, scores and boxes of a picture of noise."""
    picture = tf.random.stateless_normal([1, 128, 128, 3], seed=[1, 2])
    features = network.backbone(picture, training=False)
    pyramid = network.decoder(features, training=False)
    scores, boxes, _ = network.head(pyramid)
    return [level.numpy() for part in (features, pyramid, scores, boxes) for level in part.values()]


def assert_same(actual: list[np.ndarray], expected: list[np.ndarray]) -> None:
    for ours, theirs in zip(actual, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-4 * np.abs(theirs).max())


def blank(network: tf_keras.Model) -> None:
    for weight in network.weights:
        weight.assign(tf.fill(weight.shape, np.nan))


def test_a_slice_of_equal_size_is_the_network_itself(d2: tf_keras.Model, tmp_path: Path) -> None:
    """Through files: of a SavedModel, the variables are what is read, so only they are written."""
    folder, config = tmp_path / "efficientdet_d2", model_config(size("d2"))
    tf.train.Checkpoint(DetectionModule(d2, size("d2"))).write(str(folder / "variables" / "variables"))
    before, computed = d2.get_weights(), everything(d2)
    blank(d2)
    initialize(d2, config, f"sliced:{folder}")
    for now, then in zip(d2.get_weights() + everything(d2), before + computed, strict=True):
        np.testing.assert_array_equal(now, then)


def test_what_stays_computes_the_same_once_the_rest_is_silent(
    shallow: tf_keras.Model, d0: tf_keras.Model
) -> None:
    """In the larger network, everything that slicing will drop is set to 0. Dropped channels then carry 0
    everywhere, dropped blocks add 0 to their residual path, and being silent they are the least important.
    """
    _silence(shallow, mapping(shallow, d0))
    assert sum(np.any(level == 0, axis=(0, 1, 2)).any() for level in everything(shallow)) >= 8
    slice_weights(shallow, d0)
    audible = [level[..., np.abs(level).max(axis=(0, 1, 2)) > 0] for level in everything(shallow)]
    assert_same(everything(d0), audible)


def _silence(larger: tf_keras.Model, slices: list[Slice]) -> None:
    kept = {weight.ref(): np.zeros(weight.shape, bool) for weight in larger.weights}
    for each in slices:
        axes = [each.keeps.get(axis, np.arange(n)) for axis, n in enumerate(each.source.shape)]
        kept[each.source.ref()][np.ix_(*axes)] = True
    for weight in larger.weights:
        weight.assign(np.where(kept[weight.ref()], weight, 0.0))


@pytest.mark.parametrize("name", ["d0", "d1"])
def test_every_weight_of_a_smaller_size_is_a_part_of_d2s(
    d2: tf_keras.Model, name: str, request: pytest.FixtureRequest
) -> None:
    network = request.getfixturevalue("d0") if name == "d0" else build(name)
    blank(network)
    slice_weights(d2, network)
    assert [weight.name for weight in network.weights if not np.isfinite(weight).all()] == []
    slices = mapping(d2, network)
    assert sorted(id(each.target) for each in slices) == sorted(id(weight) for weight in network.weights)
    assert len({id(each.source) for each in slices}) == len(slices), "no weight is used twice"
    for each in slices:
        np.testing.assert_array_equal(each.target, each.value())
    sources = {id(each.source) for each in slices}
    used = [id(layer.weights[0]) in sources for layer in d2.decoder.layers if layer.weights]
    assert used == sorted(used, reverse=True), "of the pyramid, whose cells follow each other, the first ones"


def test_the_most_important_channels_stay(d2: tf_keras.Model, d0: tf_keras.Model) -> None:
    block = next(layer for layer in d2.backbone.layers if getattr(layer, "_out_filters", 0) == 48)
    gamma = block._norm2.gamma
    for loud in ([3, 5, 7], [40, 41, 47]):
        gamma.assign(tf.tensor_scatter_nd_update(tf.ones([48]), [[i] for i in loud], [1e6, -1e6, 1e6]))
        kept = next(each.keeps[0] for each in mapping(d2, d0) if each.source is gamma)
        assert set(loud) <= set(kept)
        assert len(kept) == 40
        assert list(kept) == sorted(kept)


@pytest.mark.parametrize(
    ("larger", "smaller", "message"),
    [
        ("d0", "shallow", "2 blocks of a stage cannot be cut out of 1"),
        ("shallow", "d2", "46 BatchNormalization layers cannot be cut out of 30"),
    ],
)
def test_what_is_not_smaller_is_refused_before_anything_is_assigned(
    larger: str, smaller: str, message: str, request: pytest.FixtureRequest
) -> None:
    target = request.getfixturevalue(smaller)
    before = [weight.numpy() for weight in target.weights]
    with pytest.raises(SlicingError, match=message):
        slice_weights(request.getfixturevalue(larger), target)
    for now, then in zip(target.weights, before, strict=True):
        np.testing.assert_array_equal(now, then)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder where D2 is released, as far as choosing a start looks."""
    monkeypatch.chdir(tmp_path)
    release(tmp_path / "models", "efficientdet_d2")
    return tmp_path / "models"


def release(models: Path, name: str) -> None:
    folder = models / name
    folder.mkdir(parents=True)
    (folder / "saved_model.pb").touch()
    (folder / "model_card.json").write_text(json.dumps({"name": name}))


@pytest.mark.parametrize(
    ("name", "init", "start"),
    [
        ("d0", "auto", "sliced:models/efficientdet_d2"),
        ("d1", "auto", "sliced:models/efficientdet_d2"),
        ("d1", "sliced", "sliced:models/efficientdet_d2"),
        ("d1", "sliced:models/efficientdet_d2", "sliced:models/efficientdet_d2"),
        ("d2", "auto", "models/efficientdet_d2"),
        ("d3", "auto", "imagenet"),
    ],
)
def test_where_a_size_starts(models: Path, name: str, init: str, start: str) -> None:
    assert resolve_init(size(name, init=init)) == start


def test_a_size_is_cut_out_of_a_larger_one_not_of_its_own_release(models: Path) -> None:
    release(models, "efficientdet_d0")
    assert resolve_init(size("d0", init="sliced")) == "sliced:models/efficientdet_d2"
    assert resolve_init(size("d0")) == "models/efficientdet_d0"


def test_without_a_release_all_start_from_imagenet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve_init(size("d0")) == "imagenet"
    with pytest.raises(UserError, match=r"model\.init=sliced: efficientdet_d0 .* holds no detector"):
        resolve_init(size("d0", init="sliced"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone": "b3"}, "backbone is b2, not b3"),
        ({"filters": 160, "bifpn_cells": 6}, "filters is 112, not 160, bifpn_cells is 5, not 6"),
        ({"head_depth": 2}, "head_depth is 3, not 2"),
        ({}, r"models/efficientdet_d2 \(no larger\)"),
        ({"init": "sliced:elsewhere"}, "cannot be cut out of elsewhere .not a SavedModel folder"),
    ],
)
def test_what_cannot_be_cut_out_is_refused_by_name(
    models: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        resolve_init(size("d2", **{"init": "sliced", **changes}))


@pytest.mark.parametrize(
    ("init", "words"),
    [
        ("sliced:models/efficientdet_d2", "efficientdet_d2, sliced"),
        ("models/efficientdet_d2", "efficientdet_d2"),
        ("imagenet", "imagenet"),
    ],
)
def test_the_card_names_the_start(init: str, words: str) -> None:
    assert history._start(init) == words
