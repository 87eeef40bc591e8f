from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.peers import UltraFace, YuNet
from pipeline.errors import UserError
from pipeline.evaluation.labelled import LabelledFaces
from pipeline.evaluation.matching import match_all
from pipeline.evaluation.operating import recall_at
from pipeline.evaluation.predict import predict
from pipeline.evaluation.wider import wider_ap

EVERY = 32  # of the 320 pictures: 10


@pytest.fixture(scope="module")
def wider(shared: Path, labelled_wider) -> list[LabelledFaces]:
    return labelled_wider(shared / "data" / "wider_val_dev")[::EVERY]


@pytest.fixture(scope="module")
def labelled_wider():
    """Reads WIDER FACE's text with nothing of the project, apart from its value."""

    def read(folder: Path) -> list[LabelledFaces]:
        counted = json.loads((folder / "difficulty.json").read_text())
        lines = iter((folder / "wider_face_val_bbx_gt.txt").read_text().splitlines())
        return [
            _picture(folder, name, [next(lines) for _ in range(int(next(lines)))], counted[name])
            for name in lines
        ]

    return read


def _picture(folder: Path, name: str, rows: list[str], counted: dict[str, list[int]]) -> LabelledFaces:
    from pipeline.boxes import Boxes

    values = np.array([list(map(float, row.split())) for row in rows])
    with Image.open(folder / "images" / name) as picture:  # none of them carries an orientation
        width, height = picture.size
    return LabelledFaces(
        id=abs(hash(name)),
        path=folder / "images" / name,
        name=name,
        source="wider",
        width=width,
        height=height,
        boxes=Boxes.from_xywh(values[:, :4]),
        labels=("face",) * len(rows),
        sources=("wider",) * len(rows),
        ignored=values[:, 7] > 0,
        difficulties=tuple(
            frozenset(level for level, indices in counted.items() if index in indices)
            for index in range(len(rows))
        ),
    )


def test_yunet_reaches_what_its_authors_publish(shared: Path, wider: list[LabelledFaces]) -> None:
    """On all 320 pictures it reaches .867 / .865 / .793 here; ten of them scatter around that."""
    detector = YuNet(shared / "weights" / "peers" / "face_detection_yunet_2026may.onnx")
    predictions = predict(detector, wider)
    result = wider_ap(wider, predictions.detections)
    assert min(result["easy"], result["medium"]) > 0.7
    assert 0.55 < result["hard"] < 0.9
    large = recall_at(wider, match_all(wider, predictions.detections, 0.5), 0.5)["size_gt96"]
    assert large.share > 0.85


def test_ultraface_finds_the_large_faces(shared: Path, wider: list[LabelledFaces]) -> None:
    """On all 320 pictures .828 / .811 / .644."""
    predictions = predict(UltraFace(shared / "weights" / "peers" / "version-RFB-640.onnx"), wider)
    assert wider_ap(wider, predictions.detections)["easy"] > 0.6


@pytest.mark.parametrize("kind", [YuNet, UltraFace])
def test_missing_weights_are_named(kind: type, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.onnx is not a file"):
        kind(tmp_path / "none.onnx")
