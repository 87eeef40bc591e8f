"""How a run ends: an exception or a signal becomes one of MLflow's words."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class Terminated(SystemExit):
    """SIGTERM, as an exception, so that the run can say KILLED; the exit code is the shell's 143."""

    def __init__(self) -> None:
        super().__init__(128 + signal.SIGTERM)


class Sigterm:
    """While watched, SIGTERM raises :class:`Terminated`, unless the caller has a handler of its own."""

    def __init__(self) -> None:
        self._former: Any = None

    def watch(self) -> None:
        main = threading.current_thread() is threading.main_thread()
        if main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            self._former = signal.signal(signal.SIGTERM, _terminate)

    def restore(self) -> None:
        if self._former is not None:
            signal.signal(signal.SIGTERM, self._former)
            self._former = None


def status_of(error: BaseException | None) -> str:
    """What MLflow calls a run that ended with this exception, or without one."""
    if isinstance(error, KeyboardInterrupt) or hasattr(error, "signum"):  # the training's own Interrupted
        return "KILLED"
    if isinstance(error, SystemExit):
        killed = error.code in (128 + signal.SIGTERM, 128 + signal.SIGINT)
        return "KILLED" if killed else "FAILED" if error.code else "FINISHED"
    return "FINISHED" if error is None else "FAILED"


def _terminate(number: int, frame: FrameType | None) -> None:
    raise Terminated
