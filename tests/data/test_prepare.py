"""From a folder to a version by the function that the commands call."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.config.schema import DatasetConfig, Format, GrowConfig
from pipeline.data.prepare import prepare
from pipeline.data.version import DatasetVersion, picture_path
from pipeline.errors import UserError

Configure = Callable[..., DatasetConfig]


def digest(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def sides(version: DatasetVersion) -> dict[str, str]:
    """Content of each picture → its split."""
    return {
        image["sha256"]: split
        for split in version.counts
        for image in json.loads(version.coco(split).read_text())["images"]
    }


def test_a_version_holds_what_it_says(voc_set: Any, configure: Configure) -> None:
    before = digest(voc_set.folder)
    version = prepare(configure(voc_set.folder))
    assert version.counts == {"train": 6, "val": 3, "test": 3}
    assert version.boxes == {"train": 12, "val": 6, "test": 6}
    assert version.labels["after"] == {"tiny": {"face": 12, "mask": 12}}
    assert {path.name for path in version.folder.iterdir()} >= {
        "train.json", "val.json", "test.json", "report.json", "report.md", "labels.png", "version.json",
        "train-00000-of-00002.tfrecord", "train-00001-of-00002.tfrecord",
    }  # fmt: skip
    document = json.loads(version.coco("test").read_text())
    assert document["categories"] == [{"id": 1, "name": "FACE"}]
    image = document["images"][0]
    assert picture_path(version.coco("test"), image).read_bytes()
    mine = [a for a in document["annotations"] if a["image_id"] == image["id"]]
    assert [(a["bbox"], a["source_label"], a["source"], a["category_id"]) for a in mine] == [
        ([5, 6, 20, 24], "face", "tiny", 1),
        ([30, 10, 20, 30], "mask", "tiny", 1),
    ]
    assert DatasetVersion.load(version.folder) == version
    assert digest(voc_set.folder) == before


def test_a_set_that_draws_its_boxes_otherwise(voc_set: Any, configure: Configure) -> None:
    """Another version, of the same split, that says so."""
    config = configure(voc_set.folder)
    drawn = prepare(config)
    config.sources["tiny"].grow = {"face": GrowConfig(left=0.1, bottom=-0.25)}
    evened = prepare(config)
    assert evened.fingerprint != drawn.fingerprint and sides(evened) == sides(drawn)
    assert evened.notes == (
        "sides of boxes of face in tiny are moved: left +0.1, bottom -0.25; shares of it, + is outwards",
    )
    first, second = (json.loads(each.coco("test").read_text())["annotations"][0] for each in (drawn, evened))
    assert first["bbox"] == [5, 6, 20, 24] and second["bbox"] == [3, 6, 22, 18]


def test_the_same_input_is_not_prepared_again_and_makes_the_same_bytes(
    voc_set: Any, configure: Configure, tmp_path: Path
) -> None:
    config = configure(voc_set.folder)
    version = prepare(config)
    first = digest(version.folder)
    (version.folder / "report.md").write_text("left alone")
    assert prepare(config) == version
    assert (version.folder / "report.md").read_text() == "left alone"
    shutil.rmtree(version.folder)
    assert digest(prepare(config).folder) == first
    assert [path.name for path in (tmp_path / "versions").iterdir()] == [version.folder.name]


def test_a_moved_set_is_the_same_version_and_its_pictures_are_found(
    voc_set: Any, configure: Configure, tmp_path: Path
) -> None:
    version = prepare(configure(voc_set.folder))
    moved = tmp_path / "elsewhere"
    voc_set.folder.rename(moved)
    again = prepare(configure(moved))
    assert (again.folder, again.fingerprint) == (version.folder, version.fingerprint)
    image = json.loads(again.coco("train").read_text())["images"][0]
    assert again.picture_path(image).is_relative_to(moved)
    assert again.picture_path(image).is_file()


def test_names_and_their_order_do_not_change_the_split(voc_set: Any, configure: Configure) -> None:
    original = prepare(configure(voc_set.folder))
    for number, path in enumerate(sorted((voc_set.folder / "images").iterdir(), reverse=True)):
        label = voc_set.folder / "annotations" / f"{path.stem}.xml"
        path.rename(path.with_name(f"z{number:02}.jpg"))
        label.rename(label.with_name(f"z{number:02}.xml"))
    renamed = prepare(configure(voc_set.folder))
    assert renamed.fingerprint != original.fingerprint
    assert sides(renamed) == sides(original)


@pytest.mark.parametrize("change", ["label", "picture", "map", "seed"])
def test_a_changed_input_is_another_version(voc_set: Any, configure: Configure, change: str) -> None:
    version = prepare(configure(voc_set.folder))
    config = configure(voc_set.folder)
    if change == "label":
        voc_set.voc("p00", [("face", (5, 6, 25, 31))])
    elif change == "picture":
        voc_set.add("p00.jpg", seed=99)
    elif change == "map":
        config.sources["tiny"].label_map = {"face": "FACE", "mask": "drop"}
    else:
        config.split.seed = 1
    other = prepare(config)
    assert other.fingerprint != version.fingerprint
    assert other.folder != version.folder
    if change == "map":
        assert sum(other.boxes.values()) == 12


def test_the_report_names_every_finding_and_its_effect(
    voc_set: Any, configure: Configure, capsys: pytest.CaptureFixture[str]
) -> None:
    images = voc_set.folder / "images"
    (images / "p01.jpg").write_bytes(b"broken")
    (images / "p02.jpg").unlink()
    shutil.copy(images / "p03.jpg", images / "p03_copy.jpg")
    voc_set.add("p00_small.jpg", seed=0, size=(56, 42))  # a near-duplicate of p00
    voc_set.add("unlabelled.jpg", seed=50)
    voc_set.voc("p00_small", [("face", (5, 5, 20, 20))], size=(56, 42))
    voc_set.voc("p03_copy", [("face", (5, 6, 25, 30))])
    voc_set.voc("p04", [("face", (5, 6, 25, 30)), ("mask", (50, 40, 80, 60)), ("hat", (1, 1, 9, 9))])
    voc_set.voc("p05", [("face", (25, 30, 5, 6)), ("mask", (9, 9, 9, 20))])
    config = configure(voc_set.folder, label_map={"face": "FACE", "mask": "FACE", "hat": "drop"})
    version = prepare(config)
    report = json.loads((version.folder / "report.json").read_text())
    found = {(f["kind"], f["name"], f["effect"]) for f in report["findings"]}
    assert found == {
        ("unreadable image", "images/p01.jpg", "picture left out"),
        ("label without image", "annotations/p02.xml", "label left out"),
        ("duplicate", "images/p03_copy.jpg", "picture left out"),
        ("box outside", "images/p04.jpg", "box clipped to the picture"),
        ("box inverted", "images/p05.jpg", "corners swapped"),
        ("box empty", "images/p05.jpg", "box left out"),
        (
            "image without label",
            "images/unlabelled.jpg",
            "picture left out (it may show faces that nobody marked)",
        ),
        ("near-duplicate", found_name(found, "near-duplicate"), "kept, on the same side of the split"),
    }
    assert found_name(found, "near-duplicate") in ("images/p00.jpg", "images/p00_small.jpg")
    assert report["labels"] == [
        {"source": "tiny", "label": "face", "target": "FACE", "read": 13, "in version": 11},
        {"source": "tiny", "label": "mask", "target": "FACE", "read": 11, "in version": 9},
        {"source": "tiny", "label": "hat", "target": "drop", "read": 1, "in version": 0},
    ]
    markdown = (version.folder / "report.md").read_text()
    shown = " ".join(capsys.readouterr().out.split())
    for kind, name, _ in found:
        assert f"| {name} |" in markdown
        assert f"### {kind} (1)" in markdown
        assert kind in shown
    images_of = {split: json.loads(version.coco(split).read_text())["images"] for split in version.counts}
    near = {s for s, images in images_of.items() for i in images if i["name"].startswith("images/p00")}
    assert len(near) == 1


def test_a_picture_whose_name_is_no_text_is_left_out_and_named(voc_set: Any, configure: Configure) -> None:
    """Old archives unpack to such names; what lists the pictures, from train.json on, is UTF-8."""
    for stem in ("p00", "p01"):
        name = os.fsdecode(b"caf\xe9" + stem.encode())
        (voc_set.folder / "images" / f"{stem}.jpg").rename(voc_set.folder / "images" / f"{name}.jpg")
    label = voc_set.folder / "annotations" / "p00.xml"
    label.rename(label.with_name(os.fsdecode(b"caf\xe9p00.xml")))
    version = prepare(configure(voc_set.folder))
    assert sum(version.counts.values()) == 10
    report = json.loads((version.folder / "report.json").read_text())
    assert [(f["kind"], os.fsencode(f["name"])) for f in report["findings"]] == [
        ("image without label", b"images/caf\xe9p01.jpg"),
        ("label without image", b"annotations/p01.xml"),
        ("unreadable name", b"images/caf\xe9p00.jpg"),
    ]
    assert r"images/caf\udce9p00.jpg" in (version.folder / "report.md").read_text()


def found_name(found: set[tuple[str, str, str]], kind: str) -> str:
    return next(name for k, name, _ in found if k == kind)


def test_an_unknown_label_stops_before_anything_is_written(
    voc_set: Any, configure: Configure, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"does not name: 'mask' \(12 boxes\); it names: face"):
        prepare(configure(voc_set.folder, label_map={"face": "FACE"}))
    assert not (tmp_path / "versions").exists()


def test_no_usable_picture_and_no_picture_to_train_on(tiny: Any, configure: Configure) -> None:
    tiny.add("a.jpg", seed=1)
    tiny.voc("b", [("face", (1, 2, 3, 4))])
    with pytest.raises(UserError, match="no usable picture in tiny; found: label without image 1") as error:
        prepare(configure(tiny.folder))
    assert "images/a.jpg: image without label" in str(error.value)
    tiny.voc("a", [("face", (1, 2, 30, 40))])
    with pytest.raises(UserError, match="none of the 1 pictures is left for training"):
        prepare(configure(tiny.folder))


def test_a_set_for_measuring_needs_no_training_pictures(tiny: Any, configure: Configure) -> None:
    tiny.add("a.jpg", seed=1)
    tiny.write("gt.txt", "a.jpg\n1\n8 6 16 24 0 0 0 0 0 0\n")
    config = configure(tiny.folder, Format.wider, labels="gt.txt", test_only=True, label_map={"face": "FACE"})
    assert prepare(config).counts == {"train": 0, "val": 0, "test": 1}


def test_a_failed_write_leaves_no_version(
    voc_set: Any, configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("pipeline.data.label_plot.save", full)
        with pytest.raises(OSError, match="No space"):
            prepare(configure(voc_set.folder))
    assert list((tmp_path / "versions").iterdir()) == []
    assert prepare(configure(voc_set.folder)).counts["train"] == 6


def test_a_folder_that_is_no_version_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no version.json; expected a folder made by the prepare stage"):
        DatasetVersion.load(tmp_path)


def test_a_coco_file_of_ones_own_leads_to_its_pictures(tiny: Any) -> None:
    path = tiny.add("sub/a.jpg", seed=1)
    beside, above = tiny.write("labels.json", {}), tiny.write("annotations/labels.json", {})
    assert picture_path(beside, {"file_name": "sub/a.jpg"}) == path
    assert picture_path(above, {"file_name": "images/sub/a.jpg"}) == path
    with pytest.raises(UserError, match=r"picture b.jpg not found"):
        picture_path(beside, {"file_name": "b.jpg"})


def test_a_version_says_what_its_figures_are_worth(tiny: Any, configure: Configure) -> None:
    tiny.add("a.jpg", seed=1)
    tiny.voc("a", [("face", (1, 2, 30, 40))])
    config = configure(tiny.folder, test_only=True, generate=True)
    version = prepare(config)
    assert ["no benchmark" in note for note in version.notes] == [True, False]
    assert ["for measuring only" in note for note in version.notes] == [False, True]
    markdown = (version.folder / "report.md").read_text()
    assert all(f"**Note:** {note}." in markdown for note in version.notes)


def test_a_versions_folder_that_cannot_be_made_is_named(
    voc_set: Any, configure: Configure, tmp_path: Path
) -> None:
    (tmp_path / "versions").write_text("a file")
    with pytest.raises(UserError, match=r"dataset.versions=.*: cannot be written to"):
        prepare(configure(voc_set.folder))
