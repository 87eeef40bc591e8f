from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from pipeline.errors import UserError
from pipeline.evaluation.labelled import has_difficulties, read_labelled


def coco(folder: Path, name: str = "test.json", first: int = 1, **extra: object) -> Path:
    for picture in ("a.png", "b.png"):
        Image.new("RGB", (20, 10)).save(folder / picture)
    annotation = {"id": 1, "image_id": first, "category_id": 1, "bbox": [1, 2, 3, 4], "source_label": "mask"}
    content = {
        "images": [
            {"id": first + number, "file_name": picture, "width": 20, "height": 10, "source": "drawn"}
            for number, picture in enumerate(("a.png", "b.png"))
        ],
        "annotations": [annotation | extra],
    }
    path = folder / name
    path.write_text(json.dumps(content))
    return path


def test_pictures_and_faces(tmp_path: Path) -> None:
    first, second = read_labelled(coco(tmp_path))
    assert (first.name, first.path, first.width, first.height) == ("a.png", tmp_path / "a.png", 20, 10)
    assert (first.boxes.xyxy.tolist(), first.labels, first.sources) == ([[1, 2, 4, 6]], ("mask",), ("drawn",))
    assert (len(second.boxes), second.ignored.tolist(), first.difficulties) == (0, [], None)


@pytest.mark.parametrize(
    ("extra", "ignored"),
    [
        ({}, False),
        ({"iscrowd": 1}, True),
        ({"ignore": 1}, True),
        ({"attributes": {"invalid": 1}}, True),
        ({"attributes": {"invalid": 0, "blur": 2}}, False),
    ],
)
def test_ignored(tmp_path: Path, extra: dict, ignored: bool) -> None:
    assert read_labelled(coco(tmp_path, **extra))[0].ignored.tolist() == [ignored]


def test_difficulties(tmp_path: Path) -> None:
    pictures = read_labelled(coco(tmp_path, attributes={"difficulty": ["hard"]}))
    assert has_difficulties(pictures)
    assert (pictures[0].counted("hard").tolist(), pictures[0].counted("easy").tolist()) == ([True], [False])
    assert not has_difficulties(read_labelled(coco(tmp_path)))


def test_several_files_are_one_set(tmp_path: Path) -> None:
    files = [coco(tmp_path), coco(tmp_path, "val.json", first=3)]
    assert [picture.id for picture in read_labelled(files)] == [1, 2, 3, 4]
    with pytest.raises(UserError, match="ids occur twice"):
        read_labelled([files[0], files[0]])


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"images": []}', '{"images": [], "annotations": [{"image_id": 1}]}']
)
def test_another_file_is_refused_by_name(tmp_path: Path, content: str) -> None:
    path = tmp_path / "odd.json"
    path.write_text(content)
    with pytest.raises(UserError, match=r"odd\.json: expected a COCO json"):
        read_labelled(path)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nothing\.json"):
        read_labelled(tmp_path / "nothing.json")
