"""A configuration as plain values, for JSON, YAML and digests."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from enum import Enum
from typing import Any


def plain(tree: Any) -> Any:
    """Dataclasses and mappings as dicts, sequences as lists, choices by their value; what is left as text."""
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        tree = {field.name: getattr(tree, field.name) for field in dataclasses.fields(tree)}
    if isinstance(tree, Mapping):
        return {str(key): plain(item) for key, item in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [plain(item) for item in tree]
    if isinstance(tree, Enum):
        return plain(tree.value)
    return tree if isinstance(tree, (str, int, float, bool, type(None))) else str(tree)
