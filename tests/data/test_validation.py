"""Each fault is found by name, and does to the version what the report says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.boxes import Boxes
from pipeline.data import validation
from pipeline.data.examples import RawLabels

MAP = {"face": "FACE", "mask": "FACE", "hat": "drop"}


def raw(path: Path, boxes: list[list[float]], labels: tuple[str, ...] = (), **fields: Any) -> RawLabels:
    labels = labels or ("face",) * len(boxes)
    frame = fields.get("frame")
    return RawLabels("images/a.jpg", path, frame, Boxes(boxes), labels)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("box", "kept", "kind", "effect"),
    [
        ([5, 5, 20, 20], [5, 5, 20, 20], None, None),
        ([0, 0, 64, 48], [0, 0, 64, 48], None, None),
        ([-0.4, 5, 64.4, 20], [0, 5, 64, 20], None, None),  # rounding
        ([-3, 5, 20, 60], [0, 5, 20, 48], "box outside", "box clipped to the picture"),
        ([70, 5, 90, 20], None, "box outside", "box left out (wholly outside)"),
        ([64, 5, 90, 20], None, "box outside", "box left out (wholly outside)"),
        ([5, 5, 5, 20], None, "box empty", "box left out"),
        ([5, 20, 20, 20], None, "box empty", "box left out"),
        ([20, 20, 5, 5], [5, 5, 20, 20], "box inverted", "corners swapped"),
        ([20, 5, 5, 20], [5, 5, 20, 20], "box inverted", "corners swapped"),
    ],
)
def test_boxes(tiny: Any, box: list[float], kept: list[float] | None, kind: str | None, effect: str) -> None:
    path = tiny.add("a.jpg", seed=1)
    good = [30, 30, 40, 40]
    picture, problems = validation.check("tiny", raw(path, [box, good]), MAP)
    assert picture is not None
    assert picture.boxes.xyxy.tolist() == ([kept] if kept else []) + [good]
    assert [(p.kind, p.effect) for p in problems] == ([(kind, effect)] if kind else [])


@pytest.mark.parametrize(
    ("labels", "kept"),
    [
        (("face", "face"), ("face",)),
        (("face", "mask"), ("face",)),  # both become FACE
        (("face", "hat"), ("face", "hat")),  # the hat goes with the merge, and must not take the face along
        (("hat", "face"), ("hat", "face")),
    ],
)
def test_two_boxes_at_one_place(tiny: Any, labels: tuple[str, ...], kept: tuple[str, ...]) -> None:
    path = tiny.add("a.jpg", seed=1)
    picture, _ = validation.check("tiny", raw(path, [[1, 2, 9, 9], [1, 2, 9, 9]], labels), MAP)
    assert picture is not None
    assert picture.labels == kept


BROKEN, GOOD = [5, 5, 5, 9], [1, 2, 30, 40]


@pytest.mark.parametrize(
    ("labels", "boxes", "kept"),
    [
        (("face",), [BROKEN], False),
        (("face", "hat"), [BROKEN, GOOD], False),  # the hat is dropped later, and then none is left
        (("face", "mask"), [BROKEN, GOOD], True),
        (("hat",), [GOOD], True),
        (("hat",), [BROKEN], True),  # a negative either way
        ((), [], True),
    ],
)
def test_a_picture_that_loses_all_its_faces_is_no_negative(
    tiny: Any, labels: tuple[str, ...], boxes: list[list[float]], kept: bool
) -> None:
    path = tiny.add("a.jpg", seed=1)
    picture, problems = validation.check("tiny", raw(path, boxes, labels), MAP)
    assert (picture is not None) == kept
    broken = ["box empty"] * (BROKEN in boxes)
    assert [p.kind for p in problems] == broken + ([] if kept else ["no usable box"])


def test_unreadable_pictures_are_left_out(tiny: Any) -> None:
    path = tiny.add("a.jpg", seed=1)
    path.write_bytes(path.read_bytes()[:300])
    picture, problems = validation.check("tiny", raw(path, [[1, 2, 9, 9]]), MAP)
    assert picture is None
    assert [(p.kind, p.effect) for p in problems] == [("unreadable image", "picture left out")]


def test_labels_made_for_another_shape_of_picture(tiny: Any) -> None:
    path = tiny.add("a.jpg", seed=1)
    picture, problems = validation.check("tiny", raw(path, [[1, 2, 9, 9]], frame=(50, 50)), MAP)
    assert picture is None
    assert problems[0].kind == "label for another size"


def test_an_orientation_tag_is_honoured_and_the_file_untouched(tiny: Any) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned a quarter clockwise: 48 wide, 64 high
    path = tiny.add("a.jpg", seed=1, exif=exif)
    before = path.read_bytes()
    seen, _ = validation.check("tiny", raw(path, [[1, 2, 9, 12]], frame=(48, 64)), MAP)
    ignored, _ = validation.check("tiny", raw(path, [[1, 2, 9, 12]], frame=(64, 48)), MAP)
    assert seen is not None
    assert ignored is not None
    assert (seen.width, seen.height) == (48, 64)
    assert seen.boxes.xyxy.tolist() == [[1, 2, 9, 12]]
    assert ignored.boxes.xyxy.tolist() == [[48 - 12, 1, 48 - 2, 9]]
    assert path.read_bytes() == before


@pytest.mark.parametrize(("measuring", "kept"), [(set(), "b.jpg"), ({"one"}, "a.jpg")])
def test_of_equal_pictures_the_better_labelled_stays(tiny: Any, measuring: set[str], kept: str) -> None:
    """Unless one belongs to a set for measuring: then no other copy may reach training."""
    path = tiny.add("a.jpg", seed=1)
    one, _ = validation.check("one", RawLabels("a.jpg", path, None, Boxes.empty(), ()), MAP)
    two_boxes = Boxes(np.array([[1, 2, 9, 9], [20, 2, 29, 9]]))
    two, _ = validation.check("two", RawLabels("b.jpg", path, None, two_boxes, ("face", "face")), MAP)
    assert one is not None
    assert two is not None
    left, problems = validation.leave_out_duplicates([one, two], measuring)
    assert [picture.name for picture in left] == [kept]
    assert [p.kind for p in problems] == ["duplicate"]
