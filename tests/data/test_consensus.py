"""Faces that nobody labelled, from a consensus file to a version."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from pipeline.boxes import Boxes
from pipeline.config.schema import ConsensusUse, DatasetConfig
from pipeline.data import consensus, exclude
from pipeline.data.examples import LabelledPicture
from pipeline.data.prepare import prepare
from pipeline.data.version import DatasetVersion
from pipeline.errors import UserError

Configure = Callable[..., DatasetConfig]
SURE, UNSURE = [52.0, 2.0, 60.0, 12.0], [52.0, 20.0, 60.0, 30.0]
ON_A_LABEL = [6.0, 7.0, 26.0, 31.0]  # the set's first face is 5 6 25 30


def write(path: Path, folder: Path, sure: list[float] = SURE) -> str:
    """A consensus file that says the same of every picture of the folder."""
    faces = [
        {"box": box, "scores": {"one": 0.9, "two": score}, "certain": certain}
        for box, score, certain in ((sure, 0.8, True), (UNSURE, 0.3, False), (ON_A_LABEL, 0.9, True))
    ]
    digests = [hashlib.sha256(each.read_bytes()).hexdigest() for each in sorted(folder.rglob("*.jpg"))]
    document = {
        "detectors": {"one": {"version": "one 1.0"}, "two": {"version": "two 2.0"}},
        "pictures": [{"sha256": digest, "faces": faces} for digest in digests],
    }
    path.write_text(json.dumps(document))
    return str(path)


def content(version: DatasetVersion) -> dict[str, dict[str, Any]]:
    return {split: json.loads(version.coco(split).read_text()) for split in version.counts}


def added(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for each in document["annotations"] if each.get("origin") == "consensus"]


def crowds(version: DatasetVersion, split: str) -> list[int]:
    """``is_crowd`` of every box of the split's records."""
    marks: list[int] = []
    for path in sorted(version.folder.glob(f"{split}-*.tfrecord")):
        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            features = tf.train.Example.FromString(record).features.feature
            marks += features["image/object/is_crowd"].int64_list.value
    return marks


def test_labels_in_training_and_regions_to_ignore_in_the_rest(
    voc_set: Any, configure: Configure, tmp_path: Path
) -> None:
    plain = prepare(configure(voc_set.folder))
    config = configure(voc_set.folder)
    config.consensus = write(tmp_path / "faces.json", voc_set.folder)
    version = prepare(config)
    before, after = content(plain), content(version)
    assert {s: d["images"] for s, d in after.items()} == {s: d["images"] for s, d in before.items()}
    for split, document in after.items():
        mine = [each for each in document["annotations"] if "origin" not in each]
        given = before[split]["annotations"]
        assert [each["bbox"] for each in mine] == [each["bbox"] for each in given], split
        assert len(added(document)) == 2 * len(document["images"]), split
    label, region = added(after["train"])[:2]
    assert (label["bbox"], label["source_label"], label["iscrowd"]) == ([52, 2, 8, 10], "consensus", 0)
    assert (label["detectors"], label["scores"]) == (
        {"one": "one 1.0", "two": "two 2.0"},
        {"one": 0.9, "two": 0.8},
    )
    assert "ignore" not in label
    assert (region["bbox"], region["iscrowd"], region["ignore"]) == ([52, 20, 8, 10], 1, 1)
    assert all(each["ignore"] and each["iscrowd"] for s in ("val", "test") for each in added(after[s]))
    assert crowds(version, "train") == [0, 0, 0, 1] * 6
    assert crowds(version, "test") == [0, 0, 1, 1] * 3
    assert version.boxes == {"train": 12 + 6, "val": 6, "test": 6}
    assert version.labels["after"] == {"tiny": {"face": 12, "mask": 12, "consensus": 6}}


