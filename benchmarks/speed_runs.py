"""The race: every tool over every folder as a whole process, in turn, several times over."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.speed_folders import Folder
from pipeline.config.paths import ROOT
from pipeline.config.schema.speed import RunnerConfig, SpeedConfig, ToolKind

FINE = (0, 3)
"""Exit codes: 3 is Veil's when its second look found something in a picture that it wrote."""
MEASURED = Path(__file__).with_name("measured_process.py")


@dataclass(frozen=True)
class Run:
    """One process.

    Attributes:
        runner: name of the command line. megapixels: of the folder's pictures.
        repetition: number; -1 is the warm-up. pictures: how many it was given.
        seconds: from start to end. cpu: seconds of processor time. peak: bytes of memory.
        failed: why its figures do not count; empty: they do.
    """

    runner: str
    megapixels: float
    repetition: int
    pictures: int
    seconds: float
    cpu: float
    peak: int
    failed: str = ""


@dataclass(frozen=True)
class Job:
    """A run to come."""

    runner: str
    folder: Folder
    repetition: int
    pictures: int


def jobs(config: SpeedConfig, folders: Sequence[Folder]) -> Iterator[Job]:
    """Every run in its order: warm-ups, then repetition by repetition, so that what changes with time
    meets all tools alike. In each repetition every tool also does one picture of the smallest size: start-up.
    """
    smallest = min(folders, key=lambda folder: folder.megapixels)
    for name in config.runners:
        yield Job(name, smallest, -1, 1)
    for repetition in range(max([*config.repetitions, *config.peer_repetitions])):
        for number, folder in enumerate(folders):
            for name, runner in config.runners.items():
                count, times = _share(config, runner, number)
                if repetition < times:
                    if folder is smallest and count > 1:
                        yield Job(name, folder, repetition, 1)
                    yield Job(name, folder, repetition, count)


def _share(config: SpeedConfig, runner: RunnerConfig, number: int) -> tuple[int, int]:
    """How many pictures of a folder a tool gets, and how often."""
    if runner.tool is ToolKind.veil:
        return config.pictures[number], min(config.repetitions[number], runner.repetitions)
    count = min(config.peer_pictures[number], config.pictures[number])
    return count, min(config.peer_repetitions[number], runner.repetitions)


@dataclass
class Race:
    """Runs jobs.

    Attributes:
        deface: the program of that name. work: an empty folder for inputs and outputs, on the pictures' disk.
    """

    config: SpeedConfig
    deface: Path
    work: Path

    def run(self, waiting: Sequence[Job], told: Callable[[int, Run], None]) -> list[Run]:
        """All of them; ``told`` hears of each. A tool that fails in a folder is not tried there again."""
        runs: list[Run] = []
        for number, job in enumerate(waiting):
            where = job.runner, job.folder.megapixels
            if any(run.failed and where == (run.runner, run.megapixels) for run in runs):
                continue
            runs.append(self._run(job))
            told(number, runs[-1])
        return runs

    def _run(self, job: Job) -> Run:
        with tempfile.TemporaryDirectory(dir=self.work) as name:
            work = Path(name)
            (work / "data").mkdir()
            for path in job.folder.pictures[: job.pictures]:
                shutil.copyfile(path, work / "data" / path.name)
            figures, log = work / "figures.json", work / "log"
            command = self.command(job.runner, work / "data", work / "out")
            measured = [sys.executable, str(MEASURED), str(figures), str(log), *command]
            os.sync()  # what is still to be written would be, in the measured time
            subprocess.run(measured, cwd=ROOT, check=True)
            found = json.loads(figures.read_text(encoding="utf-8"))
            code = found.pop("code")
            failed = problem(code, self._outputs(work), job.pictures, log)
        return Run(job.runner, job.folder.megapixels, job.repetition, job.pictures, **found, failed=failed)

    def command(self, name: str, data: Path, out: Path) -> list[str]:
        """The command line: a folder in, a folder out. deface writes beside its inputs."""
        runner = self.config.runners[name]
        if runner.tool is ToolKind.deface:
            return [str(self.deface), str(data), *runner.arguments]
        given = [f"data={data}", f"out={out}", f"detector.model={self.config.detector}", *runner.arguments]
        return [sys.executable, "anonymize.py", *given]

    def _outputs(self, work: Path) -> int:
        return len(list((work / "out").glob("*.jpg"))) + len(list((work / "data").glob("*_anonymized.jpg")))


def problem(code: int, outputs: int, pictures: int, log: Path) -> str:
    """Why a run does not count; empty: it does."""
    if code in FINE and outputs == pictures:
        return ""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
    last = next((line for line in reversed(lines) if line), "")
    ended = f"signal {-code}" if code < 0 else f"exit code {code}"
    return f"{ended}, {outputs} of {pictures} pictures; {last[-200:]}"
