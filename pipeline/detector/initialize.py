"""Where a detector's weights start. Never silently random: every choice is named and logged."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf
import tf_keras

from pipeline.anonymize.detect.graph import SavedModelFile
from pipeline.config.compose import compose
from pipeline.config.paths import ROOT
from pipeline.config.schema import ModelConfig, TrainConfig
from pipeline.detector.backbone import load_published, port_weights
from pipeline.detector.experiment import EfficientDet, model_config
from pipeline.detector.slicing import slice_weights
from pipeline.errors import UserError
from pipeline.history import CARD

MODELS = Path(os.path.relpath(ROOT / "models"))  # no machine path in what a run records
SLICED = "sliced:"  # stands before the folder of the larger detector
log = logging.getLogger(__name__)


def resolve_init(model: ModelConfig) -> str:
    """Turns ``model.init`` into one of ``imagenet``, ``random``, a weights file, a SavedModel folder, or
    ``sliced:`` and the SavedModel folder of a larger detector.

    Raises:
        UserError: before heavy work, if the start that was asked for does not exist or does not fit, or if
            ``model.start_share`` asks for a mean with a start that is no whole detector.
    """
    init = _resolved(model)
    if model.start_share and (init in ("imagenet", "random") or init.endswith(".h5")):
        raise UserError(
            f"model.start_share: {model.start_share:g}, but the weights start from {init}; allowed: 0, or a "
            "model.init that is a whole detector"
        )
    return init


def _resolved(model: ModelConfig) -> str:
    init, released = model.init, MODELS / model.name
    if init == "auto":
        init = "released" if released.is_dir() else _sliced_or_imagenet(model)
    if init in ("imagenet", "random"):
        return init
    if init == "sliced":
        return _sliced(model, _releases())
    if init.startswith(SLICED):
        return _sliced(model, [Path(init.removeprefix(SLICED))])
    path = released if init == "released" else Path(init)
    if path.suffix == ".h5" and path.is_file():
        return str(path)
    if not (path / "saved_model.pb").is_file():
        raise UserError(
            f"model.init={model.init}: {path} is neither a backbone .h5 file nor a SavedModel folder; "
            "allowed: auto, released, imagenet, random, sliced, sliced:<SavedModel folder>, "
            "a file ending in .h5, or a SavedModel folder"
        )
    name = _name(path, model.name)
    if name != model.name:
        raise UserError(
            f"model.init={model.init}: that detector is {name}, but model.name is {model.name}; "
            f"a smaller one can be cut out of it with model.init={SLICED}{path}"
        )
    return str(path)


def _sliced_or_imagenet(model: ModelConfig) -> str:
    try:
        return _sliced(model, _releases())
    except UserError as error:
        log.info("%s; so the backbone starts from imagenet", error)
        return "imagenet"


def _sliced(model: ModelConfig, folders: Sequence[Path]) -> str:
    """``sliced:`` and the first folder with a detector that this one can be cut out of.

    Raises:
        UserError: none; the message says what is wrong with each.
    """
    problems = []
    for folder in folders:
        if not (problem := _misfit(model, folder)):
            return f"{SLICED}{folder}"
        problems.append(f"{folder} ({problem})")
    where = ", ".join(problems) or f"{MODELS}/, which holds no detector"
    raise UserError(f"model.init={model.init}: {model.name} cannot be cut out of {where}")


def _misfit(model: ModelConfig, folder: Path) -> str:
    """What keeps a detector from being cut out of the one in the folder; empty if nothing does."""
    if not (folder / "saved_model.pb").is_file():
        return "not a SavedModel folder"
    try:
        larger = _size(folder)
    except UserError as error:
        return f"of unknown size: {error}"
    needed = {"backbone": model.backbone, "filters": model.filters, "bifpn_cells": model.bifpn_cells}
    wrong = [name for name, value in needed.items() if getattr(larger, name) < value]
    # Heads must be equally deep: they have no residual path around a layer left out.
    wrong += ["head_depth"] * (larger.head_depth != model.head_depth)
    if not wrong and all(getattr(larger, name) == value for name, value in needed.items()):
        return "no larger"
    return ", ".join(f"{name} is {getattr(larger, name)}, not {getattr(model, name)}" for name in wrong)


def _releases() -> list[Path]:
    return sorted(path.parent for path in MODELS.glob("*/saved_model.pb"))


def _size(folder: Path) -> ModelConfig:
    """Of the detector in a folder: what ``conf/model/`` says under its name."""
    return compose(TrainConfig, "train", [f"model={_name(folder, folder.name)}"]).model


def config_of(folder: Path) -> ModelConfig:
    """What the detector in a folder was made of: its size, and what its graph says of its input and its
    suppression.

    Raises:
        UserError: the folder holds no detector of ours.
    """
    model = _size(folder)
    file = SavedModelFile.read(folder)
    model.input_size = file.input_shape("batched")[1]
    if suppression := file.suppression():
        model.nms_iou, model.max_detections = round(suppression.iou, 6), suppression.most
    return model


def _name(folder: Path, default: str) -> str:
    card = folder / CARD
    return str(json.loads(card.read_text())["name"]) if card.is_file() else default


def initialize(model: tf_keras.Model, config: EfficientDet, init: str) -> None:
    """Loads the starting weights into a freshly built detector.

    Args:
        init: as :func:`resolve_init` returns it. A backbone file or ``imagenet`` leaves pyramid and
            heads at their random start; a SavedModel, sliced or not, gives all of them.
    """
    if init == "random":
        log.warning("model.init=random: the detector starts from random weights, backbone included")
    elif init == "imagenet" or init.endswith(".h5"):
        model_id = config.backbone.get().model_id
        port_weights(load_published(model_id, init), model.backbone)
        log.info("backbone: EfficientNet-%s from %s", model_id.upper(), init)
    elif init.startswith(SLICED):
        folder = Path(init.removeprefix(SLICED))
        _cut_out(model, config, folder)
        log.info("detector: all weights cut out of the larger one in %s", folder)
    else:
        load_saved_model_weights(model, Path(init))
        log.info("detector: all weights from %s", init)


def _cut_out(model: tf_keras.Model, config: EfficientDet, folder: Path) -> None:
    from pipeline.detector.task import build_efficientdet  # which imports this module

    larger = build_efficientdet(model_config(_size(folder), config.num_classes))
    load_saved_model_weights(larger, folder)
    slice_weights(larger, model)


def load_saved_model_weights(model: tf_keras.Model, folder: Path) -> None:
    """Reads the weights back out of a SavedModel that :mod:`pipeline.export` wrote.

    Its ``variables`` are an ordinary checkpoint, with the network's variables in order as ``weights``.

    Raises:
        UserError: the folder holds another network.
    """
    try:
        checkpoint = tf.train.Checkpoint(weights=list(model.weights))
        status = checkpoint.read(str(folder / "variables" / "variables"))
        status.expect_partial().assert_existing_objects_matched()
    except (AssertionError, ValueError, tf.errors.OpError) as error:
        raise UserError(
            f"model.init={folder}: its weights do not fit this network: {str(error).splitlines()[0]}"
        ) from error
