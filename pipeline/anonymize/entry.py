"""What the manifest says of one file."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

VERSION = 3
"""Of the manifest's form and of what Veil makes of a picture: a newer one redoes what an older one made."""


@dataclass(frozen=True, slots=True)  # there is one a file, for as long as a run takes
class FileState:
    """A file as it was: its digest, and what tells cheaply whether it may have changed."""

    sha256: str
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, path: Path, data: bytes | None = None, status: os.stat_result | None = None) -> FileState:
        """Hash the file, or ``data`` that was read after ``status`` was taken."""
        status = status or path.stat()
        digest = hashlib.sha256(data).hexdigest() if data is not None else sha256(path)
        return cls(digest, status.st_size, status.st_mtime_ns, status.st_ctime_ns)

    def looks_same(self, path: Path) -> bool:
        """Whether size and times agree; nothing is read."""
        try:
            status = path.stat()
        except OSError:
            return False
        now = (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        return now == (self.size, self.mtime_ns, self.ctime_ns)

    def is_same(self, path: Path) -> bool:
        """Whether the file still has these bytes; it is read only when it may have changed."""
        try:
            return self.looks_same(path) or (path.stat().st_size == self.size and sha256(path) == self.sha256)
        except OSError:
            return False


@dataclass(frozen=True, slots=True)  # there is one a file, for as long as a run takes
class Face:
    """One detection.

    Attributes:
        frame: page or animation frame, from 0.
        box: ``xmin, ymin, xmax, ymax`` in pixels of the upright frame.
        region: what was redacted for it, likewise; None for a candidate below the threshold.
    """

    frame: int
    box: list[float]
    score: float
    region: list[int] | None = None


@dataclass(frozen=True, slots=True)  # there is one a file, for as long as a run takes
class Entry:
    """What became of one file of DATA.

    Attributes:
        path: relative to DATA and to OUT, with forward slashes.
        kind: ``picture``, ``label`` or ``other``.
        status: ``done``, ``left_out``, or ``ignored`` (left out because the user asked for it).
        reason: why it was left out, in one word; ``message`` says it to people.
        source: the file in DATA. output: the file in OUT.
        picture: ``format, mode, width, height`` (upright), ``orientation, frames``.
        faces: what was redacted. candidates: what scored between the review and the operating threshold.
        settings: every value that the output depends on, the model's digest included; config: their digest.
            Empty for what a run left that was stopped before its line.
        tried: settings of the run that left it out, where ``settings`` are those of an output that was kept.
        metadata_removed: names, never values.
        verified: ``settings`` of the second look, and its ``findings`` (see verify.py); None: not looked.
        time: when, in UTC.
    """

    path: str
    kind: str
    status: str
    reason: str | None = None
    message: str = ""
    source: FileState | None = None
    output: FileState | None = None
    picture: dict[str, Any] = field(default_factory=dict)
    faces: list[Face] = field(default_factory=list)
    candidates: list[Face] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    config: str = ""
    tried: dict[str, Any] = field(default_factory=dict)
    metadata_removed: list[str] = field(default_factory=list)
    verified: dict[str, Any] | None = None
    time: str = ""
    veil: int = VERSION

    @property
    def doubtful(self) -> list[Face]:
        """The candidates of all pages, the nearest to the threshold first."""
        return sorted(self.candidates, key=lambda face: -face.score)

    def line(self) -> str:
        record = {each.name: getattr(self, each.name) for each in fields(self)}
        return json.dumps(record, ensure_ascii=True, separators=(",", ":"), default=asdict) + "\n"

    @classmethod
    def of(cls, record: dict[str, Any]) -> Entry:
        known = {each.name for each in fields(cls)}
        given = {name: value for name, value in record.items() if name in known}
        for name in ("source", "output"):
            given[name] = FileState(**given[name]) if given.get(name) else None
        for name in ("faces", "candidates"):
            given[name] = [Face(**face) for face in given.get(name, [])]
        return cls(**given)


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(settings: dict[str, Any]) -> str:
    """A short name for settings: equal for equal ones."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def changed(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """Dotted names of what differs."""
    for name in sorted(old.keys() | new.keys()):
        one, other = old.get(name), new.get(name)
        if isinstance(one, dict) and isinstance(other, dict):
            yield from changed(one, other, f"{prefix}{name}.")
        elif one != other:
            yield f"{prefix}{name}"
