"""Where Veil itself lies, and where a path that a user gave leads."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONF = ROOT / "conf"


def locate(path: str) -> Path:
    """A relative path leads below the current folder; if nothing is there, below Veil's own folder.

    So the shipped ``models/efficientdet_d2`` is found from wherever a command is started.
    """
    own, given = ROOT / path, Path(path).expanduser()
    return own if not given.exists() and own.exists() else given
