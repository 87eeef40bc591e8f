"""A calibration from beginning to end: predict, fit, export again, report."""

from __future__ import annotations

import dataclasses
import functools
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.anonymize.detect import Detections, Detector, Picture, SavedModelDetector
from pipeline.anonymize.detect.common import AskedOnce, Passing
from pipeline.anonymize.looks import looking
from pipeline.calibration.fit import OPERATING, fit, lower_bound, operating_score
from pipeline.calibration.score_map import CALIBRATION, FloatArray, ScoreMap, kept_score_map
from pipeline.calibration.scored import Scored, score_all
from pipeline.config.schema import CalibrationConfig, EvaluationConfig, ModelConfig
from pipeline.config.schema.anonymization import SCORE_FLOOR
from pipeline.evaluation.labelled import LabelledFaces, of_sources, read_labelled
from pipeline.evaluation.predict import Progress, load_any, predict
from pipeline.evaluation.reliability import Reliability, reliability
from pipeline.evaluation.slices import Rate, rate

RAW = {"detection_scores": "detection_raw_scores", "scores": "raw_scores"}
"""Where a signature's raw scores are, that stand in for its calibrated ones."""
ROUNDS = 8
"""Maps at most that are tried."""
STEP = 0.003
"""Raw score by which the next one differs at least."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Calibration:
    """What a calibration found.

    Attributes:
        score_map: the identity where it was not possible.
        reason: why it was not possible; empty if it was.
        precision, recall: at :data:`OPERATING` on the split that it was fitted to.
        precision_lower_bound: what decided where :data:`OPERATING` is; a release's gate asks for as much.
        before, after: reliability there, of the detections that the tool keeps.
    """

    score_map: ScoreMap
    reason: str
    precision: Rate
    precision_lower_bound: float
    recall: Rate
    before: Reliability
    after: Reliability

    @property
    def metrics(self) -> dict[str, float]:
        """By names that MLflow takes; to be put behind the split's."""
        return {
            "calibration_error_raw": self.before.error,
            "calibration_error": self.after.error,
            "precision_at_threshold": self.precision.share,
            "recall_at_threshold": self.recall.share,
            "raw_score_at_threshold": float(self.score_map.inverse(OPERATING)),
        }


def calibrate(
    model: ModelConfig,
    saved_model: Path,
    coco_jsons: Iterable[Path],
    config: CalibrationConfig,
    evaluation: EvaluationConfig,
    *,
    folder: Path | None = None,
    plot: Path | None = None,
    progress: Progress | None = None,
) -> Calibration:
    """Fits the map of a SavedModel's scores on labelled pictures and exports it with the map inside.

    Args:
        model: what the SavedModel was made of.
        saved_model: its folder; any map that it holds already is replaced.
        coco_jsons: pictures that the detector was not trained on.
        evaluation: of which sets, the overlap that counts as found, whether faces that nobody labelled count,
            tiles, and where the detector looks again.
        folder: where to write the calibrated SavedModel; default: in the place of the given one.
        plot: where to draw how reliable scores are, before and after.
    """
    from pipeline.export import export_calibrated, votes

    target = folder or saved_model
    if not votes(saved_model):  # from before boxes did: what is calibrated must be what is written
        export_calibrated(model, saved_model, target, ScoreMap())
        saved_model = target
    pictures = calibration_pictures(coco_jsons, evaluation)
    raw = raw_detector(saved_model, evaluation.runtime)
    found, scored = fit_where_it_looks(raw, pictures, config, evaluation, progress)
    if found.reason:
        log.warning("NOT CALIBRATED: %s. Scores stay as the network gives them", found.reason)
    added = sum(int(each.added.sum()) for each in pictures if each.added is not None)
    export_calibrated(model, saved_model, target, found.score_map)
    (target / CALIBRATION).write_text(json.dumps(document(found, config, scored, added), indent=1) + "\n")
    if plot:
        _draw(found, scored, plot)
    return found


def calibration_pictures(coco_jsons: Iterable[Path], evaluation: EvaluationConfig) -> list[LabelledFaces]:
    """What scores are calibrated on: who finds a face that only a consensus names is not wrong, so it counts
    for nothing, unless all figures are wanted as labelled.
    """
    pictures = read_labelled(coco_jsons, consensus=evaluation.consensus != "as_labelled")
    return of_sources(pictures, evaluation.sources)


def fit_where_it_looks(
    raw: Detector,
    pictures: Sequence[LabelledFaces],
    config: CalibrationConfig,
    evaluation: EvaluationConfig,
    progress: Progress | None = None,
) -> tuple[Calibration, Scored]:
    """The map for what the tool finds with that map, and what that is: its doubts are scores, too.

    So the detector looks and is calibrated in turn, to the mildest map that holds where it makes the detector
    look: stricter ones until one holds, or milder ones until one does not, or is hardly milder.

    Args:
        raw: gives scores as its network does.
    """
    raw = AskedOnce(raw)  # rounds differ in parts only
    scored = _looked(raw, ScoreMap(), pictures, evaluation, progress)
    found, best = assess(scored, config), None
    for _ in range(ROUNDS if evaluation.mirror == "auto" else 0):
        if found.reason:
            break
        scored = _looked(raw, found.score_map, pictures, evaluation, progress)
        operating = float(found.score_map.inverse(OPERATING))
        held = judged(found.score_map, scored, config)
        if held.precision_lower_bound >= config.precision:
            best = held, scored
            found = assess(scored, config)
            if found.reason or float(found.score_map.inverse(OPERATING)) > operating - STEP:
                break
        elif best:
            break
        else:  # the next is stricter, though stricter ones have more doubts
            found = assess(scored, config, operating + STEP)
    if best or found.reason or evaluation.mirror != "auto":
        return best or (found, scored)
    log.warning("after %s rounds no map holds where it makes the detector look; the last one stays", ROUNDS)
    scored = _looked(raw, found.score_map, pictures, evaluation, progress)
    return judged(found.score_map, scored, config), scored


