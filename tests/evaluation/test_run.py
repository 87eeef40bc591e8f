from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.boxes import Boxes
from pipeline.calibration.run import calibration_pictures
from pipeline.config.schema import EvaluationConfig, Method, RedactConfig
from pipeline.data.version import DatasetVersion
from pipeline.errors import UserError
from pipeline.evaluation import Evaluation, evaluate
from pipeline.evaluation.predict import Predictions
from pipeline.evaluation.report import summary, write_report
from pipeline.evaluation.run import measure, measured_on
from pipeline.release.gates import figures

FACES = {  # picture → (box, label): each face is drawn in a grey of its own
    "a.png": [((10, 10, 60, 70), "with_mask"), ((100, 20, 120, 44), "no_mask")],
    "b.png": [((30, 30, 40, 42), "mask_weared_incorrect")],
    "c.png": [],
}


@pytest.fixture
def coco(tmp_path: Path) -> Path:
    images, annotations = [], []
    for number, (name, faces) in enumerate(FACES.items(), start=1):
        pixels = np.zeros((100, 160, 3), np.uint8)
        for (xmin, ymin, xmax, ymax), label in faces:
            pixels[ymin:ymax, xmin:xmax] = 100 + len(annotations)
            xywh = [xmin, ymin, xmax - xmin, ymax - ymin]
            annotations.append(
                {"id": len(annotations) + 1, "image_id": number, "bbox": xywh, "source_label": label}
            )
        Image.fromarray(pixels).save(tmp_path / name)
        images.append({"id": number, "file_name": name, "width": 160, "height": 100, "source": "drawn"})
    path = tmp_path / "test.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations}))
    return path


TIGHT = RedactConfig(margin=0)
"""No pixel outside a box that is found exactly."""


class Greys:
    """Finds each grey of a picture, the n-th grey of the set with the n-th score."""

    digest = "greys"

    def __init__(self, make, scores=(0.9, 0.8, 0.7)) -> None:
        self.make, self.scores = make, scores

    def detect(self, pictures):
        return [self._detect(picture) for picture in pictures]

    def _detect(self, picture):
        greys = [grey for grey in np.unique(picture) if grey and self.scores[grey - 100]]
        areas = [np.argwhere(picture[:, :, 0] == grey) for grey in greys]
        boxes = [[*area.min(axis=0)[::-1], *(area.max(axis=0)[::-1] + 1)] for area in areas]
        return self.make(boxes, [self.scores[grey - 100] for grey in greys])


def test_a_perfect_detector(coco: Path, found) -> None:
    result = evaluate(Greys(found), coco, EvaluationConfig(), redact=TIGHT)
    assert isinstance(result, Evaluation)
    ones = [name for name in result.metrics if name.startswith(("AP", "AR", "recall", "precision"))]
    assert {name: result.metrics[name] for name in ones} == dict.fromkeys(ones, 1.0)
    assert {"recall/size_lt16", "recall/size_16_32", "recall/size_32_96", "recall/with_mask"} < set(ones)
    assert (result.metrics["exposed_faces"], result.metrics["needless_pixels"], result.missed) == (0, 0, [])
    assert (result.metrics["faces"], result.metrics["pictures"], result.folder) == (3, 3, None)
    assert "recall/size_gt96" not in result.metrics  # no face is that large: no figure, not 0 nor 1


def test_the_price_of_the_margin_is_in_the_figures(coco: Path, found) -> None:
    metrics = evaluate(Greys(found), coco, EvaluationConfig()).metrics  # grown by .2 and more; .15 is free
    assert (metrics["exposed_faces"], 0 < metrics["needless_pixels"] < 0.02) == (0, True)


def test_what_a_blind_detector_gets(coco: Path, found) -> None:
    result = evaluate(Greys(found, (0, 0, 0)), coco, EvaluationConfig())
    assert (result.metrics["AP50"], result.metrics["recall_at_threshold"], len(result.missed)) == (0, 0, 3)
    assert result.metrics["exposed_faces"] == 1


def test_the_threshold_decides(coco: Path, found) -> None:
    detector = Greys(found, (0.9, 0.4, 0.7))
    result = evaluate(detector, coco, EvaluationConfig())
    assert [(face.picture, face.label, face.best_score) for face in result.missed] == [
        ("a.png", "no_mask", 0.4)
    ]
    assert (result.metrics["recall/without_mask"], result.metrics["exposed/without_mask"]) == (0, 1)
    assert evaluate(detector, coco, EvaluationConfig(score_threshold=0.4)).missed == []


def test_a_detector_in_doubt_is_asked_of_the_mirror_image_as_the_tool_does_it(coco: Path, found) -> None:
    class LeftEyed(Greys):
        def _detect(self, picture):
            seen = super()._detect(picture)
            right = seen.boxes.xyxy[:, 0] >= picture.shape[1] / 2
            return replace(seen, scores=np.where(right, 0.3, seen.scores))

    missed = {
        mirror: len(evaluate(LeftEyed(found), coco, EvaluationConfig(mirror=mirror)).missed)
        for mirror in ("auto", "always", "off")
    }
    assert missed == {"auto": 0, "always": 0, "off": 1}


