"""Where Veil itself lies, and where a path that a user gave leads."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONF = ROOT / "conf"


def locate(path: str) -> Path:
    """A relative path leads below the current folder; if nothing is there, below Veil's own folder.

    So the shipped ``models/efficientdet_d2`` is found from wherever a command is started.
    """
    own, given = ROOT / path, at_home(path)
    return own if not given.exists() and own.exists() else given


def at_home(path: str) -> Path:
    """The path with the user's folder for ``~``; ``~name`` stays as it is where nobody has that name."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path.expanduser raises then
