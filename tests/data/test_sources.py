"""Where a set is looked for, and the shipped configurations of sets."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.config.compose import compose
from pipeline.config.schema import DatasetConfig, Format, SourceConfig, TrainConfig
from pipeline.data.merge import check_map
from pipeline.data.sources import locate
from pipeline.errors import UserError

SETS = ["sample", "facemask", "ilc2021", "adityap237", "humans_in_the_loop", "custom", "wider"]


def config(base: Path | None, *names: str, **fields: object) -> DatasetConfig:
    sources = {name: SourceConfig(format=Format.voc, folder=name, **fields) for name in names}  # type: ignore[arg-type]
    return DatasetConfig(root=None if base is None else str(base), sources=sources)


def find(name: str, dataset: DatasetConfig) -> Path:
    return locate(name, dataset.sources[name], dataset).folder


def test_the_sets_own_root_wins_then_the_folder_below_the_root_then_the_root(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    assert find("one", config(tmp_path, "one")) == tmp_path / "one"
    assert find("one", config(tmp_path, "one", root=str(tmp_path / "one"))) == tmp_path / "one"
    assert find("two", config(tmp_path, "two")) == tmp_path
    assert find("one", config(tmp_path, "one", "two")) == tmp_path / "one"


def test_a_folder_may_have_the_sets_name_instead(tmp_path: Path) -> None:
    (tmp_path / "facemask").mkdir()
    dataset = compose(
        TrainConfig, "train", ["dataset=[facemask,ilc2021]", f"dataset.root={tmp_path}"]
    ).dataset
    assert dataset.sources["facemask"].folder != "facemask"
    assert find("facemask", dataset) == tmp_path / "facemask"


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (config(Path("nowhere"), "one"), "dataset.root=nowhere: no such folder"),
        (config(Path("~nobody-here"), "one"), "dataset.root=~nobody-here: no such folder"),
        (config(None, "one", root="nowhere"), "dataset.sources.one.root=nowhere: no such folder"),
        (config(None, "one"), "dataset.sources.one.root is not set; allowed: the folder of the set"),
        (config(Path(), "one", "two"), r"dataset.root=\.: it holds no folder 'one' for the set 'one'"),
        (
            config(Path(), "sample", generate=True),
            "the set 'sample' is made here and is read from nowhere",
        ),
    ],
)
def test_what_is_not_found_is_named(
    dataset: DatasetConfig, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        find(next(iter(dataset.sources)), dataset)


def test_without_a_network_the_download_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The real client, sent to a proxy that is not there."""
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("KAGGLEHUB_CACHE", str(tmp_path))
    sets = ["dataset=[facemask,ilc2021]", f"dataset.root={tmp_path}"]
    dataset = compose(TrainConfig, "train", sets).dataset
    with pytest.raises(UserError) as error:
        find("facemask", dataset)
    assert f"dataset.root={tmp_path} holds no folder 'facemask853' for facemask" in caplog.text
    message = str(error.value)
    assert "Kaggle cannot be reached from here" in message
    for way in (
        "1. Download it in a browser from https://www.kaggle.com/datasets/andrewmvd/face-mask-detection",
        "dataset.root=<folder>",
        "HTTPS_PROXY",
        "dataset=sample",
        "dataset=custom",
    ):
        assert way in message


@pytest.mark.parametrize("name", SETS)
def test_every_shipped_set_has_a_card_and_a_sound_map(name: str, root: Path) -> None:
    extra = ["dataset.sources.custom.format=yolo"] if name == "custom" else []
    dataset = compose(TrainConfig, "train", [f"dataset={name}", *extra]).dataset
    assert list(dataset.sources) == [name]
    check_map(name, dataset.sources[name].label_map)
    card = (root / "datasets" / name / "README.md").read_text()
    assert name == "custom" or all(label in card for label in dataset.sources[name].label_map)


def test_of_the_humans_in_the_loop_labels_only_faces_are_faces() -> None:
    dataset = compose(TrainConfig, "train", ["dataset=humans_in_the_loop"]).dataset
    label_map = dataset.sources["humans_in_the_loop"].label_map
    faces = {label for label, target in label_map.items() if target == "FACE"}
    assert faces == {"face_with_mask", "face_no_mask", "face_with_mask_incorrect", "face_other_covering"}
    assert len(label_map) == 20


def test_sets_combine() -> None:
    dataset = compose(TrainConfig, "train", ["dataset=[facemask,ilc2021,wider]"]).dataset
    assert list(dataset.sources) == ["facemask", "ilc2021", "wider"]
    assert [source.test_only for source in dataset.sources.values()] == [False, False, True]
