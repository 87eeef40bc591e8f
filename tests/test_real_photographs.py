"""The released detector by the real command on real photographs, where they are at hand."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from pipeline.boxes import Boxes

PICTURES = 24
SMALLEST = 16  # px: faces that a person could recognise


@pytest.fixture(scope="module")
def anonymized(shared: Path, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first pictures of a set by name, with their VOC labels beside them."""
    photos = tmp_path_factory.mktemp("real") / "photos"
    source = shared / "data" / "facemask853"
    for folder, pattern in (("images", "*.jpg"), ("annotations", "*.xml")):
        (photos / folder).mkdir(parents=True)
        for path in sorted((source / folder).glob(pattern))[:PICTURES]:
            shutil.copy(path, photos / folder)
    command = [sys.executable, "anonymize.py", f"data={photos}"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode in (0, 3), done.stderr  # the second look may have findings
    return photos


def test_most_labelled_faces_are_found(anonymized: Path) -> None:
    found = json.loads((anonymized.with_name("photos-anonymized") / "detections.json").read_text())
    names = {image["id"]: Path(image["file_name"]).stem for image in found["images"]}
    seen: dict[str, list[list[float]]] = {name: [] for name in names.values()}
    for annotation in found["annotations"]:
        if annotation["score"] >= 0.5:
            seen[names[annotation["image_id"]]].append(annotation["bbox"])
    hits = [
        hit
        for label in sorted((anonymized / "annotations").glob("*.xml"))
        for hit in _found(label, Boxes.from_xywh(seen[label.stem]))
    ]
    assert len(hits) > 40
    assert np.mean(hits) > 0.7


def test_every_picture_is_there_and_its_labels_came_along(anonymized: Path) -> None:
    out = anonymized.with_name("photos-anonymized")
    for folder in ("images", "annotations"):
        names = {path.name for path in (anonymized / folder).iterdir()}
        assert {path.name for path in (out / folder).iterdir()} == names
    for path in (anonymized / "annotations").iterdir():
        assert (out / "annotations" / path.name).read_bytes() == path.read_bytes()


def _found(label: Path, boxes: Boxes) -> list[bool]:
    """Whether each labelled face of some size is overlapped by half."""
    edges = ("xmin", "ymin", "xmax", "ymax")
    faces = Boxes(
        [
            [float(each.findtext(edge) or 0) for edge in edges]
            for each in ElementTree.parse(label).iter("bndbox")
        ]
    )
    faces = faces[faces.face_sizes >= SMALLEST]
    return (faces.iou(boxes).max(axis=1, initial=0) >= 0.5).tolist()
