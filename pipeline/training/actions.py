"""Side effects of the training loop: small callables that Orbit calls after every few steps."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import orbit
import tensorflow as tf
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from pipeline.training.signals import StepCounter

COPIES = frozenset({"training_loss", "validation_loss"})  # Model Garden's second names for total_loss
LogMetrics = Callable[[Mapping[str, float], int], None]


class ProgressBar:
    """Loss, pictures a second and time left: a live bar on a terminal, a line every minute elsewhere."""

    def __init__(self, steps: int, batch_size: int, global_step: StepCounter) -> None:
        self._steps = steps
        self._batch_size = batch_size
        self._global_step = global_step
        console = Console(stderr=True)
        self._lines = not console.is_terminal
        self._last_line = 0.0
        self._start = (time.monotonic(), int(global_step.numpy()))
        self._progress = Progress(
            TextColumn("train"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} steps · {task.description}"),
            TimeElapsedColumn(),
            console=console,
            disable=self._lines,
        )
        self._task = self._progress.add_task("first step: tracing", total=steps, completed=self._start[1])

    def __enter__(self) -> ProgressBar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, logs: Mapping[str, Any]) -> None:
        step = int(self._global_step.numpy())
        text = f"loss {float(logs['total_loss']):.3f} · {self._rate(step)}"
        self._progress.update(self._task, completed=step, description=text)
        if self._lines and (time.monotonic() - self._last_line > 60 or step >= self._steps):
            self._last_line = time.monotonic()
            print(f"train | step {step}/{self._steps} | {text}", file=sys.stderr, flush=True)

    def _rate(self, step: int) -> str:
        """Over the steps since the last call, so that validations do not count as slow training."""
        now = time.monotonic()
        seconds, steps = now - self._start[0], step - self._start[1]
        self._start = (now, step)
        if steps <= 0:
            return ""
        left = timedelta(seconds=int(seconds / steps * (self._steps - step)))
        return f"{steps * self._batch_size / seconds:.1f} pictures/s · {left} left"


class MetricsManager(orbit.utils.SummaryManager):
    """Orbit's summaries, also given to a callable at the global step.

    Args:
        after: called when they are written. Orbit's own actions come before, and one that stops the
            training there would lose the last step's metrics.
    """

    def __init__(
        self,
        folder: str,
        global_step: tf.Variable,
        prefix: str,
        log: LogMetrics,
        after: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(folder, tf.summary.scalar, global_step=global_step)
        self._step = global_step
        self._prefix = prefix
        self._log = log
        self._after = after

    def write_summaries(self, summary_dict: Mapping[str, Any]) -> None:
        super().write_summaries(summary_dict)
        flat = {name: float(value) for name, value in _flatten(summary_dict) if name not in COPIES}
        self._log({f"{self._prefix}/{name}": value for name, value in flat.items()}, int(self._step.numpy()))
        self._after()


def _flatten(logs: Mapping[str, Any], parent: str = "") -> list[tuple[str, Any]]:
    pairs: list[tuple[str, Any]] = []
    for name, value in logs.items():
        if isinstance(value, Mapping):
            pairs += _flatten(value, f"{parent}{name}/")
        else:
            pairs.append((parent + name, value))
    return pairs