def test_a_tool_that_redacts_nothing_exposes_everybody(coco: Path, found) -> None:
    result = evaluate(Greys(found), coco, EvaluationConfig(), redact=RedactConfig(method=Method.none))
    assert (result.metrics["exposed_faces"], result.metrics["recall_at_threshold"]) == (1, 1)


@pytest.fixture
def gap(coco: Path) -> Path:
    """The same, with b.png's only face named by no source but by a consensus."""
    content = json.loads(coco.read_text())
    content["annotations"][2] |= {
        "origin": "consensus",
        "ignore": 1,
        "iscrowd": 1,
        "source_label": "consensus",
    }
    coco.write_text(json.dumps(content))
    return coco


def test_faces_of_a_consensus_are_false_alarms_as_labelled_and_nothing_when_ignored(gap: Path, found) -> None:
    detector = Greys(found, (0.9, 0.8, 0.95))
    result = evaluate(detector, gap, EvaluationConfig(), redact=TIGHT)
    assert (result.metrics["faces"], result.metrics["recall_at_threshold"]) == (2, 1)
    assert (result.precision.hits, result.precision.of) == (2, 3)
    assert result.metrics["AP50"] < result.metrics["consensus_ignored/AP50"] == 1
    assert result.metrics["needless_pixels"] > 0 == result.metrics["consensus_ignored/needless_pixels"]
    assert result.metrics["consensus_ignored/precision_at_threshold"] == 1
    assert result.ignoring is not None
    assert (result.ignoring.precision.of, result.ignoring.metrics["faces"]) == (2, 2)
    assert "consensus" not in result.recall  # no slice of what nobody has to find


def test_either_figure_alone(gap: Path, found) -> None:
    detector = Greys(found, (0.9, 0.8, 0.95))
    plain = evaluate(detector, gap, EvaluationConfig(consensus="as_labelled"))
    ignored = evaluate(detector, gap, EvaluationConfig(consensus="ignored"))
    assert (plain.precision.of, ignored.precision.of) == (3, 2)
    assert plain.ignoring is ignored.ignoring is None
    assert not any(name.startswith("consensus") for name in plain.metrics | ignored.metrics)


@pytest.mark.parametrize(("consensus", "excused"), [("both", 1), ("ignored", 1), ("as_labelled", 0)])
def test_scores_are_calibrated_with_such_faces_ignored(gap: Path, consensus: str, excused: int) -> None:
    pictures = calibration_pictures([gap], EvaluationConfig(consensus=consensus))
    assert sum(int(each.ignored.sum()) for each in pictures) == excused


def test_scores_are_calibrated_on_the_sets_that_are_asked_for(gap: Path) -> None:
    (source,) = {each.source for each in calibration_pictures([gap], EvaluationConfig())}
    assert calibration_pictures([gap], EvaluationConfig(sources=[source]))
    with pytest.raises(UserError, match=f"evaluation.sources: other; allowed: {source}"):
        calibration_pictures([gap], EvaluationConfig(sources=["other"]))


def test_both_figures_are_written(gap: Path, found, tmp_path: Path) -> None:
    detector = Greys(found, (0.9, 0.8, 0.95))
    evaluate(detector, gap, EvaluationConfig(), redact=TIGHT, folder=tmp_path / "out")
    content = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert (content["precision"]["of"], content["consensus_ignored"]["precision"]["of"]) == (3, 2)
    text = (tmp_path / "out" / "summary.md").read_text()
    assert re.search(r"\| needless pixels \| 0\.[1-9]\d% \(.*\) \| 0\.00% \(.*\) \|", text)
    assert "| measure | as labelled |" in text


def test_faces_found_or_missed_together_have_a_wider_interval_by_picture(
    labelled, found, tmp_path: Path
) -> None:
    """Six faces a picture, all of them found or none."""
    boxes = [[x, y, x + 20, y + 20] for x in (0, 60, 120) for y in (0, 60)]
    pictures = [labelled(boxes, id=number) for number in range(1, 81)]
    detections = [found(boxes, [0.9] * 6) if number % 2 else found() for number in range(80)]
    result = measure(pictures, Predictions(detections, []), EvaluationConfig(), TIGHT, "drawn", "drawn")
    write_report(result, tmp_path)
    content, text = json.loads((tmp_path / "metrics.json").read_text()), (tmp_path / "summary.md").read_text()
    recall = result.recall["all"]
    rates = {"recall_at_threshold": recall, "exposed_faces": result.exposed["all"]}
    for name, each in rates.items():
        low, high = content["intervals"][name]
        assert low < 0.5 < high and each.share == 0.5
        assert high - low == pytest.approx(6**0.5 * (each.high - each.low), rel=0.2)
        by_picture = f"by picture {low:.3f}–{high:.3f}"
        assert f"| 0.500 ({each.low:.3f}–{each.high:.3f}; {by_picture}; 240 of 480) |" in text
    assert content["intervals"]["precision_at_threshold"] == [1, 1], "of the detections none was wrong"
    assert "as if each face were independent" in text
    assert dict(figures(result))["recall"] == (0.5, recall.low, recall.high), "a gate is as strict as before"
    assert "by picture 0" not in summary(replace(result, intervals={})), "measured before there was one"


