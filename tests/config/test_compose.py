"""The real files of conf/, composed."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml
from omegaconf import OmegaConf

from pipeline.config import schema
from pipeline.config.compose import compose, sweep, to_yaml
from pipeline.config.groups import groups_of, opening_comment
from pipeline.config.paths import CONF, ROOT, locate
from pipeline.config.schema import AnonymizeConfig, EvaluateConfig, TrainConfig
from pipeline.config.schema.runtimes import RuntimesConfig
from pipeline.config.schema.speed import SpeedConfig
from pipeline.config.schema.tiling import TilesConfig
from pipeline.errors import UserError

COMMANDS: dict[str, type] = {"train": TrainConfig, "anonymize": AnonymizeConfig, "evaluate": EvaluateConfig}
OPTIONS = [
    (command, group.name, option)
    for command in COMMANDS
    for group in groups_of(command).values()
    for option in group.options
]
ALL: dict[str, type] = COMMANDS | {
    "verify": schema.VerifyOutputConfig,
    "release": schema.ReleaseConfig,
    "calibrate": schema.CalibrateConfig,
    "compare": schema.CompareConfig,
    "consensus": schema.ConsensusConfig,
    "speed": SpeedConfig,
    "runtimes": RuntimesConfig,
    "tiles": TilesConfig,
}
# EfficientDet paper, table 1: the size of each model, but for what D0 and D2 see, as the released ones do.
SIZES = {
    "efficientdet_d0": ("b0", 640, 64, 3, 3),
    "efficientdet_d1": ("b1", 640, 88, 4, 3),
    "efficientdet_d2": ("b2", 768, 112, 5, 3),
    "efficientdet_d3": ("b3", 896, 160, 6, 4),
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "saved_model.pb").touch()
    return folder


@pytest.mark.parametrize(("command", "group", "option"), OPTIONS)
def test_every_option_of_every_group(command: str, group: str, option: str, model: Path) -> None:
    needed = {
        "anonymize": [f"data={model}", f"detector.model={model}"],
        "evaluate": [f"evaluation.model={model}"],
    }.get(command, [])
    try:
        compose(COMMANDS[command], command, [f"{group}={option}", *needed])
    except UserError as error:  # `dataset=custom` has values that only its user knows
        assert group == "dataset"
        assert all("no value given" in line for line in str(error).splitlines()), str(error)


@pytest.mark.parametrize("path", sorted(CONF.rglob("*.yaml")), ids=lambda path: str(path.relative_to(CONF)))
def test_every_file_says_its_command_first(path: Path) -> None:
    comment = opening_comment(path)
    assert len(comment) >= 2, f"{path} has no opening comment"
    assert any("python " in line or "make " in line for line in comment), f"{path} names no command"


@pytest.mark.parametrize("name", SIZES)
def test_models_have_the_sizes_of_the_paper(name: str) -> None:
    model = compose(TrainConfig, "train", [f"model={name}"]).model
    assert model.name == name
    assert SIZES[name] == (
        model.backbone,
        model.input_size,
        model.filters,
        model.bifpn_cells,
        model.head_depth,
    )


def test_data_sets_merge(tmp_path: Path) -> None:
    one = compose(TrainConfig, "train", ["dataset=facemask"]).dataset.sources
    both = compose(TrainConfig, "train", ["dataset=facemask,ilc2021"]).dataset.sources
    assert set(one) == {"facemask"}
    assert set(both) == {"facemask", "ilc2021"}
    assert both["facemask"] == one["facemask"]


def test_a_label_that_is_a_number_is_text() -> None:
    """As YOLO's class numbers are, where no file names the classes."""
    overrides = [
        "dataset=custom",
        "dataset.sources.custom.format=yolo",
        "dataset.sources.custom.label_map={0: FACE, with mask: drop}",
        "dataset.repeat={0: 2}",
    ]
    config = compose(TrainConfig, "train", overrides)
    assert config.dataset.sources["custom"].label_map == {"0": "FACE", "with mask": "drop"}
    assert config.dataset.repeat == {"0": 2}
    assert yaml.safe_load(to_yaml(config))["dataset"]["repeat"] == {"0": 2}


def test_a_sweep_composes_every_combination() -> None:
    jobs = sweep(
        TrainConfig, "train", ["model=efficientdet_d0,efficientdet_d2", "steps=10,20", "batch_size=2"]
    )
    assert [(config.model.name, config.trainer.steps, config.trainer.batch_size) for _, config in jobs] == [
        ("efficientdet_d0", 10, 2),
        ("efficientdet_d0", 20, 2),
        ("efficientdet_d2", 10, 2),
        ("efficientdet_d2", 20, 2),
    ]


def test_the_stored_configuration_gives_the_same_configuration() -> None:
    config = compose(TrainConfig, "train", ["steps=7", "runtime=mirrored"])
    again: Any = OmegaConf.merge(OmegaConf.structured(TrainConfig), OmegaConf.create(to_yaml(config)))
    assert OmegaConf.to_object(again) == config
    assert yaml.safe_load(to_yaml(config))["trainer"]["steps"] == 7


def test_the_stored_configuration_holds_no_password_and_the_live_one_does() -> None:
    config = compose(TrainConfig, "train", ["tracking.uri=http://me:p@ss@host:5000"])
    assert config.tracking.uri == "http://me:p@ss@host:5000"
    assert yaml.safe_load(to_yaml(config))["tracking"]["uri"] == "http://host:5000"


def test_the_shipped_model_is_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert locate("conf/train.yaml") == ROOT / "conf" / "train.yaml"
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "train.yaml").touch()
    assert locate("conf/train.yaml") == Path("conf/train.yaml")
    assert locate("absent") == Path("absent")


def test_every_command_is_known_here() -> None:
    assert set(ALL) == {path.stem for path in CONF.glob("*.yaml")}


@pytest.mark.parametrize("command", ALL)
def test_no_field_is_hidden_by_a_folder_of_conf(command: str) -> None:
    """Hydra would take `model=…` for a choice of conf/model/, whatever the command has of that name."""
    folders = {path.name for path in CONF.iterdir() if path.is_dir()}
    hidden = {entry.name for entry in dataclasses.fields(ALL[command]) if entry.name in folders}
    assert hidden <= set(groups_of(command))
