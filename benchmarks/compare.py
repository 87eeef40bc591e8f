"""Veil and its peers on the same pictures: exposed faces against needless pixels and time. See ``--help``."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from benchmarks.contenders import Comparison, Result, check
from pipeline.config import cli
from pipeline.config.schema import CompareConfig
from pipeline.data.prepare import prepare
from pipeline.evaluation.labelled import LabelledFaces, of_sources, read_labelled
from pipeline.evaluation.plots import BLUE, GREY, ORANGE, STYLE
from pipeline.evaluation.report import Evaluation, table
from pipeline.evaluation.run import measured_on, split_files


def main(config: CompareConfig) -> None:
    """Runs every contender, prints the table, writes it and the plot."""
    check(config)
    version = prepare(config.dataset)
    split = config.evaluation.split
    consensus = config.evaluation.consensus == "ignored"
    labelled = of_sources(read_labelled(split_files(version, split), consensus), config.evaluation.sources)
    pictures = selection(labelled, config.pictures)
    measured = measured_on(version, config.evaluation)
    folder = Path(config.outputs) / f"{measured}-{split}"
    results = Comparison(config, pictures, f"{measured} {split}", folder).run()
    text = report(results, f"{measured} {split}", len(pictures))
    print(text)
    write(results, text, folder)
    print(f"Written to {folder}")


def selection(pictures: list[LabelledFaces], count: int) -> list[LabelledFaces]:
    """So many pictures, evenly over the set; all for 0."""
    if not 0 < count < len(pictures):
        return pictures
    return [pictures[index] for index in np.linspace(0, len(pictures) - 1, count).round().astype(int)]


def measured(results: Sequence[Result]) -> list[Evaluation]:
    """The figures of those that ran."""
    return [each.evaluation for each in results if each.evaluation is not None]


def report(results: Sequence[Result], dataset: str, pictures: int) -> str:
    """The tables, in Markdown: all faces, then exposed faces by slice."""
    ran = measured(results)
    header = (
        "tool",
        "threshold",
        "exposed faces",
        "needless pixels",
        "recall",
        "precision",
        "AP50",
        "ms a picture",
    )
    lines = [f"# {dataset}: {pictures} pictures", "", *table(header, [_row(each) for each in results]), ""]
    if ran:
        names = [name for name, each in ran[0].exposed.items() if each.of]
        rows = [
            [f"{name} ({ran[0].exposed[name].of})", *(f"{each.exposed[name].share:.3f}" for each in ran)]
            for name in names
        ]
        lines += [
            "Exposed faces by slice:",
            "",
            *table(["slice (faces)", *(each.name for each in ran)], rows),
            "",
        ]
    if ran and "wider/easy" in ran[0].metrics:
        difficulties = ("easy", "medium", "hard")
        aps = [
            [each.name, *(f"{each.metrics[f'wider/{name}']:.3f}" for name in difficulties)] for each in ran
        ]
        lines += ["WIDER FACE AP:", "", *table(["tool", *difficulties], aps), ""]
    return "\n".join(lines)


def _row(result: Result) -> list[str]:
    if result.evaluation is None:
        return [result.name, f"{result.threshold:g}", f"left out: {result.note}", *[""] * 5]
    metrics, exposed = result.evaluation.metrics, result.evaluation.exposed["all"]
    return [
        result.name,
        f"{result.threshold:g}",
        f"{exposed.share:.3f} ({exposed.low:.3f}–{exposed.high:.3f})",
        f"{metrics['needless_pixels']:.3%}",
        f"{metrics['recall_at_threshold']:.3f}",
        f"{metrics['precision_at_threshold']:.3f}",
        f"{metrics.get('AP50', float('nan')):.3f}",
        f"{1000 * metrics['seconds_per_picture']:.0f}",
    ]


def write(results: Sequence[Result], text: str, folder: Path) -> None:
    """Writes compare.md, compare.json and compare.png."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "compare.md").write_text(text + "\n", encoding="utf-8")
    content = [
        {
            "name": each.name,
            "threshold": each.threshold,
            "note": each.note,
            "metrics": each.evaluation and each.evaluation.metrics,
            "exposed": each.evaluation and {key: asdict(one) for key, one in each.evaluation.exposed.items()},
        }
        for each in results
    ]
    (folder / "compare.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    if measured(results):
        plot(results, folder / "compare.png")


def plot(results: Sequence[Result], path: Path) -> None:
    """Exposed faces against needless pixels, and against time; the lower left is best."""
    ran = measured(results)
    with plt.rc_context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.8), sharey=True, layout="constrained")
        _scatter(left, ran, [100 * each.metrics["needless_pixels"] for each in ran])
        _scatter(right, ran, [1000 * each.metrics["seconds_per_picture"] for each in ran])
        left.set(xlabel="needless pixels, % of all", ylabel="exposed faces, share")
        right.set(xlabel="milliseconds to detect, a picture")
        left.set_ylim(bottom=0)
        metrics = ran[0].metrics
        counts = f"{metrics['pictures']:.0f} pictures, {metrics['faces']:.0f} faces"
        title = f"{ran[0].dataset}: {counts}; lower left is best"
        figure.suptitle(title, x=0.01, ha="left", fontsize=10, color=GREY)
        figure.savefig(path, dpi=120)
        plt.close(figure)


def _scatter(axes: Axes, ran: Sequence[Evaluation], across: Sequence[float]) -> None:
    for each, x in zip(ran, across, strict=True):
        exposed = each.exposed["all"]
        colour = BLUE if each.name.startswith("veil") else ORANGE
        errors = [[exposed.share - exposed.low], [exposed.high - exposed.share]]
        axes.errorbar([x], [exposed.share], yerr=errors, fmt="o", color=colour, capsize=3)
        axes.annotate(
            f"{each.name}", (x, exposed.share), textcoords="offset points", xytext=(7, 4), color=colour
        )
    axes.set_xlim(0, max([*across, 1e-3]) * 1.25)


if __name__ == "__main__":
    sys.exit(cli.run(main, CompareConfig, "compare"))
