"""Labels come along valid against the output, otherwise untouched."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml
from PIL import Image

from pipeline.anonymize import Summary, anonymize_folder
from pipeline.config.schema import AnonymizeConfig, LabelsConfig, RedactConfig
from tests.anonymize.images.makers import encoded
from tests.anonymize.quick import QuickDetector
from tests.anonymize.standin import save

FACE = (20, 30, 100, 140)
BAD = b"\xff\xd8\xff no picture"


def run(data: Path, ignore_faces: bool = False) -> Summary:
    config = AnonymizeConfig(labels=LabelsConfig(ignore_faces=ignore_faces), redact=RedactConfig(margin=0))
    return anonymize_folder(data, data.with_name("out"), detector=QuickDetector(), config=config)


def reasons(summary: Summary) -> dict[str, str | None]:
    return {entry.path: entry.reason for entry in summary.left_out}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three layouts in one folder: COCO over all, VOC and YOLO for some."""
    folder = tmp_path / "data"
    save(folder / "images" / "train" / "a.png", [FACE])
    save(folder / "images" / "train" / "b.jpg", [])
    (folder / "images" / "train" / "bad.jpg").write_bytes(BAD)
    for name in ("annotations", "labels/train", "xml"):
        (folder / name).mkdir(parents=True)
    return folder


def coco(data: Path, **extra: object) -> dict[str, object]:
    names = ["train/a.png", str(data / "images/train/b.jpg"), "bad.jpg", "not-here.jpg"]
    return {
        "info": {"year": 2020, "root": str(data)},
        "images": [
            {"id": 10 + i, "file_name": name, "width": 260, "height": 240, **extra}
            for i, name in enumerate(names)
        ],
        "annotations": [
            {"id": i, "image_id": 10 + i % 4, "category_id": 3, "bbox": [1, 2, 3, 4], "keypoints": [1, 2, 2]}
            for i in range(8)
        ],
        "categories": [{"id": 3, "name": "hat"}],
    }


def test_coco(data: Path) -> None:
    (data / "annotations" / "all.json").write_text(json.dumps(coco(data)))
    summary = run(data)
    content = json.loads((summary.out / "annotations/all.json").read_text())
    assert [image["file_name"] for image in content["images"]] == [
        "train/a.png",
        str(summary.out / "images/train/b.jpg"),
        "not-here.jpg",
    ]
    assert {each["image_id"] for each in content["annotations"]} == {10, 11, 13}
    assert content["annotations"][0]["keypoints"] == [1, 2, 2]
    assert content["info"] == {"year": 2020, "root": str(summary.out)}
    note = summary.entries["annotations/all.json"].message
    assert "1 images and 2 annotations dropped" in note and "2 absolute paths" in note
    assert reasons(summary) == {"images/train/bad.jpg": "corrupt"}


def test_coco_in_which_nothing_is_wrong_is_copied(data: Path) -> None:
    (data / "images/train/bad.jpg").unlink()
    content = coco(data)
    content["images"] = [image for image in content["images"] if image["id"] in (10, 13)]  # type: ignore[index]
    del content["info"]
    text = json.dumps(content, indent=3, ensure_ascii=False)
    (data / "annotations" / "all.json").write_text(text)
    assert (run(data).out / "annotations/all.json").read_text() == text


def test_coco_ignores_redacted_faces(data: Path) -> None:
    (data / "annotations" / "all.json").write_text(json.dumps(coco(data)))
    content = json.loads((run(data, ignore_faces=True).out / "annotations/all.json").read_text())
    assert content["categories"][-1] == {"id": 4, "name": "redacted_face"}
    (added,) = [each for each in content["annotations"] if each["category_id"] == 4]
    assert added["image_id"] == 10 and added["iscrowd"] == 1 and added["id"] == 8
    np.testing.assert_allclose(added["bbox"], [20, 30, 80, 77], atol=3)


