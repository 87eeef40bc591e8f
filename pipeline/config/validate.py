"""Checks of a whole configuration before heavy work starts; imports no TensorFlow."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from enum import Enum
from typing import Any

from omegaconf import MISSING

from pipeline.config.fields import Field, find
from pipeline.config.paths import at_home, locate
from pipeline.config.schema import (
    DatasetConfig,
    DetectorConfig,
    ModelConfig,
    RedactConfig,
    SplitConfig,
    TrainConfig,
    TrainerConfig,
)
from pipeline.config.schema.base import COARSEST_STRIDE
from pipeline.errors import UserError

STARTS = ("auto", "released", "imagenet", "random", "sliced")


def validate(config: Any, unasked: Collection[str] = ()) -> None:
    """Check every field of a configuration against its bounds, then the fields against each other.

    Args:
        config: an instance of a dataclass of :mod:`pipeline.config.schema`, a whole one or a part.
        unasked: dotted names of fields that are not used, and may hold anything.

    Raises:
        UserError: names every wrong field with its value and what is allowed, one a line.
    """
    problems = list(_each_field(config, unasked)) or list(_across_fields(config))
    if problems:
        raise UserError("\n".join(problems))


def problem(path: str, given: Any, allowed: str, help: str = "") -> str:
    """One line that names the field, the value and what is allowed."""
    value = "no value given" if given in (MISSING, "") else _shown(given)
    return f"{path}: {value}; allowed: {allowed}" + (f" ({help})" if help else "")


def walk(config: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted path and value of every field below a configuration; mappings of sections are entered."""
    for entry in dataclasses.fields(config):
        value = getattr(config, entry.name)
        path = f"{prefix}{entry.name}"
        if dataclasses.is_dataclass(value):
            yield from walk(value, f"{path}.")
        elif isinstance(value, Mapping) and any(map(dataclasses.is_dataclass, value.values())):
            for name, part in value.items():
                yield from walk(part, f"{path}.{name}.")
        else:
            yield path, value


def _shown(value: Any) -> str:
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, list):
        return f"[{','.join(map(str, value))}]"
    if isinstance(value, float):
        return f"{value:g}"
    return repr(value) if isinstance(value, str) else str(value)


def _each_field(config: Any, unasked: Collection[str]) -> Iterator[str]:
    for path, value in walk(config):
        field = find(type(config), path) if path not in unasked else None
        if field and not _fits(field, value):
            yield problem(path, value, field.allowed, field.help)


def _fits(field: Field, value: Any) -> bool:
    if value is None:
        return field.optional
    if isinstance(field.default, Mapping) or field.is_list:
        if not isinstance(value, Mapping if isinstance(field.default, Mapping) else list):
            return False
        items = list(value.values()) if isinstance(value, Mapping) else value
        if not items and field.metadata.get("filled"):
            return False
        return all(_item_fits(field, item) for item in items)
    return _item_fits(field, value)


def _item_fits(field: Field, value: Any) -> bool:
    kind, bounds = field.item, field.metadata
    accepted = (int, float) if kind is float else kind
    if kind is not Any and (
        not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool)
    ):
        return False
    if value == MISSING or value not in bounds.get("choices", [value]):
        return False
    if value == "" and field.default != "":
        return False
    if isinstance(value, (int, float)):
        return _within(value, bounds)
    return _exists(value, bounds["path"]) if "path" in bounds else True


def _within(number: float, bounds: Mapping[str, Any]) -> bool:
    return (
        math.isfinite(number)
        and number >= bounds.get("low", -math.inf)
        and number <= bounds.get("high", math.inf)
        and number > bounds.get("above", -math.inf)
        and number < bounds.get("below", math.inf)
    )


def _exists(path: str, kind: str) -> bool:
    if kind == "savedmodel":
        return (locate(path) / "saved_model.pb").is_file()
    if kind == "file":
        return bool(path) and locate(path).is_file()
    return bool(path) and os.path.isdir(at_home(path))  # noqa: PTH112 - Path.is_dir raises for some


def _across_fields(config: Any, prefix: str = "") -> Iterator[str]:
    """What one section's fields demand of each other, for the section itself and all below it."""
    check = ACROSS.get(type(config))
    if check:
        yield from check(config, prefix)
    for entry in dataclasses.fields(config):
        section = getattr(config, entry.name)
        if dataclasses.is_dataclass(section):
            yield from _across_fields(section, f"{prefix}{entry.name}.")


def _split(config: SplitConfig, prefix: str) -> Iterator[str]:
    if config.test < 1 <= config.val + config.test:
        yield problem(f"{prefix}val", config.val, f"less than 1 - {prefix}test ({1 - config.test:g})")


def _dataset(config: DatasetConfig, prefix: str) -> Iterator[str]:
    if not config.sources:
        yield problem(f"{prefix}sources", "none", "at least one labelled set, such as dataset=sample")


def _model(config: ModelConfig, prefix: str) -> Iterator[str]:
    if config.input_size % COARSEST_STRIDE:
        yield problem(f"{prefix}input_size", config.input_size, f"a multiple of {COARSEST_STRIDE}")
    if config.init not in STARTS and not locate(config.init.removeprefix("sliced:")).exists():
        allowed = ", ".join(STARTS) + ", an existing .h5 file, a SavedModel folder, or sliced:FOLDER"
        yield problem(f"{prefix}init", config.init, allowed)


def _trainer(config: TrainerConfig, prefix: str) -> Iterator[str]:
    for name in ("image_size", "validation_size"):
        if getattr(config, name) % COARSEST_STRIDE:
            yield problem(f"{prefix}{name}", getattr(config, name), f"a multiple of {COARSEST_STRIDE}")


def _train(config: TrainConfig, prefix: str) -> Iterator[str]:
    stages = find(TrainConfig, "stages")
    order = list(stages.metadata["choices"]) if stages else []
    if not config.stages or sorted(set(config.stages), key=order.index) != config.stages:
        allowed = f"some of [{','.join(order)}], each once, in this order"
        yield problem(f"{prefix}stages", config.stages, allowed)
    if config.evaluation.model is not None:
        allowed = "nothing: train.py evaluates what it made; evaluate.py takes any model"
        yield problem(f"{prefix}evaluation.model", config.evaluation.model, allowed)


def _detector(config: DetectorConfig, prefix: str) -> Iterator[str]:
    review, score = config.review_threshold, config.score_threshold
    if review >= score and review != DetectorConfig.review_threshold:
        yield problem(f"{prefix}review_threshold", review, f"less than {prefix}score_threshold ({score:g})")


def _redact(config: RedactConfig, prefix: str) -> Iterator[str]:
    if len(config.colour) != 3:
        yield problem(f"{prefix}colour", config.colour, "three whole numbers [red,green,blue]")


ACROSS: dict[type, Callable[[Any, str], Iterator[str]]] = {
    SplitConfig: _split,
    DatasetConfig: _dataset,
    ModelConfig: _model,
    TrainerConfig: _trainer,
    TrainConfig: _train,
    DetectorConfig: _detector,
    RedactConfig: _redact,
}
