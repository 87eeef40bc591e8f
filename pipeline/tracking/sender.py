"""Hands the journal to a store in the background, so that no store can stall or stop a training."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Sequence
from typing import Protocol

from pipeline.config.plain import without_password
from pipeline.tracking.journal import Event, Journal

BATCH_SECONDS = 1.0
BATCH_VALUES = 1000
FIRST_PAUSE = 2.0
HURRIED_PAUSE = 0.5
LONGEST_PAUSE = 60.0


class Refused(Exception):
    """The store is there and will never take this: repeating it is no use."""


class Backend(Protocol):
    """One tracking store."""

    where: str  # for messages; holds no password

    def send(self, events: Sequence[Event]) -> None:
        """Deliver events of one kind, in order.

        Raises:
            Refused: the store does not accept them; they are dropped with a warning.
            Exception: anything else; they are kept and sent again later.
        """


def warn(message: str) -> None:
    """Loud, and on its own line even below a progress bar."""
    print(f"\nWARNING: tracking: {message}", file=sys.stderr, flush=True)


class Sender:
    """The thread between one journal and one backend; wakes once a second, sooner for a flush."""

    def __init__(self, journal: Journal, backend: Backend) -> None:
        self._journal, self._backend = journal, backend
        self._hurry, self._closing = threading.Event(), threading.Event()
        self._failing_since: float | None = None
        self._pause = FIRST_PAUSE
        self._complaints: set[str] = set()
        self._thread = threading.Thread(target=self._work, name="tracking", daemon=True)

    @classmethod
    def deliver(cls, journal: Journal, backend: Backend, seconds: float) -> bool:
        """All at once, without a training around it; whether nothing is left."""
        sender = cls(journal, backend)
        sender.start()
        return sender.close(seconds)

    def start(self, after_failure: Exception | None = None) -> None:
        """Begin. ``after_failure``: the store was already found to be away; report that, try later."""
        if after_failure is not None:
            self._failed(after_failure)
        self._thread.start()

    def flush(self, seconds: float) -> bool:
        """Deliver everything now, however much it is; a store that fails is waited for ``seconds``.

        Returns:
            Whether nothing is left.
        """
        deadline = time.monotonic() + seconds
        self._hurry.set()
        while self._journal.pending and self._thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.02)
            if self._failing_since is None:  # a call that hangs becomes a failure by MLflow's own time-out
                deadline = time.monotonic() + seconds
        self._hurry.clear()
        return not self._journal.pending

    def close(self, seconds: float) -> bool:
        delivered = self.flush(seconds)
        self._closing.set()
        self._hurry.set()
        self._thread.join(timeout=2.0)  # a call that hangs is left to the daemon thread
        return delivered

    def _work(self) -> None:
        while not self._closing.is_set():
            delivered = self._deliver_all()
            if self._hurry.is_set():
                self._closing.wait(0.05 if delivered else HURRIED_PAUSE)
            else:
                self._hurry.wait(BATCH_SECONDS if delivered else self._pause)
                self._pause = FIRST_PAUSE if delivered else min(2 * self._pause, LONGEST_PAUSE)

    def _deliver_all(self) -> bool:
        """Send what is pending; False when the store failed."""
        while batch := self._journal.next_batch(BATCH_VALUES):
            try:
                self._backend.send(batch)
            except Refused as refusal:
                self._complain(f"{self._backend.where} refuses {batch[0].kind}: {refusal}; going on without.")
            except Exception as error:
                self._failed(error)
                return False
            self._journal.sent(batch[-1])
        self._recovered()
        return True

    def _failed(self, error: Exception) -> None:
        if self._failing_since is None:
            self._failing_since = time.monotonic()
            warn(
                f"{self._backend.where} cannot be reached or written ({brief(error)}). The run goes on; "
                f"everything is kept in {self._journal.path} and is sent when the store is back."
            )

    def _recovered(self) -> None:
        if self._failing_since is not None:
            seconds = time.monotonic() - self._failing_since
            warn(f"{self._backend.where} is back after {seconds:.0f} s and has everything.")
            self._failing_since = None

    def _complain(self, message: str) -> None:
        if message not in self._complaints:
            self._complaints.add(message)
            warn(message)


def brief(error: BaseException, length: int = 200) -> str:
    """What went wrong at the bottom of a chain of errors: the first line, shortened."""
    while cause := error.__cause__ or error.__context__:
        error = cause
    lines = str(error).strip().splitlines()
    text = without_password(lines[0] if lines else type(error).__name__)
    return text if len(text) <= length else text[: length - 1] + "…"
