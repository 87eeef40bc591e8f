"""The plots of an evaluation. They show figures, never pictures of people."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # also in a process without a screen
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.evaluation.operating import Curve
from pipeline.evaluation.reliability import BINS, Reliability
from pipeline.evaluation.report import Evaluation
from pipeline.evaluation.slices import Rate

BLUE, ORANGE, GREY = "#0b62a4", "#d1651a", "#8a8a8a"
STYLE: Any = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "axes.axisbelow": True,
    "axes.titlelocation": "left",
    "font.size": 10,
}


def write_plots(evaluation: Evaluation, folder: Path) -> list[Path]:
    """Writes pr_curve.png, scores.png, slices.png and reliability.png; returns where."""
    folder.mkdir(parents=True, exist_ok=True)
    with plt.rc_context(STYLE):
        figures = {
            "pr_curve.png": precision_recall(evaluation),
            "scores.png": scores(evaluation),
            "slices.png": slices(evaluation),
            "reliability.png": reliability(
                (evaluation.ignoring or evaluation).reliability,  # what scores are calibrated to mean
                _title(evaluation),
            ),
        }
        for name, figure in figures.items():
            figure.savefig(folder / name, dpi=120)
            plt.close(figure)
    return [folder / name for name in figures]


def precision_recall(evaluation: Evaluation) -> Figure:
    """Precision against recall, the operating point marked."""
    figure, axes = _canvas(evaluation, (6, 5))
    axes.plot(evaluation.curve.recall, evaluation.curve.precision, color=BLUE, linewidth=2)
    recall, precision = evaluation.recall["all"].share, evaluation.precision.share
    axes.plot([recall], [precision], "o", color=ORANGE, markersize=8)
    axes.annotate(
        f"at {evaluation.threshold:g}: recall {recall:.3f}, precision {precision:.3f}",
        (recall, precision),
        textcoords="offset points",
        xytext=(-8, -16),
        ha="right" if recall > 0.45 else "left",
        color=ORANGE,
    )
    ap50 = evaluation.metrics.get("AP50")
    title = f"AP50 {ap50:.3f}" if ap50 is not None else "no labelled face"
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1.005), ylim=(0, 1.02), title=title)
    return figure


def scores(evaluation: Evaluation) -> Figure:
    """Recall and precision against the threshold that one might choose."""
    figure, axes = _canvas(evaluation, (6.5, 4.5))
    for name, values, colour in _series(evaluation.curve):
        axes.plot(evaluation.curve.scores, values, color=colour, linewidth=2, label=name)
    axes.axvline(evaluation.threshold, color=GREY, linestyle="--", linewidth=1)
    axes.text(evaluation.threshold + 0.01, 0.03, f"threshold {evaluation.threshold:g}", color=GREY)
    axes.set(xlabel="score threshold", ylabel="share", xlim=(0, 1), ylim=(0, 1.02))
    axes.set_title("What a threshold finds, and how much of that is right")
    axes.legend(frameon=False, loc="lower left")
    return figure


def _series(curve: Curve) -> list[tuple[str, np.ndarray, str]]:
    return [("recall", curve.recall, BLUE), ("precision", curve.precision, ORANGE)]


def slices(evaluation: Evaluation) -> Figure:
    """Recall and exposed faces of every slice that holds a face, with intervals."""
    names = [name for name, each in evaluation.recall.items() if each.of]
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(10, 1.6 + 0.34 * len(names)), sharey=True, layout="constrained"
    )
    _intervals(left, [evaluation.recall[name] for name in names], BLUE, "recall at the threshold")
    _intervals(right, [evaluation.exposed[name] for name in names], ORANGE, "exposed faces")
    labels = [f"{name}  ({evaluation.recall[name].of})" for name in names]
    left.set_yticks(range(len(names)), labels)
    left.set_ylim(len(names) - 0.4, -0.6)
    figure.suptitle(_title(evaluation), x=0.01, ha="left", fontsize=10, color=GREY)
    return figure


def _intervals(axes: Axes, rates: list[Rate], colour: str, title: str) -> None:
    shares = np.array([each.share for each in rates])
    errors = [shares - [each.low for each in rates], np.array([each.high for each in rates]) - shares]
    rows = np.arange(len(rates))
    axes.barh(rows, shares, color=colour, alpha=0.25, height=0.62)
    axes.errorbar(shares, rows, xerr=np.clip(errors, 0, None), fmt="o", color=colour, capsize=3, markersize=4)
    for row, each in enumerate(rates):
        axes.text(
            1.02, row, f"{each.share:.3f}", va="center", transform=axes.get_yaxis_transform(), fontsize=9
        )
    axes.set(xlim=(0, 1), title=title)
    axes.grid(axis="y", visible=False)


def reliability(measured: Mapping[str, Reliability], title: str) -> Figure:
    """Share of right detections against their score, and how many there are; raw scores come first."""
    titles = {"calibration_error_raw": "raw scores", "calibration_error": "scores"}
    shown = {name: measured[name] for name in titles if name in measured}
    figure, panels = plt.subplots(
        2, max(len(shown), 1), figsize=(4.6 * max(len(shown), 1), 5.6), sharex=True, squeeze=False,
        height_ratios=(3, 1), layout="constrained",
    )  # fmt: skip
    for column, (name, each) in enumerate(shown.items()):
        upper, lower = panels[:, column]
        shares = np.array([part.share for part in each.right])
        errors = [shares - [part.low for part in each.right], [part.high for part in each.right] - shares]
        upper.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
        upper.errorbar(
            each.scores, shares, yerr=np.clip(errors, 0, None), fmt="o-", color=BLUE, capsize=3, markersize=4
        )
        upper.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="share that is right")
        upper.set_title(f"{titles[name]}: calibration error {each.error:.3f}")
        middle = (np.floor(np.minimum(each.scores, 1 - 1e-9) * np.float64(BINS)) + 0.5) / BINS
        lower.bar(middle, [part.of for part in each.right], width=0.9 / BINS, color=BLUE, alpha=0.25)
        lower.set(xlabel="score", ylabel="detections", yscale="symlog")
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, color=GREY)
    return figure


def save_reliability(measured: Mapping[str, Reliability], title: str, path: Path) -> None:
    """Writes :func:`reliability` as a picture of its own."""
    with plt.rc_context(STYLE):
        figure = reliability(measured, title)
        figure.savefig(path, dpi=120)
        plt.close(figure)


def _canvas(evaluation: Evaluation, size: tuple[float, float]) -> tuple[Figure, Axes]:
    figure, axes = plt.subplots(figsize=size, layout="constrained")
    figure.suptitle(_title(evaluation), x=0.01, ha="left", fontsize=10, color=GREY)
    return figure, axes


def _title(evaluation: Evaluation) -> str:
    metrics = evaluation.metrics
    return (
        f"{evaluation.name} on {evaluation.dataset}: {metrics['pictures']:.0f} pictures, "
        f"{metrics['faces']:.0f} faces"
    )
