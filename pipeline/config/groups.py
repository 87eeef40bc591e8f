"""The files of ``conf/``: which groups a command has, their options, and what each says of itself."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline.config.paths import CONF


@dataclass(frozen=True)
class Group:
    """A folder of ``conf/``: one of its options is picked by ``name=option``.

    Attributes:
        default: the option picked when the command line names none.
        several: whether a list of options is allowed, to be merged.
    """

    name: str
    default: tuple[str, ...]
    several: bool

    @property
    def options(self) -> dict[str, Path]:
        return {path.stem: path for path in sorted((CONF / self.name).glob("*.yaml"))}


def groups_of(config_name: str) -> dict[str, Group]:
    """The groups in the defaults list of ``conf/<config_name>.yaml``."""
    defaults = yaml.safe_load((CONF / f"{config_name}.yaml").read_text(encoding="utf-8"))["defaults"]
    entries = [next(iter(entry.items())) for entry in defaults if isinstance(entry, dict)]
    return {name: _group(name, default) for name, default in entries}


def _group(name: str, default: Any) -> Group:
    several = isinstance(default, list)
    return Group(name, tuple(default) if several else (default,), several)


def opening_comment(path: Path) -> list[str]:
    """The comment at the top of a file, without its ``#``."""
    comment = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        comment.append(line.removeprefix("#").removeprefix(" "))
    return comment


def nearest(word: str, known: list[str]) -> str:
    """A 'did you mean' clause, or nothing when no known word is near."""
    near = difflib.get_close_matches(word, known, n=3, cutoff=0.6)
    return f"; did you mean {' or '.join(near)}?" if near else ""
