"""What a user types, as Hydra is given it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config.compose import defaults
from pipeline.config.overrides import Overrides
from pipeline.config.schema import AnonymizeConfig, EvaluationConfig, ReleaseConfig, TrainConfig
from pipeline.errors import UserError

TRAIN = Overrides(TrainConfig, "train")
ANONYMIZE = Overrides(AnonymizeConfig, "anonymize")


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("trainer.steps=5", "trainer.steps=5"),
        ("steps=5", "trainer.steps=5"),
        ("split.val=0.2", "dataset.split.val=0.2"),
        ("dataset=sample", "dataset=[sample]"),
        ("dataset=[sample]", "dataset=[sample]"),
        ("stages=prepare,train", "stages=[prepare,train]"),
        ("stages=[prepare]", "stages=[prepare]"),
        ("--trainer.steps=5", "trainer.steps=5"),
        ("--mixed-precision", "trainer.mixed_precision=true"),
        ("trainer.eval-every=5", None),
        ("dataset.root=my photos", "dataset.root='my photos'"),
        ("dataset.root=null", "dataset.root=null"),
        ("dataset.root='already quoted'", "dataset.root='already quoted'"),
        ("dataset.sources.sample.label_map.hat=drop", "++dataset.sources.sample.label_map.hat='drop'"),
        ("dataset.repeat={without_mask: 2}", "++dataset.repeat={without_mask: 2}"),
        ("model=efficientdet_d1", "model=efficientdet_d1"),
    ],
)
def test_train(typed: str, read: str | None) -> None:
    if read is None:
        with pytest.raises(UserError):
            TRAIN.read([typed])
    else:
        assert TRAIN.read([typed]) == [read]


def test_a_list_of_overrides_needs_no_quotes() -> None:
    release = Overrides(ReleaseConfig, "release")
    wanted = "release.common=['dataset=[a,b]','split.val=0.1']"
    assert release.read(["common=[dataset=[a,b], split.val=0.1]"]) == [wanted]
    assert release.read(["common=split.val=0.1"]) == ["release.common=['split.val=0.1']"]
    quoted = """release.common=["a=1"]"""
    assert release.read([quoted, "accept=[a/b,c]"]) == [quoted, "release.accept=[a/b,c]"]


def test_anonymize_short_names() -> None:
    """verify.score_threshold has the same last name; the detector's is meant."""
    assert ANONYMIZE.read(["score_threshold=0.3"]) == ["detector.score_threshold=0.3"]
    assert ANONYMIZE.read(["model=m"]) == ["detector.model='m'"]
    assert ANONYMIZE.read(["--dry-run"]) == ["dry_run=true"]


def test_a_name_with_several_owners_is_refused_and_lists_them() -> None:
    with pytest.raises(UserError, match=r"dataset\.split\.seed=3(.|\n)*trainer\.seed=3"):
        TRAIN.read(["seed=3"])


def test_a_sweep_keeps_its_commas() -> None:
    sweep = Overrides(TrainConfig, "train", sweep=True)
    assert sweep.read(["run=a,b", "dataset=[sample],sample"]) == ["run=a,b", "dataset=[sample],sample"]
    assert sweep.read(["steps=range(1,3)"]) == ["trainer.steps=range(1,3)"]
    assert sweep.read(["dataset.root=my photos"]) == ["dataset.root='my photos'"]


def test_groups_are_those_of_the_command() -> None:
    assert set(ANONYMIZE.groups) == {"redact"}
    assert TRAIN.groups["dataset"].several and TRAIN.groups["dataset"].default == ("sample",)


FOLDER = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=40)


@settings(max_examples=60, deadline=None)
@given(FOLDER.filter(lambda name: name[0] not in "'\"" and "${" not in name and name != "null"))
def test_any_folder_name_arrives_as_typed(name: str) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    [read] = ANONYMIZE.read([f"data={name}"])
    override = OverridesParser.create().parse_override(read)
    assert override.key_or_group == "data"
    assert override.value() == name


def test_defaults_of_the_schema_are_kept_where_conf_says_nothing() -> None:
    assert defaults(TrainConfig, "train").evaluation.iou == EvaluationConfig().iou
