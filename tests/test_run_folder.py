"""Which run a command belongs to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.config.compose import compose
from pipeline.config.schema import TrainConfig
from pipeline.data.version import DatasetVersion
from pipeline.errors import UserError
from pipeline.run_folder import keep_config, run_name

VERSION = DatasetVersion(Path("versions/set"), "set", "f" * 64, {}, {}, {}, {})


def config(*overrides: str) -> TrainConfig:
    return compose(TrainConfig, "train", ["model.init=random", *overrides])


@pytest.mark.parametrize(
    ("overrides", "same"),
    [
        ([], True),
        (["runtime.threads=1"], True),  # how fast, not what
        (["tracking=off"], True),
        (["trainer.steps=7"], False),
        (["trainer.seed=7"], False),
        (["augment=none"], False),
        (["model=efficientdet_d0"], False),
    ],
)
def test_a_run_is_named_after_what_shapes_its_weights(overrides: list[str], same: bool) -> None:
    assert (run_name(config(*overrides), VERSION) == run_name(config(), VERSION)) is same


def test_a_start_is_known_by_its_content(tmp_path: Path) -> None:
    weights = tmp_path / "backbone.h5"
    weights.write_bytes(b"one")
    before = run_name(config(f"model.init={weights}"), VERSION)
    weights.write_bytes(b"two")
    assert run_name(config(f"model.init={weights}"), VERSION) != before


def test_another_start_in_the_same_place_is_told_from_another_place(tmp_path: Path) -> None:
    weights = tmp_path / "backbone.h5"
    weights.write_bytes(b"one")
    keep_config(config("run=mine", f"model.init={weights}"), VERSION, tmp_path / "mine")
    weights.write_bytes(b"two")
    with pytest.raises(UserError, match=r"other values of model\.init \(what the start holds"):
        keep_config(config("run=mine", f"model.init={weights}"), VERSION, tmp_path / "mine")


def test_a_named_run_goes_on_with_more_steps_and_with_nothing_else(tmp_path: Path) -> None:
    keep_config(config("run=mine"), VERSION, tmp_path / "mine")
    keep_config(config("run=mine", "trainer.steps=9999"), VERSION, tmp_path / "mine")
    assert "9999" in (tmp_path / "mine" / "config.yaml").read_text()
    with pytest.raises(UserError, match=r"run: mine exists with other values of trainer\.learning_rate"):
        keep_config(config("run=mine", "trainer.learning_rate=0.5"), VERSION, tmp_path / "mine")
    assert "learning_rate: 0.5" not in (tmp_path / "mine" / "config.yaml").read_text()


def test_a_password_is_not_kept_and_the_same_command_goes_on(tmp_path: Path) -> None:
    mine = ("run=mine", "tracking.uri=http://me:secret@host")
    for _ in range(2):
        keep_config(config(*mine), VERSION, tmp_path)
        assert not any("secret" in path.read_text() for path in tmp_path.iterdir())


def test_a_run_from_before_a_field_existed_goes_on_with_its_default(tmp_path: Path) -> None:
    keep_config(config("run=mine"), VERSION, tmp_path)
    identity = json.loads((tmp_path / "identity.json").read_text())
    del identity["trainer.l2"]
    (tmp_path / "identity.json").write_text(json.dumps(identity))
    keep_config(config("run=mine", "trainer.l2=0"), VERSION, tmp_path)
    (tmp_path / "identity.json").write_text(json.dumps(identity))
    with pytest.raises(UserError, match=r"other values of trainer\.l2"):
        keep_config(config("run=mine", "trainer.l2=0.1"), VERSION, tmp_path)
