from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.boxes import Boxes
from pipeline.config.schema import GrowConfig
from pipeline.data import merge
from pipeline.data.examples import LabelledPicture
from pipeline.errors import UserError


def labelled(labels: tuple[str, ...]) -> LabelledPicture:
    boxes = Boxes(np.array([[i, 0, i + 1, 1] for i in range(len(labels))]))
    attributes = tuple({"n": i} for i in range(len(labels)))
    return LabelledPicture("s", "a.jpg", Path("a.jpg"), 9, 9, boxes, labels, attributes)


def test_dropped_labels_go_and_source_labels_stay() -> None:
    merged = merge.merge(labelled(("hat", "mask", "face")), {"hat": "drop", "mask": "FACE", "face": "FACE"})
    assert merged.labels == ("mask", "face")
    assert merged.boxes.xyxy[:, 0].tolist() == [1, 2]
    assert merged.attributes == ({"n": 1}, {"n": 2})


def test_every_unknown_label_is_listed_with_its_count() -> None:
    counts = {"one": {"face": 3, "scarf": 2, "hat": 5}, "two": {"cap": 1}}
    with pytest.raises(UserError) as error:
        merge.check_labels(counts, {"one": {"face": "FACE"}, "two": {}})
    message = str(error.value)
    assert "dataset.sources.one.label_map does not name: 'hat' (5 boxes), 'scarf' (2 boxes)" in message
    assert "dataset.sources.two.label_map does not name: 'cap' (1 boxes); it names: nothing" in message


@pytest.mark.parametrize(
    ("label_map", "message"),
    [
        ({"face": "face"}, "face=face; allowed: FACE, drop"),
        ({"hat": "drop"}, "no label stands for a face"),
        ({}, "no label stands for a face"),
        ({"face": "FACE"}, None),
    ],
)
def test_maps(label_map: dict[str, str], message: str | None) -> None:
    def check() -> None:
        merge.check_map("s", label_map)
        merge.check_labels({"s": {}}, {"s": label_map})

    if message is None:
        check()
    else:
        with pytest.raises(UserError, match=message):
            check()


@pytest.mark.parametrize(
    ("repeat", "message"),
    [
        ({"bare": 2}, None),
        ({}, None),
        ({"bear": 2}, "dataset.repeat: bear=2; allowed: labels of faces: bare, face"),
        ({"hat": 2}, "hat=2; allowed: labels of faces: bare, face"),
    ],
)
def test_what_is_repeated_is_a_face(repeat: dict[str, int], message: str | None) -> None:
    maps = {"one": {"face": "FACE", "hat": "drop"}, "two": {"bare": "FACE"}}
    if message is None:
        merge.check_repeat(repeat, maps)
    else:
        with pytest.raises(UserError, match=message):
            merge.check_repeat(repeat, maps)


def test_boxes_of_a_set_are_made_as_tight_as_others() -> None:
    boxes = Boxes(np.array([[10, 20, 30, 60], [0, 0, 10, 10]]))
    picture = LabelledPicture("s", "a.jpg", Path("a.jpg"), 100, 100, boxes, ("a", "b"), ({}, {}))
    evened = merge.even(picture, {"a": GrowConfig(0.1, -0.25, 0.2, 0.5), "c": GrowConfig(0.9)})
    assert evened.boxes.xyxy.tolist() == [[8, 30, 34, 80], [0, 0, 10, 10]]
    evened = merge.even(picture, {"b": GrowConfig(0.1, -0.25, 0.2, 0.5)})
    assert evened.boxes.xyxy.tolist() == [[10, 20, 30, 60], [0, 2.5, 12, 15]]  # up to the picture's edge
    assert evened.labels == picture.labels
    assert merge.even(picture, {}) is picture
    assert len(merge.even(picture.keep([]), {"a": GrowConfig(bottom=0.1)}).boxes) == 0


def test_only_boxes_of_faces_can_grow() -> None:
    label_map = {"a": "FACE", "b": "drop"}
    merge.check_grow("s", {"a": GrowConfig(0.1)}, label_map)
    with pytest.raises(UserError, match=r"dataset.sources.s.grow: b; allowed: labels of faces: a"):
        merge.check_grow("s", {"b": GrowConfig(0.1)}, label_map)
