"""A run's folder: its name, its settings, and whether they are those of the run that is there."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from pipeline.anonymize.detect import model_digest
from pipeline.config.compose import to_yaml
from pipeline.config.fields import find
from pipeline.config.plain import plain
from pipeline.config.schema import TrainConfig
from pipeline.data.version import DatasetVersion
from pipeline.errors import UserError

IDENTITY = "identity.json"
EXPORT_ONLY = ("input_size", "start_share", "max_detections", "nms_iou")
"""Fields of the model that no training depends on."""


def keep_config(config: TrainConfig, version: DatasetVersion, folder: Path) -> None:
    """Next to what it will make, before heavy work starts.

    Raises:
        UserError: the folder is of a run with other settings. More steps are no other settings, the run
            goes on from where it is; nor is another export.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kept, mine = folder / IDENTITY, _identity(config, version)
    theirs = json.loads(kept.read_text()) if kept.is_file() else mine
    if different := sorted(name for name in mine if theirs.get(name, _default(name)) != mine[name]):
        raise UserError(
            f"run: {folder.name} exists with other values of {', '.join(map(_spoken, different))}; "
            f"allowed: a new name, or the settings in {folder / 'config.yaml'} (but for trainer.steps)"
        )
    kept.write_text(json.dumps(mine, indent=1))
    (folder / "config.yaml").write_text(to_yaml(config), encoding="utf-8")


def _spoken(name: str) -> str:
    """The setting of the start says nothing when another detector lies where the run's start lay."""
    return f"{name} (what the start holds, not only where it lies)" if name == "model.init" else name


def _default(name: str) -> Any:
    """Of a field that did not exist when the run was made: its default changes nothing."""
    field = find(TrainConfig, name)
    return plain(field.default) if field else None


def _start_digest(init: str) -> str:
    """What the start holds, not where it lies: a new release under an old name makes a new run."""
    path = Path(init.removeprefix("sliced:"))
    if path.is_dir():
        return init.removesuffix(str(path)) + model_digest(path)
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else init


def run_name(config: TrainConfig, version: DatasetVersion) -> str:
    """``config.run``, or one made of everything that shapes the weights: the same command, the same run."""
    if config.run:
        return config.run
    export = [getattr(config.model, name) for name in EXPORT_ONLY]
    identity = [_identity(config, version), config.trainer.steps, export]
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    return f"{config.model.name}-{version.name}-{digest[:8]}"


def _identity(config: TrainConfig, version: DatasetVersion) -> dict[str, Any]:
    """Everything that shapes the weights, but for the number of steps."""
    weights = {name: each for name, each in plain(config.model).items() if name not in EXPORT_ONLY}
    sections = {"model": weights, "augment": plain(config.augment), "trainer": plain(config.trainer)}
    values = {f"{name}.{key}": each for name, part in sections.items() for key, each in part.items()}
    del values["trainer.steps"]
    return {"dataset": version.fingerprint, **values, "model.init": _start_digest(config.model.init)}
