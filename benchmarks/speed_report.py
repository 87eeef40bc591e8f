"""The tables, the plot and the figures of a race, as files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from benchmarks.roofline import Roofline
from benchmarks.speed_figures import Ratio, Speed, Spread, Start, verdict
from benchmarks.speed_folders import Folder
from benchmarks.speed_runs import Run
from benchmarks.speed_stages import Stages
from pipeline.evaluation.plots import BLUE, GREY, ORANGE, STYLE
from pipeline.evaluation.report import table

COLUMNS = ("read", "decode", "detect", "resize", "infer", "redact", "encode", "hash", "verify", "wait", "all")
MARKS = "os^Dv*P"
LINES = ("-", "--", ":", "-.")


@dataclass(frozen=True)
class Results:
    """All that was measured.

    Attributes:
        machine: what the report says of the computer. peers: names of the runners that are not Veil.
        roofline: without peaks, where nothing was measured.
    """

    machine: Mapping[str, Any]
    peers: Sequence[str]
    folders: Sequence[Folder]
    runs: Sequence[Run]
    speeds: Sequence[Speed]
    starts: Mapping[str, Start]
    ratios: Sequence[Ratio]
    stages: Sequence[Stages] = ()
    roofline: Roofline = field(default_factory=lambda: Roofline({}, 0.0))


def report(results: Results) -> str:
    """The tables, in Markdown."""
    machine = ", ".join(f"{name} {value}" for name, value in results.machine.items())
    sizes = "; ".join(
        f"{each.megapixels:g} MP: {len(each.pictures)} of {each.megabytes:.1f} MB" for each in results.folders
    )
    parts = [
        f"# Speed, folder in, folder out\n\n{machine}. JPEGs {sizes}.",
        _rates(results),
        _starts(results),
    ]
    parts.append(_ratios(results))
    if results.stages:
        parts += [_stages(results), _roofline(results)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _rates(results: Results) -> str:
    header = ("MP", "tool", "pictures", "pictures/s", "with start-up", "CPU s a picture", "peak memory")
    rows = []
    for each in sorted(results.speeds, key=lambda speed: speed.megapixels):
        row = [f"{each.megapixels:g}", each.runner, str(each.pictures)]
        if each.failed:
            rows.append([*row, f"left out: {each.failed}", "", "", ""])
            continue
        row += [_spread(each.rate), f"{median(each.whole):.3g}", f"{median(each.cpu):.3g}"]
        rows.append([*row, f"{median(each.peak) / 1e9:.2f} GB"])
    words = "Rates without start-up; middle of the repetitions (least–greatest):"
    return "\n".join([words, "", *table(header, rows)])


def _starts(results: Results) -> str:
    rows = [
        [each.runner, _spread(each.first), f"{median(each.cpu):.2f}", f"{each.startup:.2f}"]
        for each in results.starts.values()
    ]
    header = ("tool", "first picture, s", "its CPU s", "start-up, s")
    words = "From the start of the process to its end, with one picture of the smallest size:"
    return "\n".join([words, "", *table(header, rows)]) if rows else ""


def _ratios(results: Results) -> str:
    header = ("MP", "tool", "against", "× pictures/s", "of its CPU", "of its memory", "target")
    rows = [
        [
            f"{each.megapixels:g}",
            each.runner,
            each.peer,
            _of(each.rate),
            f"{each.cpu.middle:.2f}",
            f"{each.peak.middle:.2f}",
            verdict(each),
        ]
        for each in sorted(results.ratios, key=lambda ratio: ratio.megapixels)
    ]
    words = "Against the faster backend of deface on each folder:"
    return "\n".join([words, "", *table(header, rows)]) if rows else ""


def _stages(results: Results) -> str:
    rows = []
    for each in sorted(results.stages, key=lambda each: each.megapixels):
        cells = [f"{each.milliseconds[name]:.0f}" if name in each.milliseconds else "–" for name in COLUMNS]
        rows.append([f"{each.megapixels:g}", each.runner, *cells])
    words = (
        "Stages, milliseconds a picture by the clock, summed over threads that overlap (wait: for the "
        "detector; resize and infer lie within detect; the second look is part of verify and of detect; "
        "all: what a picture takes in the end):"
    )
    return "\n".join([words, "", *table(("MP", "tool", *COLUMNS), rows)])


def _roofline(results: Results) -> str:
    """Once a runtime: the first of the runners that it serves."""
    gflop, peaks = results.roofline.gflop, results.roofline.peaks
    served = {each.runtime: each.detector for each in reversed(results.stages)}
    rows = []
    for runtime, milliseconds in sorted(served.items()):
        rate = 1000 * gflop / milliseconds
        shares = [f"{rate / peak:.0%}" for peak in peaks.values()]
        rows.append([runtime, f"{milliseconds:.0f}", f"{rate:.0f}", *shares])
    header = ("runtime", "ms a picture", "GFLOP/s", *(f"of the {name} peak" for name in peaks))
    reached = ", ".join(f"{peak:.0f} GFLOP/s in {name}" for name, peak in peaks.items())
    words = (
        f"The detector alone, a picture for each core at once, {gflop:.1f} GFLOP a picture; matrix products "
        f"reach {reached} here:"
    )
    return "\n".join([words, "", *table(header, rows)])


def _spread(values: Sequence[float]) -> str:
    spread = Spread.over(values)
    if spread.of == 1:
        return f"{spread.middle:.3g}"
    return f"{spread.middle:.3g} ({spread.low:.3g}–{spread.high:.3g})"


def _of(spread: Spread) -> str:
    return _spread([spread.low, spread.middle, spread.high] if spread.of > 1 else [spread.middle])


def write(results: Results, text: str, folder: Path) -> None:
    """Writes speed.md, speed.json and, with anything measured, speed.png."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "speed.md").write_text(text, encoding="utf-8")
    content = {
        "machine": dict(results.machine),
        "folders": [
            {"megapixels": each.megapixels, "pictures": len(each.pictures), "megabytes": each.megabytes}
            for each in results.folders
        ],
        "speeds": [asdict(each) for each in results.speeds],
        "starts": [asdict(each) for each in results.starts.values()],
        "ratios": [asdict(each) | {"target": verdict(each)} for each in results.ratios],
        "stages": [asdict(each) for each in results.stages],
        "roofline": asdict(results.roofline),
        "runs": [asdict(each) for each in results.runs],
    }
    (folder / "speed.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    if any(each.rate for each in results.speeds):
        plot(results, folder / "speed.png")


def plot(results: Results, path: Path) -> None:
    """Rate, processor time and memory against the size of a picture."""
    with plt.rc_context(STYLE):
        figure, panels = plt.subplots(1, 3, figsize=(13, 4.4), layout="constrained")
        names = list(dict.fromkeys(each.runner for each in results.speeds if each.rate))
        tools = len([name for name in names if name not in results.peers])
        for number, name in enumerate(names):
            mine = sorted(
                (each for each in results.speeds if each.runner == name and each.rate),
                key=lambda each: each.megapixels,
            )
            look = {
                "color": ORANGE if name in results.peers else BLUE,
                "marker": MARKS[number % len(MARKS)],
                "linestyle": LINES[(number - (tools if name in results.peers else 0)) % len(LINES)],
            }
            _line(panels[0], mine, [each.rate for each in mine], name, look)
            _line(panels[1], mine, [each.cpu for each in mine], name, look)
            _line(panels[2], mine, [[peak / 1e9 for peak in each.peak] for each in mine], name, look)
        titles = ("pictures a second, start-up left out", "processor seconds a picture", "peak memory, GB")
        ticks = sorted({each.megapixels for each in results.speeds})
        for axes, title in zip(panels, titles, strict=True):
            axes.set(xscale="log", yscale="log", xlabel="megapixels of a picture", title=title)
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            axes.minorticks_off()
            axes.yaxis.set_major_formatter("{x:g}")
        panels[0].legend(frameon=False, fontsize=9)
        machine = ", ".join(
            str(results.machine[key]) for key in ("processor", "cores") if key in results.machine
        )
        figure.suptitle(f"folder in, folder out: {machine} cores", x=0.01, ha="left", fontsize=10, color=GREY)
        figure.savefig(path, dpi=120)
        plt.close(figure)


def _line(
    axes: Axes, mine: Sequence[Speed], values: Sequence[Sequence[float]], name: str, look: dict[str, Any]
) -> None:
    """The middle of the repetitions, from the least to the greatest."""
    spreads = [Spread.over(each) for each in values]
    errors = [[each.middle - each.low for each in spreads], [each.high - each.middle for each in spreads]]
    x = [each.megapixels for each in mine]
    axes.errorbar(
        x, [each.middle for each in spreads], yerr=errors, label=name, capsize=3, markersize=5, **look
    )
