"""How fast Veil anonymizes folders, end to end beside deface, and stage by stage. See ``--help``."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import roofline
from benchmarks.deface_peer import deface_environment
from benchmarks.speed_figures import ratios, speeds, starts
from benchmarks.speed_folders import Folder, folder_of
from benchmarks.speed_report import Results, report, write
from benchmarks.speed_runs import Race, Run, jobs
from benchmarks.speed_stages import Stages, measure
from pipeline.config import cli
from pipeline.config.paths import at_home
from pipeline.config.schema.speed import SpeedConfig, ToolKind
from pipeline.errors import UserError
from pipeline.evaluation.progress import progress_bar

STAGE_PICTURES = 6
"""Of each folder, to time the stages on."""


def main(config: SpeedConfig) -> None:
    """Makes the folders, runs the race and the stages, prints the tables, writes them and the plot."""
    check(config)
    outputs = Path(config.outputs)
    peers = [name for name, each in config.runners.items() if each.tool is ToolKind.deface]
    deface = _deface(config, outputs) if peers else Path()
    folders = _folders(config, outputs / "pictures")
    machine = _machine()
    with tempfile.TemporaryDirectory(dir=outputs) as work:
        runs = _race(Race(config, deface, Path(work).absolute()), folders)
    measured = speeds(runs)
    failed = {(each.runner, each.megapixels) for each in measured if each.failed}
    stages = list(_stages(config, folders, failed)) if config.stages else []
    peak = roofline.measure(config.detector) if config.stages else roofline.Roofline({}, 0.0)
    found = ratios(measured, peers)
    results = Results(machine, peers, folders, runs, measured, starts(runs), found, stages, peak)
    text = report(results)
    print(text)
    write(results, text, outputs)
    print(f"Written to {outputs}")


def check(config: SpeedConfig) -> None:
    """Raises UserError for lists that do not fit each other."""
    for name in ("pictures", "peer_pictures", "repetitions", "peer_repetitions"):
        given: list[int] = getattr(config, name)
        if len(given) != len(config.megapixels):
            raise UserError(
                f"{name}: {given}; allowed: as many values as megapixels has ({len(config.megapixels)})"
            )
    if not config.megapixels or len(set(config.megapixels)) < len(config.megapixels):
        raise UserError(f"megapixels: {config.megapixels}; allowed: different sizes, at least one")
    smallest = config.megapixels.index(min(config.megapixels))
    for name in ("pictures", "peer_pictures"):
        if getattr(config, name)[smallest] < 2:
            raise UserError(
                f"{name}: {getattr(config, name)}; allowed: at least 2 of the smallest size, "
                "to tell start-up from the rest"
            )


def _deface(config: SpeedConfig, outputs: Path) -> Path:
    """The program; raises UserError if that Python has none."""
    given = config.deface_python
    python = Path(given) if given else deface_environment(outputs / "deface-environment")
    program = python.absolute().with_name("deface")
    if not program.is_file():
        raise UserError(f"deface_python: {given}; allowed: a Python with the program deface beside it")
    return program


def _folders(config: SpeedConfig, cache: Path) -> list[Folder]:
    photos = at_home(config.photos) if config.photos else None
    folders = []
    with progress_bar("pictures") as progress:
        for number, (megapixels, count) in enumerate(zip(config.megapixels, config.pictures, strict=True)):
            folders.append(folder_of(cache, megapixels, count, config.seed, photos))
            progress(number + 1, len(config.megapixels))
    return folders


def _race(race: Race, folders: Sequence[Folder]) -> list[Run]:
    waiting = list(jobs(race.config, folders))
    with progress_bar("runs") as progress:
        return race.run(waiting, lambda number, run: progress(number + 1, len(waiting)))


def _stages(
    config: SpeedConfig, folders: Sequence[Folder], failed: set[tuple[str, float]]
) -> Iterator[Stages]:
    """Of every command line of Veil, on the folders that it did."""
    for name, runner in config.runners.items():
        if runner.tool is ToolKind.veil:
            did = {
                folder.megapixels: folder.pictures[:STAGE_PICTURES]
                for folder in folders
                if (name, folder.megapixels) not in failed
            }
            yield from measure(name, did, [f"detector.model={config.detector}", *runner.arguments])


def _machine() -> dict[str, str]:
    """What a reader must know of the computer; the load is of the last minute, by what else it does."""
    busy = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return {"processor": _processor(), "cores": str(os.cpu_count()), "load before": busy}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


if __name__ == "__main__":
    sys.exit(cli.run(main, SpeedConfig, "speed"))
