"""A recipe as the trainings that it stands for; the recipes that ship are among them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.config.compose import compose, to_yaml
from pipeline.config.paths import CONF
from pipeline.config.schema import ReleaseConfig, StageConfig, TrainConfig
from pipeline.errors import UserError
from pipeline.release.recipe import check, trainings


def config(tmp_path: Path, *overrides: str, recipe: str = "sample") -> ReleaseConfig:
    places = [f"outputs={tmp_path}", "tracking=off"]
    return compose(ReleaseConfig, "release", [f"release={recipe}", *places, *overrides])


@pytest.mark.parametrize("recipe", sorted(path.stem for path in (CONF / "release").glob("*.yaml")))
def test_every_recipe_that_ships_is_configured_as_it_should(recipe: str, tmp_path: Path) -> None:
    check(config(tmp_path, recipe=recipe))


def test_each_training_starts_from_what_the_one_before_made(tmp_path: Path) -> None:
    steps = trainings(config(tmp_path, "release.final=[model.input_size=256]"))
    first = next(steps)
    assert (first.run, first.model.init, first.stages[-1]) == ("sample-one", "random", "export")
    assert (first.model.input_size, first.tracking.enabled, first.outputs) == (128, False, str(tmp_path))
    made = tmp_path / "sample-one" / "efficientdet_d0"
    made.mkdir(parents=True)
    second = next(steps)
    assert (second.run, second.model.init, second.stages[-1]) == ("sample-two", str(made), "calibrate")
    assert (second.model.input_size, second.trainer.steps) == (256, 2)
    assert next(steps, None) is None


def test_a_finished_run_keeps_its_values_but_for_the_last_ones(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    values = [
        "model=efficientdet_d1",
        "model.init=random",
        "trainer.steps=77",
        "tracking.uri=http://me:pw@one",
    ]
    stored = to_yaml(compose(TrainConfig, "train", values))
    (folder / "config.yaml").write_text(stored.replace("  nms_iou: 0.5\n", ""))  # a value that came later
    (folder / "training.json").write_text(json.dumps({}))
    asked = config(tmp_path, "release.run=mine", "release.final=[evaluation.runtime=openvino]")
    asked.tracking.uri = "http://me:pw@two"
    (only,) = trainings(asked)
    assert (only.model.name, only.trainer.steps, only.run) == ("efficientdet_d1", 77, "mine")
    assert (only.evaluation.runtime, only.model.nms_iou, only.stages[-1]) == ("openvino", 0.5, "calibrate")
    assert only.tracking == asked.tracking, "a run keeps no password: the release says where it is tracked"
    for wrong in ("evaluation.runtime=abacus", "evaluation.nothing=1"):
        asked.release.final = [wrong]
        with pytest.raises(UserError, match=r"evaluation\.(runtime|nothing)|nothing"):
            list(trainings(asked))


def test_what_is_wrong_is_said_before_the_first_training(tmp_path: Path) -> None:
    asked = config(tmp_path)
    asked.release.stages["sample-three"] = StageConfig(["trainer.step=1"])
    with pytest.raises(UserError, match=r"release\.stages\.sample-three: .*trainer\.step"):
        check(asked)
    asked.release.stages = {}
    with pytest.raises(UserError, match=r"release\.stages: none; allowed"):
        check(asked)
    with pytest.raises(UserError, match=r"release\.run: .*nowhere holds no finished training"):
        list(trainings(config(tmp_path, "release.run=nowhere")))
