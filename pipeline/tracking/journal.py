"""The run's own record: ``metrics.jsonl``, written before anything is sent to a server.

One JSON object a line. ``kind`` says what it is; metrics look like
``{"n": 7, "kind": "metrics", "time": 1700000000000, "step": 20, "values": {"train/loss": 0.9}}``.
``tracking.json`` beside it holds the MLflow run's id and how many lines have reached the store.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.tracking.names import same

JOURNAL_FILE, STATE_FILE = "metrics.jsonl", "tracking.json"
ENDED = {"FINISHED", "FAILED", "KILLED"}


@dataclass(frozen=True)
class Event:
    """One thing to tell the store. ``time`` in milliseconds since 1970, as MLflow counts."""

    n: int
    kind: str
    time: int
    data: dict[str, Any]

    def line(self) -> str:
        return json.dumps({"n": self.n, "kind": self.kind, "time": self.time, **self.data}) + "\n"


def read_events(path: Path) -> list[Event]:
    """What a run's record holds, oldest first; none without a record. A torn or empty line is left out."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    events = []
    for line in lines:
        try:
            data = json.loads(line)
            events.append(Event(data.pop("n"), data.pop("kind"), data.pop("time"), data))
        except (ValueError, KeyError):  # a kill or a full disk cut it
            continue
    return events


@dataclass
class Curve:
    """What is known of one metric: enough not to draw a stretch of it twice."""

    first: int
    last: int
    value: float

    def covers(self, step: int, value: float) -> bool:
        """Whether ``step`` was already recorded: a resumed training repeats the steps since its checkpoint.

        A figure that stands at one step only (a test result) may be corrected there.
        """
        if step == self.last and self.first == self.last:
            return same(value, self.value)
        return step <= self.last


@dataclass
class State:
    """``tracking.json``: which run of which store this folder belongs to."""

    run_id: str | None = None
    uri: str | None = None
    sent: int = 0


@dataclass
class Journal:
    """Events on disk, and those that the store has not got yet (:attr:`pending`), oldest first.

    Safe for one writing and one sending thread.
    """

    folder: Path
    on_error: Callable[[OSError], None] = lambda error: None
    state: State = field(default_factory=State)
    pending: deque[Event] = field(default_factory=deque)
    curves: dict[str, Curve] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    count: int = 0
    status: str = "RUNNING"

    def __post_init__(self) -> None:
        self.path = self.folder / JOURNAL_FILE
        self._state_path = self.folder / STATE_FILE
        self._lock = threading.Lock()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.state = self._read_state()
        self._torn = self._last_line_is_torn()
        for event in read_events(self.path):
            self._remember(event)

    def bind(self, run_id: str | None, uri: str) -> None:
        """From now on the events belong to that run; another run than before is owed all of them."""
        if (run_id, uri) != (self.state.run_id, self.state.uri):
            self.state = State(run_id, uri)
            self.pending = deque(read_events(self.path))
        self._write_state()

    def append(self, kind: str, **data: Any) -> Event:
        with self._lock:
            event = Event(self.count + 1, kind, int(time.time() * 1000), data)
            self._remember(event)
            try:
                with self.path.open("a", encoding="utf-8") as file:
                    file.write("\n" * self._torn + event.line())
                self._torn = False
            except OSError as error:  # a full disk: what is pending stays in memory and is still sent
                self._torn = True
                self.on_error(error)
            return event

    def sent(self, event: Event) -> None:
        """The store has everything up to and including ``event``."""
        with self._lock:
            while self.pending and self.pending[0].n <= event.n:
                self.pending.popleft()
            self.state.sent = max(self.state.sent, event.n)
        self._write_state()

    def next_batch(self, limit: int) -> list[Event]:
        """What to send at once: the oldest event, or the run of metrics that begins with it."""
        with self._lock:
            batch: list[Event] = []
            values = 0
            for event in self.pending:
                values += len(event.data.get("values", ()))
                if batch and (event.kind != "metrics" or batch[0].kind != "metrics" or values > limit):
                    break
                batch.append(event)
            return batch

    def _remember(self, event: Event) -> None:
        self.count = max(self.count, event.n)
        if event.n > self.state.sent:
            self.pending.append(event)
        if event.kind == "status":
            self.status = event.data["status"]
        if event.kind == "params":
            self.params |= event.data["values"]
        if event.kind == "metrics":
            step = event.data["step"]
            for name, value in event.data["values"].items():
                known = self.curves.get(name)
                self.curves[name] = Curve(min(known.first, step) if known else step, step, value)

    def _last_line_is_torn(self) -> bool:
        """The process was killed while writing: the next line must not be glued to the half one."""
        try:
            return self.path.read_bytes()[-1:] not in (b"", b"\n")
        except FileNotFoundError:
            return False

    def _read_state(self) -> State:
        try:
            return State(**json.loads(self._state_path.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return State()

    def _write_state(self) -> None:
        partial = self._state_path.with_suffix(".part")
        try:
            partial.write_text(json.dumps(self.state.__dict__) + "\n", encoding="utf-8")
            partial.replace(self._state_path)
        except OSError as error:
            self.on_error(error)
