"""What a release may not lose."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from pipeline.anonymize.detect import Detections
from pipeline.boxes import Boxes
from pipeline.config.schema import EvaluationConfig, RedactConfig
from pipeline.evaluation.labelled import LabelledFaces
from pipeline.evaluation.predict import Predictions
from pipeline.evaluation.report import Evaluation
from pipeline.evaluation.run import measure
from pipeline.release.gates import compare, falls

BOXES = [[x, y, x + 20, y + 20] for x in (0, 60, 120) for y in (0, 60)]


def measured(share: float, extra: int = 0) -> Evaluation:
    """Sixty pictures of six faces, of which a share is found; and false alarms in the first pictures."""
    random = np.random.default_rng(0)
    pictures, detections = [], []
    for number in range(60):
        pictures.append(picture(number))
        boxes = [box for box in BOXES if random.uniform() < share]
        boxes += [[150, 80, 195, 98]] * (number < extra)
        detections.append(Detections(Boxes(np.array(boxes)), np.full(len(boxes), 0.9)))
    predictions = Predictions(detections, [])
    return measure(pictures, predictions, EvaluationConfig(), RedactConfig(margin=0), "drawn", "drawn")


def picture(number: int) -> LabelledFaces:
    return LabelledFaces(
        id=number + 1,
        path=Path("nowhere.png"),
        name=str(number),
        source="drawn",
        width=200,
        height=100,
        boxes=Boxes(np.array(BOXES)),
        labels=("with_mask",) * len(BOXES),
        sources=("drawn",) * len(BOXES),
        ignored=np.zeros(len(BOXES), dtype=bool),
    )


def failed(new: Evaluation, released: Evaluation) -> set[str]:
    return {each.name for each in compare(new, released, frozenset()) if not each.passed}


def test_the_same_passes_and_so_does_a_better_one() -> None:
    released = measured(0.8)
    assert failed(released, released) == set()
    assert failed(measured(0.95), released) == set()
    assert failed(measured(0.79), released) == set(), "within the interval"


def test_fewer_faces_found_fails_in_every_figure_that_says_so() -> None:
    lost = failed(measured(0.6), measured(0.8))
    assert {"AP50", "recall", "recall/with_mask", "recall/size_16_32", "exposed"} <= lost
    assert not lost & {"precision", "needless_pixels"}


def test_false_alarms_fail_in_precision_and_pixels_alone() -> None:
    released = measured(0.8)
    assert failed(measured(0.8, extra=40), released) >= {"precision", "needless_pixels"}
    assert not [name for name in failed(measured(0.8, extra=40), released) if "recall" in name]


def test_who_finds_a_face_that_only_a_consensus_names_is_not_wrong() -> None:
    released, seeing_more = measured(0.8), measured(0.8, extra=40)
    assert failed(replace(seeing_more, ignoring=released), replace(released, ignoring=released)) == set()
    assert "precision" in failed(replace(seeing_more, ignoring=released), released), "measured otherwise"


def test_a_failure_says_by_how_much_and_can_be_accepted_by_name() -> None:
    new, released = measured(0.6), measured(0.8)
    verdict = next(each for each in compare(new, released, frozenset({"recall"})) if each.name == "recall")
    beyond = released.recall["all"].low - new.recall["all"].share
    assert not verdict.passed and verdict.accepted and verdict.word == "accepted"
    assert f"{new.recall['all'].share:.4f}, released {released.recall['all'].share:.4f}" in verdict.says
    assert f"{beyond:.4f} beyond that interval" in verdict.says
    others = [each for each in compare(new, released, frozenset({"recall"})) if each.name == "exposed"]
    assert others[0].word == "FAILED"


def test_a_slice_that_only_one_of_them_has_is_no_gate() -> None:
    released = measured(0.8)
    slices = {name: each for name, each in released.recall.items() if name != "with_mask"}
    assert "recall/with_mask" not in {
        each.name for each in compare(released, replace(released, recall=slices), frozenset())
    }


def test_which_way_is_better() -> None:
    assert all(map(falls, ("exposed", "exposed/with_mask", "needless_pixels")))
    assert not any(map(falls, ("recall", "recall/with_mask", "AP", "precision")))


def test_every_metric_of_an_evaluation_is_gated_or_known_not_to_be() -> None:
    evaluation = measured(0.8)
    gated = {each.name for each in compare(evaluation, evaluation, frozenset())}
    names = {
        "precision_at_threshold": "precision",
        "recall_at_threshold": "recall",
        "exposed_faces": "exposed",
    }
    free = {"calibration_error", "pictures", "faces", "seconds_per_picture", "redacted_pixels"}
    free |= {"exposed_faces_low", "exposed_faces_high"}
    assert {names.get(name, name) for name in evaluation.metrics} - free <= gated
