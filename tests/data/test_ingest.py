"""The same two pictures in five formats read the same; the faults of each format are found by name."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from pipeline.config.schema import Format
from pipeline.data import ingest
from pipeline.data.examples import Reading
from pipeline.data.ingest.files import SourceFolder
from pipeline.errors import UserError

BOXES = [(8, 6, 24, 30), (32, 12, 48, 36)]
XYWH = [[8, 6, 16, 24], [32, 12, 16, 24]]


def read(tiny: Any, format: Format, labels: str) -> Reading:
    return ingest.read(SourceFolder("tiny", tiny.folder, "images", labels), format)


def found(reading: Reading) -> set[tuple[str, str]]:
    return {(problem.kind, problem.name) for problem in reading.problems}


def as_voc(tiny: Any) -> str:
    tiny.voc("a", [("face", BOXES[0]), ("mask", BOXES[1])])
    tiny.voc("sub/b", [])
    return "annotations"


def as_yolo(tiny: Any) -> str:
    tiny.write("labels/a.txt", "0 0.25 0.375 0.25 0.5\n1 0.625 0.5 0.25 0.5\n")
    tiny.write("labels/sub/b.txt", "")
    tiny.write("classes.txt", "face\nmask\n")
    return "labels"


def as_coco(tiny: Any) -> str:
    images = [
        {"id": 7, "file_name": "a.jpg", "width": 64, "height": 48},
        {"id": 9, "file_name": "sub/b.JPG"},
    ]
    annotations = [
        {"id": i, "image_id": 7, "category_id": i + 3, "bbox": box, "iscrowd": i}
        for i, box in enumerate(XYWH)
    ]
    categories = [{"id": 3, "name": "face"}, {"id": 4, "name": "mask"}]
    tiny.write("all.json", {"images": images, "annotations": annotations, "categories": categories})
    return "all.json"


def as_wider(tiny: Any) -> str:
    lines = [" ".join(map(str, [*box, 2, 0, 0, 0, 1, 0])) + " " for box in XYWH]
    tiny.write("gt.txt", "\n".join(["a.jpg", "2", *lines, "sub/b.JPG", "0", "0 0 0 0 0 0 0 0 0 0", ""]))
    tiny.write("difficulty.json", {"a.jpg": {"easy": [1], "medium": [1], "hard": [0, 1]}})
    return "gt.txt"


def as_humans_in_the_loop(tiny: Any) -> str:
    annotations = [{"BoundingBox": b, "classname": c} for b, c in zip(BOXES, ("face", "mask"), strict=True)]
    tiny.write("annotations/a.jpg.json", {"FileName": "a.jpg", "Annotations": annotations})
    tiny.write("annotations/sub/b.JPG.json", {"FileName": "b.JPG", "Annotations": []})
    return "annotations"


@pytest.mark.parametrize("write", [as_voc, as_yolo, as_coco, as_wider, as_humans_in_the_loop])
def test_every_format_reads_the_same(tiny: Any, write: Any) -> None:
    tiny.add("a.jpg", seed=1)
    tiny.add("sub/b.JPG", seed=2, format="JPEG")
    tiny.add("nobody_labelled_me.png", seed=3)
    format = Format[write.__name__.removeprefix("as_")]
    reading = read(tiny, format, write(tiny))
    a, b = sorted(reading.labels, key=lambda raw: raw.name)
    assert (a.name, b.name) == ("images/a.jpg", "images/sub/b.JPG")
    scale = (64, 48, 64, 48) if a.frame == (1, 1) else (1, 1, 1, 1)
    np.testing.assert_allclose(a.boxes.xyxy * scale, BOXES)
    assert a.labels == (("face", "face") if format is Format.wider else ("face", "mask"))
    assert len(b.boxes) == 0
    assert found(reading) == {("image without label", "images/nobody_labelled_me.png")}


def test_coco_keeps_the_crowd_flag_and_wider_its_attributes(tiny: Any) -> None:
    tiny.add("a.jpg", seed=1)
    tiny.add("sub/b.JPG", seed=2, format="JPEG")
    crowd = read(tiny, Format.coco, as_coco(tiny)).labels[0].attributes
    assert [a.get("iscrowd", 0) for a in crowd] == [0, 1]
    wider = read(tiny, Format.wider, as_wider(tiny)).labels[0].attributes
    assert wider[0] == {
        "index": 0, "blur": 2, "expression": 0, "illumination": 0, "invalid": 0, "occlusion": 1, "pose": 0,
        "difficulty": ["hard"],
    }  # fmt: skip
    assert wider[1]["difficulty"] == ["easy", "medium", "hard"]


@pytest.mark.parametrize(
    ("stem", "tag", "expected"),
    [
        ("a", None, "a.jpg"),
        ("A", None, "a.jpg"),
        ("a", "a.png", "a.png"),  # two pictures of one stem: the tag chooses
        ("a", "z.jpg", "a.jpg"),  # the stem decides against a stale tag
        ("x", "b.png", "B.JPG"),  # converted after labelling
        ("x", r"C:\photos\b.jpg", "B.JPG"),
        ("x", "nowhere.jpg", None),
        ("x", ".", None),
        ("x", "c.jpg", None),  # two folders have one: ambiguous
        ("x", "one/c.jpg", "one/c.jpg"),
        ("two/c", None, "two/c.jpg"),
        ("a.png", None, "a.png"),  # a.png.xml
    ],
)
def test_the_picture_of_a_label_file(tiny: Any, stem: str, tag: str | None, expected: str | None) -> None:
    for seed, name in enumerate(["a.jpg", "a.png", "B.JPG", "one/c.jpg", "two/c.jpg"]):
        tiny.add(name, seed, format="PNG" if name.endswith("png") else "JPEG")
    assert SourceFolder("tiny", tiny.folder, "images", "annotations").find(stem, tag) == expected


def test_a_stale_tag_does_not_take_the_picture_of_another_label(tiny: Any) -> None:
    tiny.add("b.jpg", seed=1)
    tiny.voc("a", [("mask", BOXES[0])], tag="b.jpg")
    tiny.voc("b", [("face", BOXES[0])])
    reading = read(tiny, Format.voc, "annotations")
    assert [raw.labels for raw in reading.labels] == [("face",)]
    assert found(reading) == {("duplicate label", "annotations/a.xml")}


def test_label_without_image_and_unreadable_labels_are_named(tiny: Any) -> None:
    for seed, stem in enumerate("abc"):
        tiny.add(f"{stem}.jpg", seed)
    tiny.voc("a", [("face", BOXES[0])])
    tiny.voc("gone", [("face", BOXES[0])])
    tiny.write("annotations/b.xml", "<annotation><object>")
    tiny.voc("c", [("face", (float("nan"), 1, 2, 3))])
    reading = read(tiny, Format.voc, "annotations")
    assert [raw.name for raw in reading.labels] == ["images/a.jpg"]
    assert found(reading) == {
        ("label without image", "annotations/gone.xml"),
        ("unreadable label", "annotations/b.xml"),
        ("unreadable label", "annotations/c.xml"),
    }


@pytest.mark.parametrize(
    ("name_file", "text", "label"),
    [
        ("classes.txt", "\ufeffface\n", "face"),
        ("labels/obj.names", "face\n", "face"),
        ("data.yaml", "names: [face]", "face"),
        ("data.yaml", "names: {0: face}", "face"),
        ("notes.md", "", "0"),  # nobody says what 0 is
    ],
)
def test_yolo_class_names(tiny: Any, name_file: str, text: str, label: str) -> None:
    tiny.add("a.jpg", seed=1)
    tiny.write("labels/a.txt", "0 0.5 0.5 0.2 0.2 0.93\n")
    tiny.write(name_file, text)
    assert read(tiny, Format.yolo, "labels").labels[0].labels == (label,)


def coco_of(**parts: Any) -> str:
    return json.dumps({"images": [], "annotations": [], "categories": []} | parts)


@pytest.mark.parametrize(
    ("format", "labels", "content", "message"),
    [
        (Format.coco, "all.json", "{", "all.json: not a COCO JSON"),
        (Format.coco, "all.json", '{"images": []}', "it lacks annotations, categories"),
        (
            Format.coco,
            "all.json",
            '{"images": [{"id": 1}], "annotations": [], "categories": []}',
            r"images\[0\] needs file_name, id",
        ),
        (Format.coco, "all.json", coco_of(images={}), r"images is {}; allowed: a list"),
        (
            Format.coco,
            "all.json",
            coco_of(images=[{"id": 1, "file_name": "a.jpg"}, {"id": "1", "file_name": "b.jpg"}]),
            r"all.json: images 'a.jpg' and 'b.jpg' have the same id 1; allowed: an id for each",
        ),
        (
            Format.coco,
            "all.json",
            coco_of(categories=[{"id": 1, "name": "face"}, {"id": 1, "name": "hat"}]),
            r"all.json: categories 'face' and 'hat' have the same id 1",
        ),
        (
            Format.coco,
            "all.json",
            coco_of(images=[{"id": 1, "file_name": 17}]),
            r"all.json: images\[0\].file_name=17; allowed: text",
        ),
        (
            Format.coco,
            "all.json",
            coco_of(images=[{"id": 1, "file_name": "a.jpg", "width": "64", "height": 48}]),
            r"all.json: images\[0\].width='64'; allowed: a number of pixels",
        ),
        (Format.wider, "gt.txt", "a.jpg\n3\n1 2 3 4\n", "expected 3 lines"),
        (Format.wider, "gt.txt", "a.jpg\nmany\n", "line 2, after 'a.jpg'"),
        (Format.voc, "nowhere", "", r"labels=nowhere: no folder .* holds: images"),
        (Format.coco, "nowhere.json", "", "labels=nowhere.json: no file"),
    ],
)
def test_what_cannot_be_read_at_all_stops(
    tiny: Any, format: Format, labels: str, content: str, message: str
) -> None:
    tiny.add("a.jpg", seed=1)
    if content:
        tiny.write(labels, content)
    with pytest.raises(UserError, match=message):
        read(tiny, format, labels)


def test_a_coco_box_of_no_listed_picture_is_found(tiny: Any) -> None:
    tiny.add("a.jpg", seed=1)
    write_coco(tiny, [(1, "a.jpg")], [(5, XYWH[0])])
    reading = read(tiny, Format.coco, "all.json")
    assert [(p.kind, p.detail) for p in reading.problems] == [
        ("label without image", "no picture with id 5 is listed (1 boxes)")
    ]


def write_coco(tiny: Any, images: list[tuple[Any, str]], boxes: list[tuple[Any, list[int]]]) -> None:
    """``all.json`` of ``(id, file name)`` and ``(image's id, box)``."""
    document = {
        "images": [{"id": each, "file_name": name} for each, name in images],
        "annotations": [
            {"id": number, "image_id": image, "category_id": 1, "bbox": box}
            for number, (image, box) in enumerate(boxes)
        ],
        "categories": [{"id": 1, "name": "face"}],
    }
    tiny.write("all.json", document)


def write_wider(tiny: Any, entries: list[tuple[str, list[list[int]]]]) -> None:
    lines = [
        line for name, rows in entries for line in (name, len(rows), *(" ".join(map(str, r)) for r in rows))
    ]
    tiny.write("gt.txt", "\n".join(map(str, lines)))


def boxes_of(reading: Reading) -> dict[str, list[list[float]]]:
    """Picture → its boxes, ``xmin, ymin, width, height``."""
    assert len({raw.name for raw in reading.labels}) == len(reading.labels), "one picture, read twice"
    return {raw.name.removeprefix("images/"): raw.boxes.to_xywh().tolist() for raw in reading.labels}


@pytest.mark.parametrize("written", ["7", 7, 7.0])
def test_a_coco_id_may_be_text_in_one_place_and_a_number_in_another(tiny: Any, written: Any) -> None:
    tiny.add("a.jpg", seed=1)
    for listed in ("7", 7):
        write_coco(tiny, [(listed, "a.jpg")], [(written, XYWH[0])])
        reading = read(tiny, Format.coco, "all.json")
        assert boxes_of(reading) == {"a.jpg": [XYWH[0]]}
        assert reading.problems == []


def test_a_picture_that_is_listed_twice_is_kept_if_both_say_the_same(tiny: Any) -> None:
    """Else it may show faces that the one or the other does not name."""
    for seed, name in enumerate(["same.jpg", "more.jpg", "twice.jpg"]):
        tiny.add(name, seed)
    one, two = XYWH
    listed = [(1, "same.jpg"), (2, "more.jpg"), (3, "images/same.jpg"), (4, "more.jpg"), (5, "twice.jpg")]
    write_coco(tiny, [*listed, (5, "twice.jpg")], [(1, one), (3, one), (2, one), (4, two), (5, two)])
    write_wider(
        tiny,
        [
            ("same.jpg", [one]),
            ("more.jpg", [one]),
            ("images/same.jpg", [one]),
            ("more.jpg", [two]),
            ("twice.jpg", [two]),
            ("twice.jpg", [two]),
        ],
    )
    for format, labels in ((Format.coco, "all.json"), (Format.wider, "gt.txt")):
        reading = read(tiny, format, labels)
        assert boxes_of(reading) == {"same.jpg": [one], "twice.jpg": [two]}
        assert sorted((p.kind, p.detail) for p in reading.problems) == [
            ("contradicting labels", "more.jpg is listed more than once, with different labels"),
            ("duplicate label", "more.jpg already has a label"),
            ("duplicate label", "same.jpg already has a label"),
            ("duplicate label", "twice.jpg already has a label"),
        ]


@pytest.mark.parametrize(
    ("pictures", "absent", "present"),
    [
        (["val/1.jpg"], "train/1.jpg", "val/1.jpg"),  # the same file name in another folder
        (["A.jpg"], "a.jpg", "A.jpg"),
        (["A.jpg", "a.jpg"], "a.JPG", "a.jpg"),
        (["1.jpg"], "1.png", "1.jpg"),
    ],
)
def test_a_listed_picture_that_is_not_there_takes_no_other_ones_place(
    tiny: Any, pictures: list[str], absent: str, present: str
) -> None:
    for seed, name in enumerate(pictures):
        tiny.add(name, seed)
    one, two = XYWH
    write_coco(tiny, [(1, absent), (2, present)], [(1, one), (2, two)])
    write_wider(tiny, [(absent, [one]), (present, [two])])
    for format, labels in ((Format.coco, "all.json"), (Format.wider, "gt.txt")):
        reading = read(tiny, format, labels)
        assert boxes_of(reading) == {present: [two]}
        assert {p.kind for p in reading.problems} <= {
            "duplicate label", "label without image", "image without label",
        }  # fmt: skip


@pytest.mark.parametrize(
    ("pictures", "stems", "expected"),
    [
        (["A.jpg", "a.jpg"], ["A", "a"], {"A.jpg": "A", "a.jpg": "a"}),
        (["a.jpg"], ["A", "a"], {"a.jpg": "a"}),
        (["a.jpg"], ["a", "a.jpg"], {"a.jpg": "a.jpg"}),
        (["a.jpg", "B.JPG"], ["A", "b"], {"a.jpg": "A", "B.JPG": "b"}),
    ],
)
def test_label_files_whose_names_differ_in_case(
    tiny: Any, pictures: list[str], stems: list[str], expected: dict[str, str]
) -> None:
    for seed, name in enumerate(pictures):
        tiny.add(name, seed, format="JPEG")
    tiny.write("classes.txt", "\n".join(stems))
    for number, stem in enumerate(stems):
        tiny.voc(stem, [(stem, BOXES[0])])
        tiny.write(f"labels/{stem}.txt", f"{number} 0.5 0.5 0.2 0.2\n")
    for format, labels in ((Format.voc, "annotations"), (Format.yolo, "labels")):
        reading = read(tiny, format, labels)
        assert {raw.name.removeprefix("images/"): raw.labels for raw in reading.labels} == {
            name: (stem,) for name, stem in expected.items()
        }
        assert len(reading.labels) == len(expected)
        assert {p.kind for p in reading.problems} <= {"duplicate label"}
