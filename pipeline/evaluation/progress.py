"""A progress bar on stderr; where that is no terminal, a line a minute."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pipeline.evaluation.predict import Progress as Report

EVERY = 60.0
"""Seconds between lines of a log; what takes less says nothing."""


@contextmanager
def progress_bar(title: str) -> Iterator[Report]:
    """Yields a function to call with pictures done and pictures in all; the bar goes when it is over."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines(title, console)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


class _Lines:
    """For logs."""

    def __init__(self, title: str, console: Console) -> None:
        self._title, self._console, self._said = title, console, time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() - self._said >= EVERY:
            self._said = time.monotonic()
            self._console.print(f"{self._title}: {done} of {total}", highlight=False)
