"""Bounds of single fields and rules across fields."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import schema
from pipeline.config.fields import fields_of, find
from pipeline.config.paths import locate
from pipeline.config.validate import validate
from pipeline.errors import UserError

CONFIGS = [schema.TrainConfig, schema.AnonymizeConfig]


@pytest.mark.parametrize(
    ("part", "field", "value", "message"),
    [
        (schema.SplitConfig, "val", 0.0, None),
        (schema.SplitConfig, "val", 1.0, "val: 1; allowed: a number at least 0 and below 1"),
        (schema.SplitConfig, "val", 0.9, r"val: 0.9; allowed: less than 1 - test \(0.8\)"),
        (schema.SplitConfig, "val", float("nan"), "val: nan"),
        (schema.SplitConfig, "seed", True, "seed: True; allowed: a whole number at least 0"),
        (schema.SplitConfig, "seed", 1.5, "seed: 1.5"),
        (schema.SplitConfig, "seed", None, "seed: None"),
        (schema.RedactConfig, "top_fraction", 1, None),
        (
            schema.RedactConfig,
            "top_fraction",
            0.0,
            "top_fraction: 0; allowed: a number above 0 and at most 1",
        ),
        (schema.RedactConfig, "top_fraction", float("inf"), "top_fraction: inf"),
        (schema.RedactConfig, "method", "blur", "method: 'blur'; allowed: one of blur, pixelate"),
        (schema.RedactConfig, "colour", [0, 0], r"colour: \[0,0\]; allowed: three"),
        (
            schema.RedactConfig,
            "colour",
            [0, 0, 256],
            "colour: .*a list in brackets, each a whole number from",
        ),
        (schema.RedactConfig, "colour", (0, 0, 0), "colour: "),
        (schema.VerifyConfig, "rotations", [90, 270], None),
        (schema.VerifyConfig, "rotations", [45], "rotations: .*one of 0, 90, 180, 270"),
        (schema.VerifyConfig, "scales", [1.0, 0], "scales"),
        (schema.DetectorConfig, "score_threshold", 0.05, None),
        (
            schema.DetectorConfig,
            "score_threshold",
            0.04,
            "score_threshold: 0.04; allowed: a number at least 0.05",
        ),
        (
            schema.DetectorConfig,
            "review_threshold",
            0.04,
            "review_threshold: 0.04; allowed: a number at least",
        ),
        (
            schema.DetectorConfig,
            "review_threshold",
            0.5,
            r"review_threshold: 0.5; allowed: less than score_.*0.5",
        ),
        (
            schema.VerifyConfig,
            "score_threshold",
            0.04,
            "score_threshold: 0.04; allowed: a number at least 0.05",
        ),
        (
            schema.LimitsConfig,
            "max_total_megapixels",
            0,
            "max_total_megapixels: 0; allowed: a number above 0",
        ),
        (schema.EvaluationConfig, "split", "all", None),
        (schema.EvaluationConfig, "split", "training", "one of train, val, test, all"),
        (schema.EvaluationConfig, "model", "no/such/model", "model: 'no/such/model'; allowed: a SavedModel"),
        (
            schema.DatasetConfig,
            "root",
            "no/such/folder",
            "root: 'no/such/folder'; allowed: an existing folder",
        ),
    ],
)
def test_one_section(tmp_path: Path, part: type, field: str, value: Any, message: str | None) -> None:
    config = part(model=str(tmp_path)) if part is schema.DetectorConfig else part()
    (tmp_path / "saved_model.pb").touch()
    if part is schema.DatasetConfig:
        config.sources = {"a": schema.SourceConfig(format=schema.Format.voc)}
    setattr(config, field, value)
    if message is None:
        validate(config)
    else:
        with pytest.raises(UserError, match=message):
            validate(config)


def test_every_wrong_field_is_named(tmp_path: Path) -> None:
    config = schema.AnonymizeConfig(data=str(tmp_path / "absent"))
    config.redact.top_fraction = 0.0
    with pytest.raises(UserError) as caught:
        validate(config)
    lines = str(caught.value).splitlines()
    assert [line.split(":")[0] for line in lines if not line.startswith("detector.model")] == [
        "data",
        "redact.top_fraction",
    ]


def test_what_is_not_used_is_not_asked() -> None:
    config = schema.DetectorConfig(model="no/such/model", score_threshold=5)
    with pytest.raises(UserError) as caught:
        validate(config, unasked=("model",))
    assert str(caught.value).startswith("score_threshold: 5; allowed") and "model" not in str(caught.value)


def test_the_home_folder_may_be_written_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "saved_model.pb").touch()
    detector = schema.DetectorConfig(model="~/photos")
    validate(schema.AnonymizeConfig(data="~/photos", detector=detector))
    assert locate("~/photos") == tmp_path / "photos"


def test_entries_of_a_mapping_are_checked() -> None:
    broken = schema.SourceConfig(format=schema.Format.voc, root="no/such/folder")
    with pytest.raises(UserError, match=r"sources\.mine\.root: 'no/such/folder'"):
        validate(schema.DatasetConfig(sources={"mine": broken}))


@pytest.mark.parametrize("config", CONFIGS)
def test_every_field_says_what_it_is_and_has_a_default_within_its_bounds(config: type) -> None:
    names = {field.name for field in dataclasses.fields(schema.DatasetConfig)}
    for field in fields_of(config):
        assert field.help, field.path
        assert find(config, field.path.replace("<name>", "any")) == field
        low, high = field.metadata.get("low"), field.metadata.get("high")
        if isinstance(field.default, (int, float)):
            assert low is None or field.default >= low, field.path
            assert high is None or field.default <= high, field.path
    assert {"root", "sources", "split"} <= names
