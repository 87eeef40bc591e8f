"""What a run shows on the terminal."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress

from pipeline.anonymize.entry import Entry
from pipeline.anonymize.outcome import Summary
from pipeline.anonymize.paths import REPORT_HTML, shown
from pipeline.anonymize.recheck import Verification

RUNTIMES = {
    "tensorflow": "TensorFlow, the reference",
    "openvino": "OpenVINO in float32",
    "openvino_bf16": "OpenVINO in bfloat16",
}
MOST = 20
"""Lines of one list that the terminal shows; the manifest and the report hold all."""


class _Terminal(Console):
    """Whatever files are called, and whether or not somebody reads it: the exit code stays the run's own."""

    def __init__(self, **options: Any) -> None:
        if isinstance(sys.stdout, io.TextIOWrapper):  # which may know fewer letters than names have
            sys.stdout.reconfigure(errors="backslashreplace")
        super().__init__(highlight=False, emoji=False, **options)

    def on_broken_pipe(self) -> None:
        """As Rich does it, but without an exit."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())


class Progress:
    """A bar on stderr; a :class:`pipeline.anonymize.outcome.Watch`."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._bar = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("faces {task.fields[faces]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=_Terminal(stderr=True),
        )
        self._task: TaskID | None = None
        self._faces = 0

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._bar.stop()

    def start(self, files: int) -> None:
        self._task = self._bar.add_task(self._what, total=files, faces=0)
        self._bar.start()

    def advance(self, path: str, entry: Entry) -> None:
        self._faces += len(entry.faces)
        if self._task is not None:
            self._bar.update(self._task, advance=1, faces=self._faces)


def print_summary(summary: Summary) -> None:
    """What was done and what was not, for people."""
    console = _Terminal(soft_wrap=True)
    if summary.planned is not None:
        _print_plan(console, summary)
        return
    totals, made = summary.totals(), sum(summary.made.values())
    pictures = totals["pictures"]
    console.print(
        f"[bold]{pictures}[/] pictures in {_name(summary.out)}: {made} done now in "
        f"{summary.seconds:.0f} s, {pictures - min(made, pictures)} as they were"
    )
    for why, count in summary.made.items():
        if why != "new":
            console.print(f"  {count} done again: {escape(why)}")
    console.print(f"[bold]{totals['faces']}[/] faces, nothing found in {totals['without_face']} pictures")
    if made:
        console.print(f"the detector ran on {RUNTIMES.get(summary.runtime, summary.runtime)}")
    if summary.labels:
        console.print(f"{len(summary.labels)} label files carried along")
    _print_open(console, summary)
    if summary.stopped:
        console.print(
            f"[red]stopped[/] with {len(summary.not_reached)} files not reached: "
            f"{escape(shown(summary.stopped))}\nOriginals are as they were; once there is room, the "
            "same command goes on."
        )
        return
    if totals["to_review"]:
        console.print(f"{totals['to_review']} pictures hold a doubtful candidate: look at the review list")
    console.print(f"report: {_name(summary.out / REPORT_HTML)}")


def _print_open(console: Console, summary: Summary) -> None:
    left_out = [f"{shown(each.path)}: {each.reason}: {shown(each.message)}" for each in summary.left_out]
    _print_list(console, f"[red]{len(left_out)}[/] left out", left_out)
    findings = [
        f"{shown(entry.path)}: a face of score {each['score']:.2f} at {each['box']} is not redacted"
        for entry, each in summary.findings
    ]
    _print_list(console, f"[red]{len(findings)}[/] findings of the second look", findings)
    _print_list(console, f"{len(summary.ignored)} ignored on purpose", [])
    removed = [shown(path) for path in summary.removed]
    _print_list(console, f"{len(removed)} are gone from DATA; their outputs are kept", removed)
    foreign = [shown(path) for path in summary.foreign]
    _print_list(console, f"{len(foreign)} files in OUT are not of Veil's making; kept as they are", foreign)


def _print_plan(console: Console, summary: Summary) -> None:
    planned = summary.planned
    assert planned is not None
    console.print(f"nothing was written; a run would write to {_name(summary.out)}")
    for why, count in planned.make.most_common():
        console.print(f"  {count} pictures to do: {escape(why)}")
    console.print(f"  {planned.keep} files stay as they are")
    _print_list(console, f"  {len(planned.labels)} files look like labels", [])
    left_out = [f"{shown(each.path)}: {each.reason}: {shown(each.message)}" for each in planned.left_out]
    _print_list(console, f"  {len(left_out)} would be left out", left_out)


def _print_list(console: Console, title: str, lines: Sequence[str]) -> None:
    """Nothing when the title counts none."""
    if not lines and title.lstrip(" [red]").startswith("0"):
        return
    console.print(title)
    for line in lines[:MOST]:
        console.print(f"    {line}", markup=False)
    if len(lines) > MOST:
        console.print(f"    … and {len(lines) - MOST} more, in the manifest")


def print_verification(verification: Verification) -> None:
    """What a second look at a whole output found."""
    console = _Terminal(soft_wrap=True)
    console.print(
        f"[bold]{verification.pictures}[/] pictures looked at in {_name(verification.out)}, "
        f"{verification.redacted} redacted faces, in {verification.seconds:.0f} s"
    )
    lines = [f"{shown(each.path)}: {each.kind}: {shown(each.message)}" for each in verification.problems]
    _print_list(console, f"[red]{len(lines)}[/] findings", lines)
    if not lines:
        console.print("nothing found that was not redacted")
    if verification.notes:
        console.print("\n".join(map(escape, verification.notes)))


def _name(path: object) -> str:
    return escape(shown(str(path)))
