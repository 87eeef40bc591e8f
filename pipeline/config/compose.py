"""From overrides to checked configurations, by Hydra."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeVar, cast

import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pipeline.config.fields import find
from pipeline.config.overrides import Overrides
from pipeline.config.paths import CONF
from pipeline.config.plain import without_password
from pipeline.config.validate import problem, validate
from pipeline.errors import UserError

T = TypeVar("T")

OURS = (HydraException, OmegaConfBaseException, yaml.YAMLError)


def compose(schema: type[T], config_name: str, overrides: Sequence[str] = ()) -> T:
    """One configuration, checked.

    Args:
        schema: the dataclass of the configuration, such as ``TrainConfig``.
        config_name: a file of ``conf/`` without ``.yaml``.
        overrides: as on the command line, such as ``["trainer.steps=5", "dataset=facemask"]``.

    Raises:
        UserError: names each wrong field or option, the value and what is allowed.
    """
    read = Overrides(schema, config_name).read(overrides)
    with _hydra(schema, config_name):
        return _checked(schema, config_name, read)


def sweep(schema: type[T], config_name: str, overrides: Sequence[str]) -> list[tuple[list[str], T]]:
    """Every combination of a sweep: its overrides and its configuration, all checked before any starts."""
    read = Overrides(schema, config_name, sweep=True).read(overrides)
    with _hydra(schema, config_name):
        try:
            parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
            batches = BasicSweeper.split_arguments(parser.parse_overrides(read), max_batch_size=None)
        except HydraException as error:
            raise UserError(_plain(error)) from error
        return [(list(each), _checked(schema, config_name, each)) for each in batches[0]]


def defaults(schema: type, config_name: str) -> DictConfig:
    """What ``conf/`` gives without any override; neither complete nor checked."""
    with _hydra(schema, config_name):
        return hydra_compose(config_name=config_name)


def to_yaml(config: Any) -> str:
    """The whole resolved configuration, as it is stored beside what it made: without passwords."""
    return without_password(OmegaConf.to_yaml(OmegaConf.structured(config), resolve=True))


def _hydra(schema: type, config_name: str) -> initialize_config_dir:
    ConfigStore.instance().store(name=f"{config_name}_schema", node=schema)
    return initialize_config_dir(version_base="1.3", config_dir=str(CONF))


def _checked(schema: type[T], config_name: str, overrides: Sequence[str]) -> T:
    try:
        config = hydra_compose(config_name=config_name, overrides=list(overrides))
        if missing := sorted(OmegaConf.missing_keys(config)):
            raise UserError("\n".join(_missing(schema, path) for path in missing))
        result = OmegaConf.to_object(config)
    except OURS as error:
        raise UserError(_explained(schema, config_name, overrides, error)) from error
    validate(result)
    return cast(T, result)


def _missing(schema: type, path: str) -> str:
    field = find(schema, path)
    return problem(path, "", field.allowed, field.help) if field else f"{path}: no value given"


def _explained(schema: type, config_name: str, overrides: Sequence[str], error: BaseException) -> str:
    """Name field, value and what is allowed where the error tells which field it is."""
    cause: BaseException | None = error
    while cause and not getattr(cause, "full_key", None):
        cause = cause.__cause__
    path = re.sub(r"\[\d+\]", "", str(getattr(cause, "full_key", None) or ""))
    if field := find(schema, path):
        given = [override.split("=", 1)[1] for override in overrides if override.startswith(f"{path}=")]
        value = given[-1] if given else _value_in(str(cause))
        return f"{path}: {value or 'no value given'}; allowed: {field.allowed} ({field.help})"
    if absent := re.match(r"Error merging override \+*([\w.]+)", str(error)):
        return f"{absent[1]}: not there to be changed; allowed: names that the chosen options of conf/ define"
    if "." in path:
        return f"{path}: {Overrides(schema, config_name).unknown(path)}"
    return _plain(error)


def _value_in(message: str) -> str:
    found = re.search(r"[Vv]alue '(.*?)'", message)
    return repr(found[1]) if found else message.splitlines()[0]


def _plain(error: BaseException) -> str:
    """Hydra's own message in one line, without what only its developers need."""
    text = str(error).split("Config search path:")[0]
    noise = ("full_key:", "object_type=", "reference_type=", "See ")
    lines = [line.strip() for line in text.splitlines()]
    return " ".join(line for line in lines if line and not line.startswith(noise))