@pytest.mark.parametrize(("width", "height", "expected"), [(260, 200, (20, 30)), (200, 260, (123, 20))])
def test_ignored_regions_follow_the_frame_of_the_labels(
    tmp_path: Path, width: int, height: int, expected: tuple[int, int]
) -> None:
    """The raster is 200 x 260, to be turned by a quarter: labels may be of either view."""
    from tests.anonymize.standin import background, paint_face

    upright = background(260, 200)
    paint_face(upright, (20, 30, 80, 110))  # its region: 20, 30, 80, 86
    exif = Image.Exif()
    exif[0x0112] = 8
    (tmp_path / "data").mkdir()
    Image.fromarray(np.rot90(upright, -1).copy()).save(tmp_path / "data" / "x.png", exif=exif)
    image = {"id": 1, "file_name": "x.png", "width": width, "height": height}
    (tmp_path / "data/l.json").write_text(
        json.dumps({"images": [image], "annotations": [], "categories": []})
    )
    content = json.loads((run(tmp_path / "data", ignore_faces=True).out / "l.json").read_text())
    x, y = content["annotations"][0]["bbox"][:2]
    if (width, height) == (260, 200):
        assert abs(x - 20) <= 2 and abs(y - 30) <= 2
    else:  # turned clockwise into the raster: x' = 200 - bottom, y' = left
        assert abs(x - (200 - 86)) <= 2 and abs(y - 20) <= 2


VOC = """<?xml version="1.0" encoding="utf-8"?>
<annotation verified="yes">
  <folder>train</folder><filename>{name}</filename>
  <path>{path}</path>
  <size><width>260</width><height>240</height><depth>3</depth></size>
  <object><name>hat &amp; coat</name>
  <bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox></object>
</annotation>
"""


def test_voc(data: Path) -> None:
    (data / "xml" / "a.xml").write_text(VOC.format(name="a.png", path=data / "images/train/a.png"))
    (data / "xml" / "b.xml").write_text(VOC.format(name="b.jpg", path="/elsewhere/b.jpg"))
    (data / "xml" / "bad.xml").write_text(VOC.format(name="bad.jpg", path="bad.jpg"))
    padded = VOC.format(name=data / "images/train/a.png", path=f" {data}/images/train/a.png\n")
    (data / "xml" / "c.xml").write_text(padded.replace("train</folder>", f"{data}/images/train</folder>"))
    (data / "xml" / "other.xml").write_text("<html/>")
    (data / "xml" / "bomb.xml").write_text('<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>')
    summary = run(data)
    expected = VOC.format(name="a.png", path=summary.out / "images/train/a.png")
    assert (summary.out / "xml/a.xml").read_text() == expected
    assert str(data) not in (summary.out / "xml/c.xml").read_text()
    assert (summary.out / "xml/b.xml").read_bytes() == (data / "xml/b.xml").read_bytes()
    assert reasons(summary) == {
        "images/train/bad.jpg": "corrupt",
        "xml/bad.xml": "picture_left_out",
        "xml/other.xml": "not_a_picture",
        "xml/bomb.xml": "not_a_picture",
    }


def test_voc_ignores_redacted_faces(data: Path) -> None:
    (data / "xml" / "a.xml").write_text(VOC.format(name="a.png", path="a.png"))
    root = ElementTree.parse(run(data, ignore_faces=True).out / "xml/a.xml").getroot()
    assert [each.findtext("name") for each in root.iter("object")] == ["hat & coat", "redacted_face"]
    added = root.findall("object")[1]
    assert added.findtext("difficult") == "1"
    assert abs(int(added.findtext("bndbox/ymax") or 0) - 107) <= 2


@pytest.mark.parametrize(
    "end",
    [
        "</annotation >",
        "</annotation><!-- </annotation> -->\n",
        "<!-- </annotation> --></annotation>",
        "</annotation><!-- </annotation> --><?tool </annotation>?>",
    ],
)
def test_voc_regions_are_added_where_the_annotation_ends(data: Path, end: str) -> None:
    text = VOC.format(name="a.png", path="a.png").replace("</annotation>", end)
    (data / "xml" / "a.xml").write_text(text)
    root = ElementTree.parse(run(data, ignore_faces=True).out / "xml/a.xml").getroot()
    assert [each.findtext("name") for each in root.iter("object")] == ["hat & coat", "redacted_face"]


@pytest.mark.parametrize(
    "hostile",
    [f"<path>{' ' * 4000}</path>", f"<!-- </annotation>{'<?a?>' * 60} x -->"],
    ids=["blanks", "instructions"],
)
def test_voc_that_is_made_to_take_for_ever_does_not(data: Path, hostile: str) -> None:
    text = VOC.format(name="a.png", path="a.png").replace(
        "</annotation>", "</annotation>" + "<!-- x -->" * 40
    )
    (data / "xml" / "a.xml").write_text(text.replace("<object>", f"{hostile}<object>", 1))
    root = ElementTree.parse(run(data, ignore_faces=True).out / "xml/a.xml").getroot()
    assert [each.findtext("name") for each in root.iter("object")] == ["hat & coat", "redacted_face"]


