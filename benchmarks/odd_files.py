"""Odd files through deface and through Veil, side by side: a Markdown table, every cell measured.

    python -m benchmarks.odd_files                         makes deface's environment from PyPI, once
    python -m benchmarks.odd_files --deface-python PYTHON  uses one that is there

The pictures are made here from a public-domain portrait (Eileen Collins, NASA, from scikit-image). Takes
a few minutes. The table goes to stdout, and with everything that either tool wrote to outputs/odd_files.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.deface_peer import deface_environment
from benchmarks.odd_pictures import CASES, FACE, Case
from benchmarks.odd_probe import describe
from pipeline.config.paths import ROOT

OUT = ROOT / "outputs" / "odd_files"


@dataclass(frozen=True)
class Tool:
    """A command line.

    Attributes:
        run: from a source (a file, or a folder) and a folder to write to, to a finished process.
        place: where the tool puts the output of a file of that name.
    """

    name: str
    run: Callable[[Path, Path, Case], subprocess.CompletedProcess[str]]
    place: Callable[[Path, str], Path]


def main() -> None:
    """Print the table, and keep it."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--deface-python", type=Path, default=None)
    arguments.add_argument("--model", default="models/efficientdet_d2")
    given = arguments.parse_args()
    python = given.deface_python or deface_environment(ROOT / "outputs" / "compare" / "deface")
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    tools = [deface(python), veil(given.model)]
    rows = [f"| odd file | {' | '.join(tool.name for tool in tools)} |", "| --- | --- | --- |"]
    for case in CASES:
        cells = [measure(case, tool) for tool in tools]
        rows.append(f"| {case.name} | {' | '.join(cells)} |")
        print(rows[-1], file=sys.stderr)
    table = "\n".join(rows) + "\n"
    (OUT / "table.md").write_text(table, encoding="utf-8")
    print(table, end="")


def measure(case: Case, tool: Tool) -> str:
    """What a tool made of a case, in a few words."""
    work = OUT / case.slug / tool.name.split()[0]
    data, out = work / "data", work / "out"
    data.mkdir(parents=True)
    case.make(data)
    done = tool.run(data, out, case)
    if case.again:
        done = tool.run(data, out, case)
    said = f"exit {done.returncode}" + (", traceback" if "Traceback" in done.stderr else "")
    if case.count:
        outputs = [path for path in sorted(work.rglob("*")) if _is_output(path, data)]
        return f"{said}; {case.count(outputs, data)}"
    name = case.asked
    return f"{said}; {describe(data / name, tool.place(out, name), FACE)}"


def _is_output(path: Path, data: Path) -> bool:
    pictures = (".jpg", ".png", ".tif", ".gif", ".webp")
    own = path.suffix in pictures and "_anonymized" in path.name
    return path.is_file() and path.suffix in pictures and (own or data not in path.parents)


def deface(python: Path) -> Tool:
    """Each file of a folder, as deface itself walks it; outputs lie beside the inputs."""

    def run(data: Path, out: Path, case: Case) -> subprocess.CompletedProcess[str]:
        out.mkdir(exist_ok=True)
        command = [str(python.with_name("deface")), str(data), *case.deface]
        return subprocess.run(command, cwd=data, capture_output=True, text=True)

    def place(out: Path, name: str) -> Path:
        path = Path(name)
        return out.parent / "data" / f"{path.stem}_anonymized{path.suffix}"

    return Tool("deface 1.5.0", run, place)


def veil(model: str) -> Tool:
    """anonymize.py with its defaults."""

    def run(data: Path, out: Path, case: Case) -> subprocess.CompletedProcess[str]:
        given = [f"data={data}", f"out={out}", f"detector.model={model}", *case.veil]
        return subprocess.run(
            [sys.executable, "anonymize.py", *given], cwd=ROOT, capture_output=True, text=True
        )

    return Tool("Veil", run, lambda out, name: out / name)


if __name__ == "__main__":
    main()
