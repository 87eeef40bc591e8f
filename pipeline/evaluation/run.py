"""An evaluation from beginning to end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.anonymize.detect import Detections, Detector, serving
from pipeline.anonymize.looks import looking
from pipeline.calibration.score_map import ScoreMap, kept_score_map
from pipeline.config.plain import plain
from pipeline.config.schema import EvaluationConfig, RedactConfig
from pipeline.data.version import DatasetVersion
from pipeline.errors import UserError
from pipeline.evaluation.bootstrap import Intervals, interval_of_share
from pipeline.evaluation.coco import coco_figures
from pipeline.evaluation.exposure import Exposure, Mask, measure_exposure
from pipeline.evaluation.labelled import LabelledFaces, of_sources, read_labelled
from pipeline.evaluation.matching import Match, match_all
from pipeline.evaluation.operating import curve, missed_faces, precision_at, recall_at
from pipeline.evaluation.predict import Predictions, Progress, load_any, predict
from pipeline.evaluation.redaction import redacted
from pipeline.evaluation.reliability import Reliability, kept_detections, reliability
from pipeline.evaluation.report import Evaluation, flat_rates, write_report
from pipeline.evaluation.wider import wider_ap

CHANGED = ("AP", "AP50", "AP75", "AR", "precision_at_threshold", "needless_pixels", "calibration_error")
"""Metrics that ignored faces change: they excuse detections, and are found by nobody."""


def evaluate(
    model: Path | str | Detector,
    coco_json: Path | Iterable[Path],
    config: EvaluationConfig,
    *,
    redact: RedactConfig | None = None,
    folder: Path | None = None,
    name: str | None = None,
    dataset: str | None = None,
    progress: Progress | None = None,
    score_map: ScoreMap | None = None,
) -> Evaluation:
    """Measures a detector on a labelled set.

    Args:
        model: a SavedModel's folder, or a detector that is already loaded.
        coco_json: of a data set version's split, or of several splits that count as one set.
        config: operating threshold, overlap and class.
        redact: how the tool would redact, for the exposed faces; default: the tool's defaults.
        folder: where metrics.json, missed.csv, missed.json, summary.md and the plots are written, and
            contact sheets if the config asks for them; None writes nothing.
        name: the detector's name in the report; default: the model's folder.
        dataset: the set's name in the report; default: its sources and splits.
        progress: called with pictures done and pictures in all.
        score_map: what the scores of a loaded detector went through; a SavedModel's folder says it itself.

    Raises:
        UserError: the model or the set cannot be read.
    """
    detector = _loaded(Path(model), config) if isinstance(model, str | Path) else model
    detector = looking(detector, config)
    paths = [coco_json] if isinstance(coco_json, Path) else list(coco_json)
    pictures = of_sources(read_labelled(paths, consensus=True), config.sources)
    named = name or (Path(model).name if isinstance(model, str | Path) else type(model).__name__)
    predictions = predict(detector, pictures, progress)
    shown = pictures if config.consensus == "ignored" else [picture.as_labelled() for picture in pictures]
    against = (config, redact or RedactConfig(), named, dataset or _set_name(pictures, paths))
    if isinstance(model, str | Path):
        score_map = kept_score_map(Path(model))
    result = measure(shown, predictions, *against, score_map=score_map)
    if config.consensus == "both" and any(picture.added is not None for picture in pictures):
        result = _beside(result, measure(pictures, predictions, *against, score_map=score_map))
    result.settings["model_digest"] = detector.digest
    result.settings["runtime"] = serving(detector, "unknown")
    return result if folder is None else _written(result, shown, predictions.detections, config, folder)


def _loaded(model: Path, config: EvaluationConfig) -> Detector:
    return load_any(model, config.class_id, config.runtime)


def _beside(result: Evaluation, ignoring: Evaluation) -> Evaluation:
    """Both figures; what a face is not counted for cannot change is left out of the metrics."""
    metrics = {
        f"consensus_ignored/{name}": ignoring.metrics[name] for name in CHANGED if name in ignoring.metrics
    }
    return replace(result, metrics=result.metrics | metrics, ignoring=ignoring)


def measured_on(version: DatasetVersion, config: EvaluationConfig) -> str:
    """The sets that figures are of: those that ``config.sources`` names, or all."""
    return "-".join(config.sources) or version.name


def split_files(version: DatasetVersion, split: str) -> list[Path]:
    """The COCO files of a split, or of every split that holds pictures for ``all``.

    Raises:
        UserError: no picture is in it.
    """
    wanted = list(version.counts) if split == "all" else [split]
    files = [version.coco(name) for name in wanted if version.counts.get(name)]
    if not files:
        held = ", ".join(f"{name} {count}" for name, count in version.counts.items())
        raise UserError(f"evaluation.split: {split} of {version.name} is empty; pictures: {held}")
    return files


def measure(
    pictures: Sequence[LabelledFaces],
    predictions: Predictions,
    config: EvaluationConfig,
    redact: RedactConfig,
    name: str,
    dataset: str,
    masks: Iterable[Mask] | None = None,
    score_map: ScoreMap | None = None,
) -> Evaluation:
    """All figures of predictions that are already there.

    Args:
        masks: what was redacted in each picture, for a tool with redaction of its own; default: what
            ours redacts with ``redact`` at the operating threshold.
        score_map: what the detector's scores went through, to compare them with the raw ones.
    """
    found = predictions.detections
    matches = match_all(pictures, found, config.iou)
    recall = recall_at(pictures, matches, config.score_threshold)
    precision = precision_at(found, matches, config.score_threshold)
    covered = masks if masks is not None else _masks(pictures, found, config.score_threshold, redact)
    exposure = measure_exposure(pictures, covered)
    averages, intervals = coco_figures(pictures, found)
    intervals["needless_pixels"] = interval_of_share(exposure.needless, exposure.pixels)
    intervals |= _over_pictures(found, matches, exposure, config.score_threshold)
    believed = _reliability(found, matches, score_map)
    seconds = predictions.seconds
    metrics = (
        averages
        | {"precision_at_threshold": precision.share, "recall_at_threshold": recall["all"].share}
        | flat_rates("recall", recall)
        | _exposure_metrics(exposure)
        | {name: each.error for name, each in believed.items()}
        | {f"wider/{difficulty}": ap for difficulty, ap in wider_ap(pictures, found).items()}
        | {"pictures": float(len(pictures)), "faces": float(recall["all"].of)}
        | ({"seconds_per_picture": float(np.mean(seconds))} if seconds else {})
    )
    return Evaluation(
        name=name,
        dataset=dataset,
        metrics=metrics,
        precision=precision,
        recall=recall,
        exposed=exposure.by_slice,
        curve=curve(pictures, found, matches),
        missed=missed_faces(pictures, matches, config.score_threshold),
        settings=_settings(config, redact),
        reliability=believed,
        intervals=intervals,
    )


def _over_pictures(
    detections: Sequence[Detections], matches: Sequence[Match], exposure: Exposure, threshold: float
) -> Intervals:
    """Of the rates of all faces: those of one picture are found or missed together."""
    pairs = zip(detections, matches, strict=True)
    kept = np.array([((found.scores >= threshold) & ~each.excused).sum() for found, each in pairs], float)
    right = np.array([(each.score_of >= threshold).sum() for each in matches], float)
    shares = {
        "precision_at_threshold": (right, kept),
        "recall_at_threshold": (right, exposure.faces),
        "exposed_faces": (exposure.exposed, exposure.faces),
    }
    return {name: interval_of_share(*each) for name, each in shares.items() if each[1].any()}


def _masks(
    pictures: Sequence[LabelledFaces],
    detections: Sequence[Detections],
    threshold: float,
    redact: RedactConfig,
) -> Iterator[Mask]:
    for picture, found in zip(pictures, detections, strict=True):
        yield redacted(found.at_least(threshold).boxes, redact, (picture.width, picture.height))


def _reliability(
    detections: Sequence[Detections], matches: Sequence[Match], score_map: ScoreMap | None
) -> dict[str, Reliability]:
    scores, right = kept_detections(detections, matches)
    result = {"calibration_error": reliability(scores, right)}
    if score_map and not score_map.is_identity:
        result["calibration_error_raw"] = reliability(score_map.inverse(scores), right)
    return result


def _exposure_metrics(exposure: Exposure) -> dict[str, float]:
    everywhere = exposure.by_slice["all"]
    bounds = {
        "exposed_faces": everywhere.share,
        "exposed_faces_low": everywhere.low,
        "exposed_faces_high": everywhere.high,
    }
    pixels = {"needless_pixels": exposure.needless_pixels, "redacted_pixels": exposure.redacted_pixels}
    return bounds | pixels | flat_rates("exposed", exposure.by_slice)


def _written(
    result: Evaluation,
    pictures: Sequence[LabelledFaces],
    detections: Sequence[Detections],
    config: EvaluationConfig,
    folder: Path,
) -> Evaluation:
    from pipeline.evaluation.plots import write_plots  # matplotlib takes a second to import

    result = replace(result, folder=folder)
    write_report(result, folder)
    write_plots(result, folder)
    if config.contact_sheets:
        from pipeline.evaluation.sheets import write_sheets

        matches: list[Match] = match_all(pictures, detections, config.iou)
        write_sheets(pictures, detections, matches, config.score_threshold, folder / "sheets")
    return result


def _set_name(pictures: Sequence[LabelledFaces], paths: Sequence[Path]) -> str:
    sources = sorted({picture.source for picture in pictures if picture.source})
    return "+".join(sources or ["pictures"]) + " " + "+".join(path.stem for path in paths)


def _settings(config: EvaluationConfig, redact: RedactConfig) -> dict[str, Any]:
    return plain(config) | {"redact": plain(redact)}