def test_voc_to_which_nothing_can_be_added_stays_out(data: Path) -> None:
    (data / "images/train/a.xml").write_text("<annotation/>")
    left = reasons(run(data, ignore_faces=True))
    assert left["images/train/a.xml"] == "corrupt"


def yolo(data: Path) -> None:
    (data / "labels/train/a.txt").write_text("1 0.5 0.5 0.25 0.25\r\n")
    (data / "labels/train/b.txt").write_text("")
    (data / "labels/train/bad.txt").write_text("0 0.5 0.5 0.25 0.25\n")
    (data / "classes.txt").write_text("hat\nglove\n")
    (data / "data.yaml").write_text(f"path: {data}\ntrain: images/train\nnc: 2\nnames: [hat, glove]  # two\n")
    lines = ["images/train/a.png", f"{data}/images/train/b.jpg", "./images/train/bad.jpg"]
    (data / "train.txt").write_text("\n".join(lines) + "\n")


def test_yolo(data: Path) -> None:
    yolo(data)
    summary = run(data)
    out = summary.out
    for name in ("labels/train/a.txt", "labels/train/b.txt", "classes.txt"):
        assert (out / name).read_bytes() == (data / name).read_bytes()
    assert (out / "data.yaml").read_text() == (data / "data.yaml").read_text().replace(str(data), str(out))
    assert (out / "train.txt").read_text() == f"images/train/a.png\n{out}/images/train/b.jpg\n"
    assert reasons(summary) == {"images/train/bad.jpg": "corrupt", "labels/train/bad.txt": "picture_left_out"}


def test_labels_that_lead_to_the_pictures_by_a_link(data: Path) -> None:
    link = data.parent / "by-link"
    link.symlink_to(data)
    yolo(data)
    (data / "data.yaml").write_text(f"path: {link}\ntrain: '{link}/images/train'\nnames: [hat, glove]\n")
    (data / "train.txt").write_text(f"{link}/images/train/a.png\n")
    (data / "xml/a.xml").write_text(VOC.format(name="a.png", path=link / "images/train/a.png"))
    (data / "annotations/all.json").write_text(json.dumps(coco(link)))
    out = run(data).out
    assert (out / "data.yaml").read_text() == (data / "data.yaml").read_text().replace(str(link), str(out))
    assert (out / "train.txt").read_text() == f"{out}/images/train/a.png\n"
    for name in ("xml/a.xml", "annotations/all.json"):
        text = (out / name).read_text()
        assert str(link) not in text and str(out) in text


def test_yolo_paths_that_only_look_like_data(data: Path) -> None:
    yolo(data)
    elsewhere = (
        f"path: /mnt{data}/set\ntrain: {data}2/a\nval: [{data}/images, x]\ntest: {data}\n"
        f"download: https://x.org{data}/s.zip\nnames: [hat, glove]\n"
    )
    (data / "data.yaml").write_text(elsewhere)
    out = run(data).out
    expected = elsewhere.replace(f"[{data}/", f"[{out}/").replace(f"test: {data}", f"test: {out}")
    assert (out / "data.yaml").read_text() == expected


def test_yolo_paths_with_escapes(data: Path) -> None:
    yolo(data)
    (data / "data.yaml").write_text(f'path: "{data}\\x2Fimages"\nnames: [hat, glove]\n')
    out = run(data).out
    content = yaml.safe_load((out / "data.yaml").read_text())
    assert content == {"path": f"{out}/images", "names": ["hat", "glove"]}


def test_yolo_paths_in_a_file_that_repeats_itself(data: Path) -> None:
    yolo(data)
    (data / "data.yaml").write_text(f"path: {data}\nnames: [hat, glove]\nmore: &a [*a, *a]\n")
    summary = run(data)
    assert reasons(summary)["data.yaml"] == "corrupt" and not (summary.out / "data.yaml").exists()


