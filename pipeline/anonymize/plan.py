"""What a run has to do for each file of DATA, told from the manifest and the files as they are."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.anonymize.entry import Entry, changed
from pipeline.anonymize.manifest import Journal
from pipeline.anonymize.scan import Found, Kind, ignored

FINAL = frozenset({"corrupt", "crashes", "empty", "hangs", "not_a_picture", "unsupported"})
"""Reasons that lie in the file itself: it is tried again when it, or the settings, have changed."""
KEPT = "the output of an earlier run is still there"


class Action(Enum):
    make = "make"
    verify = "verify"
    keep = "keep"


@dataclass(frozen=True)
class Task:
    """One file of DATA.

    Attributes:
        source: where it is read. target: where its output goes.
        why: why there is something to do: ``new``, ``source changed``, …; empty when there is not.
        refused: the manifest's line of a file that is left out without a look (``keep``); None: as it stands.
    """

    path: str
    source: Path
    target: Path
    action: Action
    why: str = ""
    refused: Entry | None = None


@dataclass(frozen=True)
class Planner:
    """Decides for one run; ``settings`` and ``verify`` are what an output should have been made with."""

    data: Path
    out: Path
    journal: Journal
    settings: dict[str, Any]
    verify: str | None

    def plan(self, found: Sequence[Found]) -> list[Task]:
        """One task for each picture and each file that is left out; label files have none."""
        taken: dict[str, str] = {}
        blind = ignores_case(self.out)
        tasks = []
        for each in found:
            other = taken.setdefault(_folded(each.path), each.path) if blind else each.path
            if other != each.path:
                message = f"OUT's file system takes its name for {other!r}, too"
                each = replace(each, reason="case_collision", message=message)
            if each.reason or each.kind is Kind.picture:
                tasks.append(self._task(each))
        return tasks

    def _task(self, found: Found) -> Task:
        source, target = self.data / found.path, self.out / found.path
        old = self.journal.entries.get(found.path)
        refusal = (
            (found.reason, found.message)
            if found.reason
            else in_the_way(self.journal, found.path, target, old)
        )
        if refusal:
            reason, message = refusal
            old = self.journal.standing(found.path)
            status = "ignored" if found.ignored else "left_out"
            if found.ignored and old and old.output:
                message += f"; {KEPT}"
                if "labels" not in old.settings and list(changed(old.settings, self.settings)):
                    status, message = "left_out", f"{message}, made with other settings"
            entry = refused(found.path, found.kind.value, reason, message, old=old, status=status)
            return Task(found.path, source, target, Action.keep, refused=entry)
        action, why = self._action(source, target, old)
        return Task(found.path, source, target, action, why)

    def _action(self, source: Path, target: Path, old: Entry | None) -> tuple[Action, str]:
        if old is None or old.source is None:
            return Action.make, "new"
        if self.journal.started[old.path]:
            # What lies there was made by the run that ended so, with settings that no line tells.
            return Action.make, "interrupted"
        if not old.source.is_same(source):
            return Action.make, "source changed"
        if names := list(changed(old.tried or old.settings, self.settings)):
            return Action.make, f"{', '.join(names)} changed"
        if old.status == "left_out":
            return (Action.keep, "") if old.reason in FINAL else (Action.make, "tried again")
        if old.output is None or not target.is_file():
            return Action.make, "output missing"
        if old.status != "done":
            return Action.make, "no longer ignored"
        if self.verify and (old.verified or {}).get("settings") != self.verify:
            return Action.verify, "not yet verified so"
        return Action.keep, ""


def in_the_way(journal: Journal, path: str, target: Path, old: Entry | None) -> tuple[str, str] | None:
    """Why OUT's file of that name must not be replaced: Veil never overwrites what it did not write.

    Returns:
        Reason and message; None when the way is free.
    """
    for folder in list(target.parents)[: path.count("/")]:
        if os.path.islink(folder):  # noqa: PTH114 - where a path is too long, Path.is_symlink raises
            return "foreign_output", f"{folder.name!r} in OUT is a link, and may lead anywhere"
    if not os.path.lexists(target) or path in journal.started:
        return None
    if old is None or old.output is None:
        return "foreign_output", "OUT holds a file of this name that Veil did not write; it is kept"
    if target.is_symlink() or not old.output.is_same(target):
        return "output_changed", "changed in OUT after Veil wrote it; kept (delete it to have it made again)"
    return None


def refused(
    path: str, kind: str, reason: str, message: str, *, old: Entry | None = None, status: str = "left_out"
) -> Entry:
    """The line of a file that is left out. What an earlier run wrote for it stays known as Veil's."""
    if old is None or old.output is None:
        return Entry(path, kind, status, reason, message)
    kind = old.kind if kind == "other" else kind  # a picture without a suffix stays one for `verify`
    kept = "" if reason in ("output_changed", "ignored") else f"; {KEPT}"
    return replace(old, kind=kind, status=status, reason=reason, message=message + kept)


def removed(journal: Journal, found: Sequence[Found]) -> Iterator[str]:
    """Files that an earlier run saw and that DATA no longer holds."""
    present = {each.path for each in found}
    unlisted = {path for path in journal.started if os.path.lexists(journal.out / path)}
    return (path for path in sorted(unlisted.union(journal.entries)) if path not in present)


def with_ignored(found: Sequence[Found], journal: Journal, data: Path) -> list[Found]:
    """What was found, and what earlier runs knew in folders that are ignored now, and so not walked."""
    folders = {each.path for each in found if each.ignored}
    unseen = {*journal.entries, *journal.started} - {each.path for each in found}
    below = (path for path in sorted(unseen) if not folders.isdisjoint(map(str, PurePosixPath(path).parents)))
    return [*found, *(ignored(path) for path in below if os.path.lexists(data / path))]


def ignores_case(folder: Path) -> bool:
    """Whether the file system takes names for equal that differ in case.

    Seen from what lies in the folder, for that may be another file system than what it lies in (a run has its
    lock there); where nothing does, from the folder's own name.
    """
    lying = folder.iterdir() if folder.is_dir() else iter(())
    telling = islice((each for each in lying if each.name.swapcase() != each.name), 1)
    for existing in (*telling, folder, *folder.parents):
        other = existing.with_name(existing.name.swapcase()) if existing.name else existing
        if existing.exists() and other.name != existing.name:
            return other.exists() and other.samefile(existing)
    return False


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()
