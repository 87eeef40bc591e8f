"""What a run did, and what is still to be seen to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pipeline.anonymize.entry import Entry
from pipeline.anonymize.manifest import Entries
from pipeline.anonymize.plan import Action, Task

DONE, INTERNAL_ERROR, USAGE, LEFT_OUT = 0, 1, 2, 3


class Watch(Protocol):
    """Called by the run as it goes: a progress bar, or nothing."""

    def start(self, files: int) -> None: ...

    def advance(self, path: str, entry: Entry) -> None: ...


class _Unwatched:
    def start(self, files: int) -> None: ...

    def advance(self, path: str, entry: Entry) -> None: ...


unwatched: Watch = _Unwatched()


@dataclass(frozen=True)
class Planned:
    """What a run would do (``dry_run``): how many files for which reason."""

    make: Counter[str]
    keep: int
    labels: list[str]
    left_out: list[Entry]

    @classmethod
    def of(
        cls, tasks: Sequence[Task], entries: Entries, labels: list[str], others: Sequence[Entry]
    ) -> Planned:
        make = Counter(task.why for task in tasks if task.action is not Action.keep)
        keep, left_out = 0, []
        for task in tasks:
            if task.action is Action.keep:
                entry = task.refused or entries[task.path]
                keep += entry.status == "done"
                left_out += [entry] if entry.status == "left_out" else []
        return cls(make, keep, labels, [*left_out, *others])


@dataclass
class Summary:
    """The whole folder as it now stands, and what this run did about it.

    Attributes:
        entries: the manifest, by path.
        model: the detector's digest. runtime: what computes it.
        made: how many files this run did, by why. todo: what it set out to do.
        labels: label files carried along. removed: files that DATA no longer holds; their outputs are kept.
        foreign: files in OUT that Veil did not write; kept, and not looked at.
        stopped: why the run ended early; None: it did not.
        planned: of a dry run.
    """

    data: Path
    out: Path
    entries: Entries
    model: str
    runtime: str
    made: Counter[str] = field(default_factory=Counter)
    todo: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    stopped: str | None = None
    planned: Planned | None = None
    seconds: float = 0.0
    handled: set[str] = field(default_factory=set)

    def count(self, task: Task, entry: Entry) -> None:
        self.handled.add(task.path)
        if entry.status == "done":
            self.made[task.why] += 1

    def totals(self) -> dict[str, int]:
        """How many there are of what the lists below name, in one reading of the manifest."""
        count = dict.fromkeys(
            ("pictures", "faces", "without_face", "left_out", "ignored", "to_review", "findings"), 0
        )
        for entry in self.current():
            if stands(entry):
                count["pictures"] += 1
                count["faces"] += len(entry.faces)
                count["without_face"] += not entry.faces
                count["to_review"] += bool(entry.candidates)
                count["findings"] += len((entry.verified or {}).get("findings", []))
            elif entry.status in ("left_out", "ignored"):
                count[entry.status] += 1
        return count | {"labels": len(self.labels)}

    @property
    def pictures(self) -> list[Entry]:
        """Pictures whose output stands."""
        return list(self.standing())

    @property
    def faces(self) -> int:
        return sum(len(entry.faces) for entry in self.standing())

    @property
    def without_face(self) -> list[Entry]:
        return [entry for entry in self.standing() if not entry.faces]

    @property
    def left_out(self) -> list[Entry]:
        return [entry for entry in self.current() if entry.status == "left_out"]

    @property
    def ignored(self) -> list[Entry]:
        return [entry for entry in self.current() if entry.status == "ignored"]

    @property
    def review(self) -> list[Entry]:
        """Pictures with a candidate below the threshold, most doubtful first."""
        doubtful = [entry for entry in self.standing() if entry.candidates]
        return sorted(doubtful, key=lambda entry: (-entry.doubtful[0].score, entry.path))

    @property
    def findings(self) -> list[tuple[Entry, dict[str, Any]]]:
        """What the second look found, with its picture."""
        return [
            (each, finding)
            for each in self.standing()
            for finding in (each.verified or {}).get("findings", [])
        ]

    @property
    def not_reached(self) -> list[str]:
        """What a run that ended early had still to do."""
        return [path for path in self.todo if path not in self.handled]

    @property
    def exit_code(self) -> int:
        if self.planned is not None:
            return LEFT_OUT if self.planned.left_out else DONE
        if any(entry.reason == "internal_error" for entry in self.left_out):
            return INTERNAL_ERROR
        return LEFT_OUT if self.stopped or self.left_out or self.findings else DONE

    def current(self) -> Iterator[Entry]:
        """Every file that DATA holds, by path, one at a time: each is read from its line."""
        gone = set(self.removed)
        return (entry for entry in self.entries.in_order() if entry.path not in gone)

    def standing(self) -> Iterator[Entry]:
        """Like :attr:`pictures`, one at a time."""
        return filter(stands, self.current())


def stands(entry: Entry) -> bool:
    """Whether OUT holds a picture for it."""
    return entry.kind == "picture" and entry.status == "done"