def test_yolo_ignores_redacted_faces(data: Path) -> None:
    yolo(data)
    out = run(data, ignore_faces=True).out
    first, added = (out / "labels/train/a.txt").read_text().splitlines()
    assert first == "1 0.5 0.5 0.25 0.25"
    values = [float(value) for value in added.split()]
    np.testing.assert_allclose(values, [2, 60 / 260, 68.5 / 240, 80 / 260, 77 / 240], atol=0.02)
    assert (out / "labels/train/b.txt").read_text() == ""
    assert (out / "classes.txt").read_text() == "hat\nglove\nredacted_face\n"
    assert "redacted_face" in (out / "data.yaml").read_text() and "nc: 3" in (out / "data.yaml").read_text()


def test_labels_of_ignored_pictures_are_ignored_too(data: Path) -> None:
    yolo(data)
    (data / "annotations" / "all.json").write_text(json.dumps(coco(data)))
    for stem in ("b", "bad"):
        (data / "xml" / f"{stem}.xml").write_text(VOC.format(name=f"{stem}.jpg", path=f"{stem}.jpg"))
    (data / "xml" / "other.xml").write_text(VOC.format(name="c.jpg", path="c.jpg"))
    (data / "images" / "train" / "c.jpg").write_bytes(BAD)
    config = AnonymizeConfig(ignore=["b.jpg", "bad.jpg"])
    for _ in range(2):
        summary = anonymize_folder(data, data.with_name("out"), detector=QuickDetector(), config=config)
        assert reasons(summary) == {"images/train/c.jpg": "corrupt", "xml/other.xml": "picture_left_out"}
        assert {entry.path for entry in summary.ignored if entry.reason == "picture_left_out"} == {
            "labels/train/b.txt",
            "labels/train/bad.txt",
            "xml/b.xml",
            "xml/bad.xml",
        }
        content = json.loads((summary.out / "annotations/all.json").read_text())
        assert [image["file_name"] for image in content["images"]] == ["train/a.png", "not-here.jpg"]
        assert {each["image_id"] for each in content["annotations"]} == {10, 13}
        assert (summary.out / "train.txt").read_text() == "images/train/a.png\n"


def test_voc_image_sets(data: Path) -> None:
    (data / "ImageSets").mkdir()
    (data / "ImageSets" / "hat_train.txt").write_text("a  1\nb -1\nbad  1\n")
    assert (run(data).out / "ImageSets/hat_train.txt").read_text() == "a  1\nb -1\n"


def test_lists_with_names_and_columns(data: Path) -> None:
    """A name may end in a number, like one that has columns behind it."""
    save(data / "photo.png", [])
    (data / "photo 1.jpg").write_bytes(BAD)
    (data / "list.txt").write_text("a.png 1\nphoto 1\nphoto -1\nbad.jpg 1\n")
    assert (run(data).out / "list.txt").read_text() == "a.png 1\nphoto -1\n"


def test_a_text_that_begins_as_a_bitmap_does(data: Path) -> None:
    save(data / "BMW.png", [])
    (data / "list.txt").write_text("BMW.png\nimages/train/a.png\n")
    summary = run(data)
    assert (summary.out / "list.txt").read_text() == "BMW.png\nimages/train/a.png\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("people.txt", "a Alice Smith, +49 171 555\n"),
        ("phones.txt", "a 49171555\n"),
        ("people.names", "Alice Smith\n"),
        ("my_classes.txt", "Alice Smith\n"),
        ("people.yaml", "names: [Alice Smith]\n"),
    ],
)
def test_text_about_people_is_no_label(data: Path, name: str, text: str) -> None:
    yolo(data)
    (data / name).write_text(text)
    summary = run(data)
    assert reasons(summary)[name] == "not_a_picture" and not (summary.out / name).exists()


def test_names_of_classes_come_only_with_labels_of_these_classes(data: Path) -> None:
    (data / "classes.txt").write_text("Alice Smith\n")
    (data / "data.yaml").write_text("path: .\nnames: [Alice Smith]\n")
    (data / "labels/train/a.txt").write_text("")
    left = reasons(run(data))
    assert left["classes.txt"] == left["data.yaml"] == "not_a_picture"
    (data / "labels/train/a.txt").write_text("0 0.5 0.5 0.25 0.25\n")
    assert (run(data).out / "classes.txt").exists()


BLOB = "QUJDz/+8" * 1200


