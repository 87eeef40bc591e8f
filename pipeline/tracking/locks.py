"""One process at a time. The kernel frees a lock when its holder dies, however it dies."""

from __future__ import annotations

import fcntl
import time
from io import TextIOWrapper
from pathlib import Path

LOCK = ".lock"


class Lock:
    """An exclusive lock on a folder, as a context or by :meth:`take` and :meth:`release`."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK
        self._file: TextIOWrapper | None = None

    def take(self, seconds: float = 60.0) -> bool:
        """Wait for it at most ``seconds``; whether it is ours."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = self._path.open("w")
        deadline = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    file.close()
                    return False
                time.sleep(0.05)
            else:
                self._file = file
                return True

    def release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Lock:
        if not self.take():
            raise TimeoutError(f"{self._path}: another process holds it")
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
