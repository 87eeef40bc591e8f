"""Where Veil's time goes: its stages over folders, and its detector alone. A program of its own, so that
memory and threads of one measurement do not meet those of another.

    python -m benchmarks.speed_stages FIGURES.json FOLDERS OVERRIDE…

FOLDERS is a folder of folders of pictures, by name; FIGURES.json gets ``{"stages": {name: {stage:
milliseconds a picture}}, "runtime": …, "detector": milliseconds}``. Stage "all" is the run, by the clock,
from when the detector is loaded.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import cv2
import numpy as np

from benchmarks.children import figures_of
from benchmarks.speed_runs import FINE
from pipeline.anonymize import timings
from pipeline.anonymize.detect import Detector, load_detector
from pipeline.anonymize.entry import Entry
from pipeline.anonymize.folder import anonymize_folder
from pipeline.config import cli
from pipeline.config.compose import compose
from pipeline.config.paths import locate
from pipeline.config.schema import AnonymizeConfig
from pipeline.data.portraits import portraits

TIMES = 12
"""Calls of the detector alone, after two that do not count."""


@dataclass(frozen=True)
class Stages:
    """One command line of Veil on one folder.

    Attributes:
        milliseconds: by stage, a picture; by the clock and summed over threads, so that together they may be
            more than a picture takes. Stages lie within each other, see :mod:`pipeline.anonymize.timings`.
        runtime: what computed the network. detector: milliseconds a picture, alone, resize included.
    """

    runner: str
    megapixels: float
    milliseconds: Mapping[str, float]
    runtime: str
    detector: float


def measure(
    runner: str, folders: Mapping[float, Sequence[Path]], overrides: Sequence[str]
) -> Iterator[Stages]:
    """Run this module over copies of the pictures, given by their megapixels."""
    if not folders:
        return
    with tempfile.TemporaryDirectory(dir=next(iter(folders.values()))[0].parent) as name:
        for number, pictures in enumerate(folders.values()):
            data = Path(name) / str(number)
            data.mkdir()
            for path in pictures:
                shutil.copyfile(path, data / path.name)
        found = figures_of("benchmarks.speed_stages", name, *overrides)
    for number, megapixels in enumerate(folders):
        yield Stages(runner, megapixels, found["stages"][str(number)], found["runtime"], found["detector"])


def main(figures: str, folders: str, *overrides: str) -> None:
    """See the module."""
    cli.quiet_tensorflow()
    stages = {}
    waiting = sorted(Path(folders).iterdir())
    for number, data in enumerate([waiting[0], *waiting]):  # first what does not count: imports, first calls
        out = data.with_name(f"out-{number}")
        config = compose(AnonymizeConfig, "anonymize", [f"data={data}", f"out={out}", *overrides])
        watch = _Watch()
        with timings.collected() as times:
            code = anonymize_folder(config, watch=watch).exit_code
            times.seconds["all"] = time.perf_counter() - watch.began  # type: ignore[assignment]
        assert code in FINE, f"{data}: exit code {code}"
        count = len(list(data.iterdir()))
        stages[data.name] = {name: 1000 * each / count for name, each in sorted(times.seconds.items())}
    detector = load_detector(locate(config.detector.model), runtime=config.detector.runtime)
    runtime = str(getattr(detector, "runtime", config.detector.runtime))
    found = {"stages": stages, "runtime": runtime, "detector": 1000 * alone(detector)}
    Path(figures).write_text(json.dumps(found), encoding="utf-8")


class _Watch:
    """Notes when the first picture is begun."""

    began = 0.0

    def start(self, files: int) -> None:
        self.began = time.perf_counter()

    def advance(self, path: str, entry: Entry) -> None:
        pass


def alone(detector: Detector) -> float:
    """Median seconds a picture of the size that the network sees, with one for each core at once.

    OpenVINO computes a picture on a share of the cores; one alone would be told against the peak of all.
    """
    side = int(getattr(detector, "input_size", 768))
    square = np.asarray(cv2.resize(portraits()[1].rgb, (side, side)), np.uint8)
    together = [square] * (os.cpu_count() or 1)
    for _ in range(2):
        detector.detect(together)
    seconds = []
    for _ in range(TIMES):
        began = time.perf_counter()
        detector.detect(together)
        seconds.append((time.perf_counter() - began) / len(together))
    return median(seconds)


if __name__ == "__main__":
    main(*sys.argv[1:])
