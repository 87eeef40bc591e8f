"""A configuration as plain values, for JSON, YAML and digests."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from enum import Enum
from typing import Any

CREDENTIALS = re.compile(r"(?<=://)(?:[^/\s:]*:(?!\d+/)\S*|[^/\s]*)@")
"""Up to the last ``@``, since a password may hold one, or a slash; but ``host:5000/a@b`` has a port."""


def plain(tree: Any) -> Any:
    """Dataclasses and mappings as dicts, sequences as lists, choices by their value; what is left as text.

    What is plain is written or sent, so addresses in it are without user name and password.
    """
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        tree = {field.name: getattr(tree, field.name) for field in dataclasses.fields(tree)}
    if isinstance(tree, Mapping):
        return {str(key): plain(item) for key, item in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [plain(item) for item in tree]
    if isinstance(tree, Enum):
        return plain(tree.value)
    return tree if isinstance(tree, (int, float, bool, type(None))) else without_password(str(tree))


def without_password(text: str) -> str:
    """``text`` with user name and password cut out of every address in it."""
    return CREDENTIALS.sub("", text)
