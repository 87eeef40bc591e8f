"""OUT as a place: one run at a time, swept of what a killed run left, its foreign files known."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from pipeline.anonymize.images import PictureError, is_leftover
from pipeline.anonymize.paths import LOCK, OWN_FILES, OWN_PREFIX, shown
from pipeline.errors import UserError

try:
    import fcntl
except ImportError:  # Windows: two runs over one OUT at once are not noticed there
    fcntl = None  # type: ignore[assignment]


BROKEN = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO})


class OutputFails(Exception):
    """OUT cannot take more: the run stops, and the next one goes on."""


def raise_if_broken(error: PictureError) -> None:
    """Tell one file that cannot be written from an OUT that takes none.

    Raises:
        OutputFails: the disk is full, read-only or faulty.
    """
    cause = error.__cause__
    if isinstance(cause, OSError) and error.reason == "unwritable" and cause.errno in BROKEN:
        raise OutputFails(error.message) from error


class Output:
    """Holds OUT for one run.

    Raises:
        UserError: OUT cannot be written, or another run holds it.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self._lock: IO[bytes] | None = None

    def __enter__(self) -> Output:
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(self.out / LOCK)
        except BlockingIOError as error:
            raise UserError(f"out: {shown(self.out)!r} is being written by another run") from error
        except OSError as error:
            raise UserError(f"out: {shown(self.out)!r} cannot be written ({error.strerror})") from error
        for path in _files(self.out):
            if is_leftover(path.name):
                self._sweep(path)
        return self

    def _sweep(self, leftover: Path) -> None:
        try:
            leftover.unlink()
        except OSError as error:
            self.__exit__()
            raise UserError(f"out: {shown(leftover)!r} cannot be removed ({error.strerror})") from error

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            (self.out / LOCK).unlink()
        if self._lock:
            self._lock.close()


def _locked(path: Path) -> IO[bytes]:
    """The lock file, held; where the file system has no locks, just the file.

    Raises:
        BlockingIOError: another run holds it. OSError: it cannot be written.
    """
    while True:
        file = path.open("wb")
        try:
            if fcntl:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise
        except OSError:  # such as NFS without its lock daemon
            return file
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        file.close()  # the run that held it has removed it meanwhile: what is held is no longer its file


def foreign_files(out: Path, known: set[str]) -> list[str]:
    """What lies in OUT that is not Veil's; it is kept, and named."""
    names = (path.relative_to(out).as_posix() for path in _files(out))
    return sorted(name for name in names if name not in known and not _is_own(name))


def _is_own(name: str) -> bool:
    return name in OWN_FILES or name.rpartition("/")[2].startswith(OWN_PREFIX)


def _files(folder: Path) -> Iterator[Path]:
    """Files and links below a folder; links are not followed."""
    for parent, folders, names in os.walk(folder):
        yield from (Path(parent) / name for name in names)
        links = (name for name in folders if os.path.islink(f"{parent}/{name}"))  # noqa: PTH114 - as in plan.py
        yield from (Path(parent) / name for name in links)
