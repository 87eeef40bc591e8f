"""An orderly stop of the training on SIGTERM and Ctrl-C."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import Any, Protocol


class Interrupted(SystemExit):
    """Training stopped on a signal, with a checkpoint written at ``step``; the same command goes on.

    The process ends with the shell's code for the signal, 143 or 130.
    """

    def __init__(self, step: int, signum: int) -> None:
        super().__init__(128 + signum)
        self.step = step
        self.signum = signum

    def __str__(self) -> str:
        return f"stopped by {signal.Signals(self.signum).name} at step {self.step}; the same command goes on"


class SignalWatch:
    """Turns SIGTERM and SIGINT into an orderly stop. A second signal ends the process at once."""

    def __init__(self) -> None:
        self.signum: int | None = None
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> SignalWatch:
        for signum in (signal.SIGTERM, signal.SIGINT):
            self._previous[signum] = signal.signal(signum, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for signum, handler in self._previous.items():
            signal.signal(signum, handler)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        self.signum = signum
        signal.signal(signum, signal.SIG_DFL)
        print("\nstopping after this step or validation; again to stop at once", file=sys.stderr)


class StepCounter(Protocol):
    """What actions read the global step from: a ``tf.Variable``."""

    def numpy(self) -> Any: ...


class StopOnSignal:
    """Raises :class:`Interrupted` once a signal has come; to be called when the step is recorded."""

    def __init__(self, watch: SignalWatch, global_step: StepCounter) -> None:
        self._watch = watch
        self._global_step = global_step

    def __call__(self) -> None:
        if self._watch.signum is not None:
            raise Interrupted(int(self._global_step.numpy()), self._watch.signum)