def test_labels_that_embed_data_stay_out(data: Path) -> None:
    """labelme writes the original picture, base64, into its JSON; a COCO file could be used so, too."""
    labelme = {"imagePath": "a.png", "imageData": "x" * 9000, "shapes": []}
    (data / "a.json").write_text(json.dumps(labelme))
    (data / "hidden.json").write_text(json.dumps(coco(data, thumbnail="x" * 9000)))
    image = {"id": 1, "file_name": "a.png"}
    embedding = {
        "name.json": {"images": [{**image, BLOB: 1}]},
        "segmentation.json": {"images": [image], "annotations": [{"segmentation": BLOB}]},
        "list.json": {"images": [image], "annotations": [{"segmentation": [BLOB]}]},
        "counts.json": {"images": [image], "annotations": [{"segmentation": {"counts": BLOB}}]},
    }
    for name, content in embedding.items():
        (data / name).write_text(json.dumps(content))
    thumbnail = b64encode(encoded(np.zeros((40, 30, 3), np.uint8), "JPEG", quality=20)).decode()
    assert 200 < len(thumbnail) < 2000
    for name, value in {
        "small.json": thumbnail,
        "address.json": f"data:image/jpeg;base64,{thumbnail}",
        "line.json": f"\n{thumbnail}",
        "page.json": f'<img src="data:image/jpeg;base64,{thumbnail}">',
        "python.json": f"b'{thumbnail}'",
        "dash.json": f"thumbnail-{thumbnail}",
        "urlsafe.json": thumbnail.replace("+", "-").replace("/", "_"),
        "avif.json": b64encode(bytes.fromhex("00000020") + b"ftypavif" + bytes(200)).decode(),
    }.items():
        embedding[name] = {"images": [{**image, "thumbnail": value}]}
        (data / name).write_text(json.dumps(embedding[name]))
    (data / "person.json").write_text('{"images": [], "name": "somebody"}')
    (data / "twice.json").write_text(f'{{"x": "{BLOB}", "x": 1, "images": [{{"file_name": "a.png"}}]}}')
    texts = {
        "value.yaml": f"path: .\nnames: [hat]\nthumbnail: {BLOB}\n",
        "binary.yaml": f"path: .\nnames: [hat]\nthumbnail: !!binary {BLOB}\n",
        "comment.yaml": f"path: .\nnames: [hat] # {BLOB}\n",
        "text.xml": f"<annotation><x>{BLOB}</x></annotation>",
        "attribute.xml": f'<annotation><x y="{BLOB}"/></annotation>',
        "comment.xml": f"<annotation><!-- {BLOB} --></annotation>",
        "indented.xml": f"<annotation><x>\n    {thumbnail}\n  </x></annotation>",
    }
    for name, text in texts.items():
        (data / name).write_text(text)
    (data / "labels/train/a.txt").write_text("0 0.5 0.5 0.25 0.25\n")
    assert reasons(run(data)) == {
        "images/train/bad.jpg": "corrupt",
        "a.json": "not_a_picture",
        "hidden.json": "embeds_data",
        "twice.json": "corrupt",
        "person.json": "not_a_picture",
        **dict.fromkeys([*embedding, *texts], "embeds_data"),
    }


def test_masks_may_be_long(data: Path) -> None:
    masks = [
        {"id": 1, "image_id": 1, "segmentation": {"size": [260, 240], "counts": "0o1PZ" * 2000}},
        {"id": 2, "image_id": 1, "segmentation": [[1.5] * 9000]},
    ]
    content = {"images": [{"id": 1, "file_name": "a.png"}], "annotations": masks}
    (data / "masks.json").write_text(json.dumps(content))
    assert (run(data).out / "masks.json").read_text() == json.dumps(content)


def test_labels_follow_their_source_and_stay_otherwise(data: Path) -> None:
    yolo(data)
    out = run(data).out
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*.txt")}
    run(data)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.txt")} == times
    (data / "labels/train/a.txt").write_text("0 0.1 0.1 0.1 0.1\n")
    run(data)
    assert (out / "labels/train/a.txt").read_text() == "0 0.1 0.1 0.1 0.1\n"
    (out / "labels/train/a.txt").write_text("by hand")
    (data / "labels/train/a.txt").write_text("0 0.2 0.2 0.1 0.1\n")
    assert reasons(run(data))["labels/train/a.txt"] == "output_changed"
    assert (out / "labels/train/a.txt").read_text() == "by hand"


def test_labels_can_be_left(data: Path) -> None:
    yolo(data)
    config = AnonymizeConfig(labels=LabelsConfig(carry=False))
    summary = anonymize_folder(data, data.with_name("out"), detector=QuickDetector(), config=config)
    assert not list(summary.out.rglob("*.txt")) and len(summary.ignored) == 6