def test_metric_names_are_legal_in_mlflow(coco: Path, found) -> None:
    for name in evaluate(Greys(found), coco, EvaluationConfig()).metrics:
        assert re.fullmatch(r"[A-Za-z0-9_.\-/ ]+", name), name


def test_what_is_written(coco: Path, found, tmp_path: Path) -> None:
    folder = tmp_path / "out" / "here"
    result = evaluate(Greys(found, (0.9, 0.4, 0.7)), coco, EvaluationConfig(), folder=folder, name="greys")
    assert sorted(path.name for path in folder.iterdir()) == [
        "metrics.json",
        "missed.csv",
        "missed.json",
        "pr_curve.png",
        "reliability.png",
        "scores.png",
        "slices.png",
        "summary.md",
    ]
    assert result.folder == folder
    content = json.loads((folder / "metrics.json").read_text())
    assert content["metrics"] == result.metrics
    settings = content["settings"]
    assert (settings["model_digest"], settings["redact"]["method"]) == ("greys", "blur")
    assert settings["redact"]["margin"] == 0.2, "the tool's default is what is measured"
    assert content["exposed"]["all"] == {
        "hits": 1,
        "of": 3,
        "low": pytest.approx(0.0084, abs=1e-4),
        "high": pytest.approx(0.9057, abs=1e-4),
    }
    rows = list(csv.DictReader((folder / "missed.csv").open(newline="")))
    assert [(row["picture"], row["xmin"], row["size"], row["label"]) for row in rows] == [
        ("a.png", "100.0", "21.91", "no_mask")
    ]
    assert json.loads((folder / "missed.json").read_text())[0]["best_score"] == 0.4
    text = (folder / "summary.md").read_text()
    assert "# greys on drawn test" in text and "| with_mask | 1 | 1.000 |" in text
    for plot in folder.glob("*.png"):
        with Image.open(plot) as picture:
            assert min(picture.size) > 200


def test_sheets_only_on_request(coco: Path, found, tmp_path: Path) -> None:
    evaluate(
        Greys(found, (0.9, 0.4, 0.7)), coco, EvaluationConfig(contact_sheets=True), folder=tmp_path / "out"
    )
    assert sorted(path.name for path in (tmp_path / "out" / "sheets").iterdir()) == [
        "missed_size_16_32.jpg",
        "missed_without_mask.jpg",
    ]


def test_some_of_the_sets_alone(coco: Path, found) -> None:
    content = json.loads(coco.read_text())
    content["images"][0]["source"] = "other"
    coco.write_text(json.dumps(content))
    detector = Greys(found, (0, 0, 0.7))  # sees nothing in the other set's
    assert evaluate(detector, coco, EvaluationConfig()).metrics["faces"] == 3
    drawn = evaluate(detector, coco, EvaluationConfig(sources=["drawn"]))
    assert [drawn.metrics[name] for name in ("pictures", "faces", "recall_at_threshold")] == [2, 1, 1]
    assert drawn.dataset == "drawn test"
    assert evaluate(detector, coco, EvaluationConfig(sources=["other", "drawn"])).metrics["faces"] == 3
    with pytest.raises(UserError, match="drawm; allowed: drawn, other"):
        evaluate(detector, coco, EvaluationConfig(sources=["drawm"]))


def test_figures_of_some_sets_are_not_named_after_all(tmp_path: Path) -> None:
    version = DatasetVersion(tmp_path, "a-b-c", "f" * 64, {"test": 3}, {"test": 3}, {}, {})
    assert measured_on(version, EvaluationConfig()) == "a-b-c"
    assert measured_on(version, EvaluationConfig(sources=["a", "c"])) == "a-c"


def test_nothing_to_evaluate_is_no_crash(tmp_path: Path, found) -> None:
    path = tmp_path / "empty.json"
    path.write_text('{"images": [], "annotations": []}')
    result = evaluate(Greys(found), path, EvaluationConfig(), folder=tmp_path / "out")
    assert (result.metrics["faces"], "AP" in result.metrics) == (0, False)


def test_wider_figures_where_the_set_has_difficulties(coco: Path, found) -> None:
    content = json.loads(coco.read_text())
    for annotation in content["annotations"]:
        annotation["attributes"] = {"difficulty": ["medium", "hard"]}
    coco.write_text(json.dumps(content))
    metrics = evaluate(Greys(found), coco, EvaluationConfig()).metrics
    assert (metrics["wider/easy"], metrics["wider/medium"], metrics["wider/hard"]) == (0, 1, 1)
    assert metrics["recall/medium"] == 1 and "recall/easy" not in metrics


def test_boxes_are_of_the_right_kind(coco: Path, found) -> None:
    """The detector of these tests really sees the pixels."""
    picture = np.asarray(Image.open(coco.parent / "b.png"))
    assert (
        Greys(found).detect([picture])[0].boxes.xyxy.tolist()
        == Boxes(np.array([[30.0, 30, 40, 42]])).xyxy.tolist()
    )