def test_the_report_counts_what_came_in(voc_set: Any, configure: Configure, tmp_path: Path) -> None:
    config = configure(voc_set.folder)
    config.consensus = write(tmp_path / "faces.json", voc_set.folder)
    config.consensus_as = ConsensusUse.ignore
    version = prepare(config)
    report = json.loads((version.folder / "report.json").read_text())
    rows = {row["effect"]: row["count"] for row in report["summary"] if row["kind"] == "face without a label"}
    assert rows == {"ignored, in train": 12, "ignored, in val": 6, "ignored, in test": 6}
    stored = json.loads((version.folder / "version.json").read_text())
    assert stored["consensus"]["train"] == {"labels": 0, "ignored": 12}
    assert any("nobody labelled" in note for note in report["notes"])


def test_its_content_names_the_version_and_its_absence_changes_nothing(
    voc_set: Any, configure: Configure, tmp_path: Path
) -> None:
    names = {prepare(configure(voc_set.folder)).fingerprint}
    config = configure(voc_set.folder)
    for use in ConsensusUse:
        config.consensus_as = use
        config.consensus = None
        names.add(prepare(config).fingerprint)
    assert len(names) == 1
    config.consensus = write(tmp_path / "faces.json", voc_set.folder)
    names.add(prepare(config).fingerprint)
    write(tmp_path / "faces.json", voc_set.folder, sure=[51.0, 2.0, 60.0, 12.0])
    names.add(prepare(config).fingerprint)
    assert len(names) == 3


@pytest.mark.parametrize(
    "text", ["", "[]", '{"pictures": []}', '{"detectors": {}, "pictures": [{"sha256": "a", "faces": [{}]}]}']
)
def test_a_file_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "faces.json"
    path.write_text(text)
    with pytest.raises(UserError, match=r"dataset\.consensus=.*faces\.json"):
        consensus.read(str(path))


@pytest.mark.parametrize(
    ("box", "same"),
    [
        ((10, 10, 30, 30), True),
        ((14, 14, 18, 18), True),  # a part of the face
        ((0, 0, 60, 60), True),  # the face is a part of it
        ((25, 10, 45, 30), False),  # a neighbour, a quarter over it
        ((60, 60, 80, 80), False),
    ],
)
def test_what_counts_as_labelled(box: tuple[float, ...], same: bool) -> None:
    labelled = Boxes(np.array([[10.0, 10, 30, 30]]))
    assert consensus.same_face(Boxes(np.array([box], dtype=float)), labelled).tolist() == [same]
    assert consensus.same_face(Boxes(np.array([box], dtype=float)), Boxes.empty()).tolist() == [False]


def test_boxes_are_clipped_to_the_picture_and_what_is_left_of_nothing_goes() -> None:
    picture = LabelledPicture("s", "p.jpg", Path("p.jpg"), 64, 48, Boxes.empty(), (), ())
    faces = [
        consensus.Agreed(box, {"one": 0.9}, True) for box in ((-3.0, 5.0, 9.0, 15.0), (70.0, 5.0, 80.0, 15.0))
    ]
    assert [face.box for face in consensus.unlabelled(picture, faces)] == [(0, 5, 9, 15)]


def test_excluded_pictures_are_left_out_and_nothing_else_moves(voc_set: Any, configure: Configure) -> None:
    before = content(prepare(configure(voc_set.folder)))
    gone = before["train"]["images"][2]
    stays = before["test"]["images"][0]
    config = configure(voc_set.folder)
    config.exclude = [gone["file_name"], stays["file_name"]]
    version = prepare(config)
    after = content(version)
    assert after["train"]["images"] == [each for each in before["train"]["images"] if each is not gone]
    assert {s: after[s] for s in ("val", "test")} == {s: before[s] for s in ("val", "test")}
    assert version.labels["after"] == {"tiny": {"face": 11, "mask": 11}}
    report = json.loads((version.folder / "report.json").read_text())
    found = {(f["name"], f["effect"]) for f in report["findings"] if f["kind"] == "excluded"}
    assert found == {(gone["name"], "picture left out"), (stays["name"], "kept: it is in the test split")}


def test_a_name_that_no_picture_has_is_refused() -> None:
    picture = LabelledPicture("s", "p.jpg", Path("p.jpg"), 64, 48, Boxes.empty(), (), ())
    with pytest.raises(UserError, match=r"dataset\.exclude: s/q\.jpg.*s/p\.jpg"):
        exclude.leave_out([picture], ["train"], ["s/q.jpg"])
