"""Where the output goes, and what must never be there."""

from __future__ import annotations

import os
from pathlib import Path

from pipeline.config.paths import at_home
from pipeline.errors import UserError

MANIFEST = "manifest.jsonl"
DETECTIONS = "detections.json"
REPORT_JSON = "report.json"
REPORT_HTML = "report.html"
OWN_FILES = (MANIFEST, DETECTIONS, REPORT_JSON, REPORT_HTML)
"""What Veil writes at the top of OUT beside the pictures; DATA's files of these names are left out."""

OWN_PREFIX = ".veil-"
"""Of temporary files and the lock, anywhere in OUT."""

LOCK = f"{OWN_PREFIX}lock"


def folders(data: str, out: str | None) -> tuple[Path, Path]:
    """The real paths of DATA and OUT; nothing is made.

    Raises:
        UserError: DATA is no folder; OUT is DATA, lies inside it, holds it, or is a file.
    """
    source = at_home(data)
    if not source.is_dir():
        raise UserError(f"data: {data!r}; allowed: an existing folder")
    source = source.resolve()
    if out is None and not source.name:
        raise UserError(f"out: no value given; needed, since {str(source)!r} has nothing beside it")
    default = source.with_name(f"{source.name}-anonymized")
    target = (at_home(out) if out is not None else default).resolve()
    relation = _relation(source, target)
    if relation:
        raise UserError(
            f"out: {str(target)!r} {relation} data ({str(source)!r}); allowed: a folder apart from data"
        )
    if target.exists() and not target.is_dir():
        raise UserError(f"out: {str(target)!r} is a file; allowed: a folder, or a name not yet taken")
    return source, target


def _relation(data: Path, out: Path) -> str:
    """How the two overlap; by identity, too, since a file system may ignore case."""
    if _holds(data, out):
        return "is" if _holds(out, data) else "lies inside"
    return "holds" if _holds(out, data) else ""


def _holds(folder: Path, other: Path) -> bool:
    return any(_same(folder, part) for part in (other, *other.parents))


def _same(one: Path, other: Path) -> bool:
    try:
        return one == other or one.samefile(other)
    except OSError:
        return False


def shown(path: str | os.PathLike[str]) -> str:
    """A name fit to print: undecodable bytes and control characters as escapes."""
    text = os.fspath(path).encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
