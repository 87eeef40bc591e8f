"""How a set draws its boxes; the two detectors themselves are not run."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.box_edges import outside, rows
from pipeline.anonymize.detect import Detections
from pipeline.boxes import Boxes
from pipeline.config.schema import ConsensusConfig, GrowConfig
from pipeline.data.examples import LabelledPicture
from pipeline.data.merge import even
from pipeline.evaluation.labelled import LabelledFaces


def picture(boxes: list[list[float]], labels: tuple[str, ...]) -> LabelledFaces:
    size, nothing = len(boxes), np.zeros(len(boxes), dtype=bool)
    return LabelledFaces(
        1, Path("p.jpg"), "s/p.jpg", "s", 400, 300, Boxes(np.array(boxes)), labels, ("s",) * size, nothing
    )


def detections(boxes: list[list[float]]) -> Detections:
    return Detections(Boxes(np.array(boxes)), np.full(len(boxes), 0.9))


def test_how_far_labels_reach_beyond_the_detectors_boxes() -> None:
    faces = [[90, 80, 150, 200], [200, 100, 240, 150], [300, 10, 310, 20], [10, 200, 50, 250]]
    seen = [[100, 100, 140, 200], [200, 110, 240, 150], [300, 10, 310, 20], [330, 200, 370, 250]]
    pictures = {"a": picture([list(map(float, face)) for face in faces], ("mask", "bare", "bare", "bare"))}
    found = {"a": {"one": detections(seen), "two": detections(seen)}}
    edges = outside(pictures, found, ConsensusConfig(yunet="y.onnx"))
    # the third is too small to tell, the fourth only labelled
    assert {key: len(each) for key, each in edges.items()} == {("s", "bare"): 1, ("s", "mask"): 1}
    np.testing.assert_allclose(edges["s", "mask"][0, :4], [10 / 40, 20 / 100, 10 / 40, 0])
    np.testing.assert_allclose(edges["s", "bare"][0], [0, 0.25, 0, 0, 0.8])
    assert list(rows(edges)) == [
        ["s", "bare", "1", "+0.000", "+0.250", "+0.000", "+0.000", "0.80"],
        ["s", "mask", "1", "+0.250", "+0.200", "+0.250", "+0.000", f"{4000 / 7200:.2f}"],
    ]


def test_growing_by_the_difference_evens_a_set() -> None:
    """The formula of the module's manual."""
    own = Boxes(np.array([[90.0, 80, 150, 200]]))
    left, top, right, bottom, _ = outside(
        {"a": picture(own.xyxy.tolist(), ("mask",))},
        {"a": {name: detections([[100, 100, 140, 200]]) for name in ("one", "two")}},
        ConsensusConfig(yunet="y.onnx"),
    )["s", "mask"][0]
    grow = GrowConfig(-left / (1 + left + right), -top / (1 + top + bottom), -right / (1 + left + right))
    drawn = LabelledPicture("s", "p.jpg", Path("p.jpg"), 400, 300, own, ("mask",), ({},))
    np.testing.assert_allclose(even(drawn, {"mask": grow}).boxes.xyxy, [[100, 100, 140, 200]])