def _looked(
    raw: Detector,
    score_map: ScoreMap,
    pictures: Sequence[LabelledFaces],
    evaluation: EvaluationConfig,
    progress: Progress | None,
) -> Scored:
    """What the tool would find with that map, which makes its doubts; scores as the network gives them."""
    at = dataclasses.replace(evaluation, score_threshold=OPERATING)
    detector = looking(_Rescored(raw, score_map), at)
    found = predict(detector, pictures, progress).detections
    plain = [Detections(each.boxes, score_map.inverse(each.scores)) for each in found]
    return score_all(pictures, plain, evaluation.iou)


def _draw(found: Calibration, scored: Scored, path: Path) -> None:
    from pipeline.evaluation.plots import save_reliability  # matplotlib takes a second to import

    path.parent.mkdir(parents=True, exist_ok=True)
    title = f"fitted to these {scored.pictures} pictures, {scored.faces} faces"
    measured = {"calibration_error_raw": found.before, "calibration_error": found.after}
    save_reliability(measured, title, path)


def assess(scored: Scored, config: CalibrationConfig, least: float = 0.0) -> Calibration:
    """The map for what was found on labelled pictures, and how well it fits them.

    Args:
        least: raw score that comes to :data:`OPERATING` at least.
    """
    score_map, reason = ScoreMap(), ""
    if scored.faces < config.min_faces:
        reason = f"{scored.faces} labelled faces, calibration.min_faces={config.min_faces}"
    elif operating := operating_score(scored, config.precision, config.confidence):
        score_map = fit(scored, max(operating, least))
    else:
        reason = (
            f"at no score are {config.precision:.0%} of the detections right "
            f"(calibration.precision, with a confidence of {config.confidence:.0%})"
        )
    return judged(score_map, scored, config, reason)


def judged(score_map: ScoreMap, scored: Scored, config: CalibrationConfig, reason: str = "") -> Calibration:
    """How well a map fits what was found."""
    calibrated = score_map(scored.scores)
    mapped = dataclasses.replace(scored, scores=calibrated)
    right, found = mapped.counts(OPERATING)
    kept = calibrated >= SCORE_FLOOR
    return Calibration(
        score_map=score_map,
        reason=reason,
        precision=rate(right, found),
        precision_lower_bound=lower_bound(mapped, OPERATING, config.confidence),
        recall=rate(right, scored.faces),
        before=reliability(scored.scores[kept], scored.right[kept]),
        after=reliability(calibrated[kept], scored.right[kept]),
    )


def document(
    found: Calibration, config: CalibrationConfig, scored: Scored, consensus_faces: int = 0
) -> dict[str, Any]:
    """What :data:`CALIBRATION` holds.

    Args:
        consensus_faces: that only a consensus names, and that were ignored.
    """
    return {
        "raw": [round(each, 6) for each in found.score_map.raw],
        "calibrated": [round(each, 6) for each in found.score_map.calibrated],
        "reason": found.reason,
        "settings": dataclasses.asdict(config),
        "pictures": scored.pictures,
        "consensus_faces": consensus_faces,
        "faces": scored.faces,
        "precision": dataclasses.asdict(found.precision),
        "precision_lower_bound": found.precision_lower_bound,
        "recall": dataclasses.asdict(found.recall),
        "metrics": found.metrics,
    }


def raw_detector(saved_model: Path, runtime: str = "tensorflow") -> Detector:
    """The detector of a SavedModel, with the scores that its network gives."""
    detector = load_any(saved_model, runtime=runtime)
    if isinstance(detector, SavedModelDetector):
        return dataclasses.replace(detector, model=_RawOutputs(detector.model))
    return _Rescored(detector, kept_score_map(saved_model).inverse)


class _RawOutputs:
    """A SavedModel whose raw scores stand in the place of the calibrated ones, if it has both."""

    def __init__(self, model: Any) -> None:
        self._model = model  # owns the variables
        self.signatures = {
            name: functools.partial(self._raw, model.signatures[name])
            for name in ("batched", "serving_default", "raw")
            if name in model.signatures
        }

    @staticmethod
    def _raw(call: Callable[..., Mapping[str, Any]], **images: Any) -> dict[str, Any]:
        found = call(**images)
        return {**found, **{name: found.get(raw, found[name]) for name, raw in RAW.items() if name in found}}


class _Rescored(Passing):
    """A detector whose scores go through a function of them that rises."""

    def __init__(self, detector: Detector, rescore: Callable[[FloatArray], FloatArray]) -> None:
        self.detector, self._rescore = detector, rescore

    def detect(self, pictures: Sequence[Picture]) -> list[Detections]:
        return self._rescored(self.detector.detect(pictures))

    def detect_parts(self, parts: Sequence[Picture]) -> list[Detections]:
        return self._rescored(self.detector.detect_parts(parts))  # type: ignore[attr-defined]  # it has parts

    def _rescored(self, found: Sequence[Detections]) -> list[Detections]:
        return [Detections(each.boxes, self._rescore(each.scores)) for each in found]
