"""The manifest: one JSON line a file of DATA, and at the same time the journal of the run.

A line is appended when a file's output stands, so that a run that was killed goes on after the last line.
Before a file is worked on, a ``start`` line says so: what lies at its place in OUT without a line of its
own is then known to be Veil's. A run that ends rewrites the manifest whole: sorted, one line a file, no
starts.
"""

from __future__ import annotations

import errno
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from pipeline.anonymize.entry import VERSION, Entry, FileState, digest
from pipeline.anonymize.images.atomic import write_atomically
from pipeline.anonymize.paths import MANIFEST, OWN_PREFIX, shown
from pipeline.errors import UserError

ALLOWED = "allowed: a new folder, an empty one, or the output of an earlier run"


class Entries(MutableMapping[str, Entry]):
    """The last line of each file, by path.

    A folder may hold hundreds of thousands of files, and every line stays for as long as a run takes. So each
    is kept as it is written, but for its settings, which are one object for all that were made alike: a third
    of what an :class:`Entry` takes.
    """

    def __init__(self) -> None:
        self._lines: dict[str, tuple[dict[str, Any], bytes]] = {}
        self._settings: dict[str, dict[str, Any]] = {}

    def __getitem__(self, path: str) -> Entry:
        settings, line = self._lines[path]
        return Entry.of(json.loads(line) | {"settings": settings})

    def __setitem__(self, path: str, entry: Entry) -> None:
        settings = self._settings.setdefault(digest(entry.settings), entry.settings)
        self._lines[path] = settings, replace(entry, settings={}).line().encode()

    def __delitem__(self, path: str) -> None:
        del self._lines[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)

    def __len__(self) -> int:
        return len(self._lines)

    def __contains__(self, path: object) -> bool:
        return path in self._lines  # the mapping's own would read the line

    def in_order(self) -> Iterator[Entry]:
        """By path, one at a time."""
        return (self[path] for path in sorted(self._lines))

    def among(self, paths: Iterable[str]) -> Entries:
        """Those of some files, without a copy of their lines."""
        some = Entries()
        some._lines = {path: self._lines[path] for path in paths}
        return some


@dataclass
class Journal:
    """The manifest of one OUT while a run goes on.

    Attributes:
        entries: the last line of each file, by path.
        started: how often each file was started since its last line.
        torn: whether the file must be rewritten: it holds starts, old lines, or a torn end.
    """

    out: Path
    entries: Entries = field(default_factory=Entries)
    started: Counter[str] = field(default_factory=Counter)
    torn: bool = False
    _file: IO[bytes] | None = None

    @classmethod
    def read(cls, out: Path) -> Journal:
        """What an OUT says of itself; empty for a folder that does not exist or is empty.

        Raises:
            UserError: the folder holds files and no manifest of Veil's, or one that cannot be read.
        """
        journal = cls(out)
        try:
            journal._read(out / MANIFEST)
        except OSError as error:
            where = shown(error.filename or out)
            raise UserError(f"out: {where!r} cannot be read ({error.strerror}); {ALLOWED}") from error
        return journal

    def _read(self, path: Path) -> None:
        if not path.is_file():
            out = self.out
            if out.is_dir() and any(not each.name.startswith(OWN_PREFIX) for each in out.iterdir()):
                raise UserError(f"out: {shown(out)!r} holds files, and no {MANIFEST} of Veil's; {ALLOWED}")
            return
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.endswith(b"\n"):
                    self._take(line[:-1], number)
                else:
                    self.torn = True

    def _take(self, line: bytes, number: int) -> None:
        try:
            record = json.loads(line.decode())  # of bytes, json would take zeros for UTF-16 or UTF-32
            if record["veil"] > VERSION:
                raise UserError(f"{MANIFEST}: written by a newer Veil (form {record['veil']}); update Veil")
            if "start" in record:
                self.started.update(record["start"])
                self.torn = True
                return
            entry = Entry.of(record)
        except (ValueError, KeyError, TypeError) as error:
            if isinstance(error, UserError):
                raise
            if isinstance(error, json.JSONDecodeError) and line.strip(b"\0")[:1] in (b"{", b""):
                self.torn = True  # cut off by a kill; its file is known by its start, and is done again
                return
            where = f"{shown(self.out / MANIFEST)!r}, line {number}"
            raise UserError(f"out: {where} is not of Veil's making; {ALLOWED}") from error
        self.torn |= entry.path in self.entries
        self.entries[entry.path] = entry
        self.started.pop(entry.path, None)

    @property
    def written(self) -> set[str]:
        """Places of OUT where what lies there is Veil's."""
        return {entry.path for entry in self.entries.values() if entry.output} | set(self.started)

    def standing(self, path: str) -> Entry | None:
        """The line of what lies at a place in OUT; None where nothing does.

        A run that was stopped may have left it before its line: then nothing is known but its bytes.
        """
        old, place = self.entries.get(path), self.out / path
        there = os.path.isfile(place)  # noqa: PTH113 - where a path is too long, Path.is_file raises
        if path not in self.started or not there:
            return old if os.path.lexists(place) else None
        if old and old.output and old.output.is_same(place):
            return old
        return Entry(path, old.kind if old else "other", "left_out", output=FileState.of(place))

    def start(self, paths: Sequence[str]) -> None:
        self.started.update(paths)
        self._append(json.dumps({"veil": VERSION, "start": list(paths)}) + "\n")
        if self._file:
            os.fsync(
                self._file.fileno()
            )  # outputs are synced, too: after a power cut they are known as Veil's

    def done(self, entry: Entry) -> None:
        self.entries[entry.path] = entry
        self.started.pop(entry.path, None)
        self._append(entry.line())

    def _append(self, line: str) -> None:
        """One write a line, so that a kill tears the last line at most."""
        if self._file is None:
            path = self.out / MANIFEST
            whole = not path.is_file() or path.stat().st_size == 0 or path.read_bytes()[-1:] == b"\n"
            self._file = path.open("ab", buffering=0)
            line = line if whole else "\n" + line
        data = line.encode()
        if self._file.write(data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.torn = True

    def settle(self) -> None:
        """Give what stopped runs left in OUT lines of its own, so that it stays known; nothing is written."""
        for path in self.started:
            if standing := self.standing(path):
                self.entries[path] = standing
        self.started.clear()

    def finish(self) -> None:
        """Rewrite the manifest whole, if anything was appended since it was."""
        self.close()
        self.settle()
        if self.torn:
            lines = (entry.line().encode() for entry in self.entries.in_order())
            write_atomically(self.out / MANIFEST, lines, lambda _: None)
            self.torn = False

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
