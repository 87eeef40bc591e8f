"""Settings that a library keeps for the whole process, changed while some thread needs them so."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Borrowed:
    """One such setting. The last user gives it back as the first one found it.

    Args:
        owner: the module or object that has it.
        join: ``(as it stands, wanted) -> what serves both``: several may need it at once.
    """

    def __init__(self, owner: Any, name: str, join: Callable[[Any, Any], Any]) -> None:
        self._owner, self._name, self._join = owner, name, join
        self._lock = threading.Lock()
        self._users = 0
        self._before: Any = None

    @contextmanager
    def at(self, wanted: Any) -> Iterator[None]:
        """Hold the setting at ``wanted``, or at what serves other users as well."""
        with self._lock:
            if not self._users:
                self._before = getattr(self._owner, self._name)
            self._users += 1
            setattr(self._owner, self._name, self._join(getattr(self._owner, self._name), wanted))
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    setattr(self._owner, self._name, self._before)
