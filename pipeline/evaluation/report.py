"""The result of an evaluation as a value, and as a folder of files."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from pipeline.evaluation.bootstrap import Intervals
from pipeline.evaluation.operating import Curve, MissedFace
from pipeline.evaluation.reliability import Reliability
from pipeline.evaluation.slices import Rate

INTERVALS = (
    "Intervals are 95 %. Of shares of faces or detections: Clopper–Pearson's, as if each face were "
    "independent; of the shares of all faces also, `by picture`, over resamples of pictures: faces of one "
    "picture are found or missed together. Of all else: over resamples of pictures."
)
LABELS = {
    "calibration_error": "calibration error",
    "calibration_error_raw": "calibration error of the raw scores",
}


@dataclass(frozen=True)
class Evaluation:
    """How well a detector finds the faces of a labelled set.

    Attributes:
        name: of the detector.
        dataset: what was evaluated on, for people.
        metrics: flat, with names that MLflow takes: ``AP``, ``AP50``, ``AP75``, ``AR``,
            ``precision_at_threshold``, ``recall_at_threshold``, ``recall/<slice>``, ``exposed_faces``,
            ``exposed/<slice>``, ``needless_pixels``, ``wider/easy`` … where the set has difficulties.
            A slice without faces has no metric.
        precision: at the threshold.
        recall, exposed: a rate for ``all`` and for each slice.
        curve: precision and recall over all scores.
        missed: the faces that the threshold leaves out, largest first.
        settings: what the figures depend on: thresholds, redaction, model.
        ignoring: the same with the faces ignored that no source labelled but a consensus names; its
            averages, precision, needless pixels and calibration error are in ``metrics`` too, as
            ``consensus_ignored/…``.
        reliability: of the detections that the tool keeps, by the metric that holds their error:
            ``calibration_error``, and ``calibration_error_raw`` for the scores before calibration.
        intervals: of averages, pixels, and the rates of all faces, over resamples of the pictures.
        folder: where it was written, if it was.
    """

    name: str
    dataset: str
    metrics: dict[str, float]
    precision: Rate
    recall: dict[str, Rate]
    exposed: dict[str, Rate]
    curve: Curve
    missed: list[MissedFace]
    settings: dict[str, Any] = field(default_factory=dict)
    folder: Path | None = None
    ignoring: Evaluation | None = None
    reliability: dict[str, Reliability] = field(default_factory=dict)
    intervals: Intervals = field(default_factory=dict)

    @property
    def threshold(self) -> float:
        """The operating threshold."""
        return float(self.settings["score_threshold"])


def write_report(evaluation: Evaluation, folder: Path) -> None:
    """Writes metrics.json, missed.csv, missed.json and summary.md; the plots are another module's."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "name": evaluation.name,
        "dataset": evaluation.dataset,
        "settings": evaluation.settings,
        **_figures(evaluation),
    }
    if evaluation.ignoring:
        content["consensus_ignored"] = _figures(evaluation.ignoring)
    _write_json(folder / "metrics.json", content)
    _write_json(folder / "missed.json", [asdict(face) for face in evaluation.missed])
    with (folder / "missed.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [each.name for each in fields(MissedFace)])
        writer.writeheader()
        writer.writerows(asdict(face) for face in evaluation.missed)
    (folder / "summary.md").write_text(summary(evaluation), encoding="utf-8")


def _figures(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "metrics": evaluation.metrics,
        "intervals": evaluation.intervals,
        "precision": asdict(evaluation.precision),
        "recall": {name: asdict(each) for name, each in evaluation.recall.items()},
        "exposed": {name: asdict(each) for name, each in evaluation.exposed.items()},
        "reliability": {name: asdict(each) for name, each in evaluation.reliability.items()},
    }


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def summary(evaluation: Evaluation) -> str:
    """The figures that one looks at first, in Markdown."""
    metrics, settings = evaluation.metrics, evaluation.settings
    lines = [
        f"# {evaluation.name} on {evaluation.dataset}",
        "",
        f"{metrics['pictures']:.0f} pictures, {metrics['faces']:.0f} faces, "
        f"operating threshold {evaluation.threshold:g}.",
        "",
        INTERVALS,
        "",
        *_headline_table(evaluation),
        "",
        "Exposed: more than 20 % of the top 70 % of the labelled face stays unredacted, with "
        f"`redact.margin={settings['redact']['margin']:g}`, after looking with "
        f"`detector.tiles={settings['tiles']}` and `detector.mirror={settings['mirror']}`.",
        "",
        *table(("slice", "faces", "recall", "95 %", "exposed", "95 %"), _slice_rows(evaluation)),
        "",
    ]
    return "\n".join(lines)


def _headline_table(evaluation: Evaluation) -> list[str]:
    rows = _headline(evaluation)
    if not evaluation.ignoring:
        return table(("measure", "value"), rows)
    beside = dict(_headline(evaluation.ignoring))
    both = [(name, figure, beside.get(name, "")) for name, figure in rows]
    return table(("measure", "as labelled", "faces ignored that only a consensus names"), both)


def _headline(evaluation: Evaluation) -> list[tuple[str, str]]:
    metrics = evaluation.metrics
    needless = metrics["needless_pixels"]
    averages = [name for name in ("AP", "AP50", "AP75", "AR") if name in metrics]
    rows: list[tuple[str, str]] = [
        (str(name), f"{metrics[name]:.3f}{_resampled(evaluation, name, '.3f')}") for name in averages
    ]
    rows += [
        ("precision at threshold", _rate(evaluation, "precision_at_threshold", evaluation.precision)),
        ("recall at threshold", _rate(evaluation, "recall_at_threshold", evaluation.recall["all"])),
        ("exposed faces", _rate(evaluation, "exposed_faces", evaluation.exposed["all"])),
        ("needless pixels", f"{needless:.2%}{_resampled(evaluation, 'needless_pixels', '.2%')}"),
        *[(LABELS[name], f"{each.error:.3f}") for name, each in evaluation.reliability.items()],
    ]
    return rows + [
        (f"WIDER FACE AP, {name.removeprefix('wider/')}", f"{number:.3f}")
        for name, number in metrics.items()
        if name.startswith("wider/")
    ]


def _slice_rows(evaluation: Evaluation) -> list[tuple[str, ...]]:
    return [
        (name, str(found.of), f"{found.share:.3f}", _interval(found), f"{shown.share:.3f}", _interval(shown))
        for name, found in evaluation.recall.items()
        if found.of
        for shown in [evaluation.exposed[name]]
    ]


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table, line by line."""
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def flat_rates(prefix: str, rates: Mapping[str, Rate]) -> dict[str, float]:
    """``prefix/slice`` to share, for the slices that hold a face; ``all`` is left to the caller."""
    return {f"{prefix}/{name}": each.share for name, each in rates.items() if each.of and name != "all"}


def _resampled(evaluation: Evaluation, name: str, form: str, words: str = " ({})") -> str:
    if name not in evaluation.intervals:
        return ""
    low, high = evaluation.intervals[name]
    return words.format(f"{low:{form}}–{high:{form}}")


def _interval(each: Rate) -> str:
    return f"{each.low:.3f}–{each.high:.3f}"


def _rate(evaluation: Evaluation, name: str, each: Rate) -> str:
    by_picture = _resampled(evaluation, name, ".3f", "; by picture {}")
    return f"{each.share:.3f} ({_interval(each)}{by_picture}; {each.hits} of {each.of})"
