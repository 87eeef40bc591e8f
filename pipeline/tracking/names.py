"""Names and values as MLflow accepts them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.config.plain import plain

NAME_LENGTH = 250
VALUE_LENGTH = 6000


def legal(name: str) -> str:
    """``name`` with what MLflow refuses replaced: ``recall@0.5`` becomes ``recall_0.5``.

    Letters, digits and ``_ - . space /`` are kept; a slash groups charts in the UI.
    """
    parts = (re.sub(r"[^\w\-. ]", "_", part, flags=re.ASCII) for part in str(name).split("/"))
    kept = [part for part in parts if part.strip(". ")]
    return "/".join(kept)[:NAME_LENGTH] or "unnamed"


def flatten(tree: Any, prefix: str = "") -> dict[str, str]:
    """A nested configuration (mappings, dataclasses) as dotted names with text values."""
    return {legal(name): text[:VALUE_LENGTH] for name, text in _leaves(tree, prefix)}


def numbers(values: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Metrics with legal names, nested groups joined by ``/``; what is no single number is left out."""
    found: dict[str, float] = {}
    for name, value in values.items():
        path = f"{prefix}/{name}" if prefix else str(name)
        if isinstance(value, Mapping):
            found |= numbers(value, path)
            continue
        try:
            found[legal(path)] = float(value)
        except (TypeError, ValueError):
            continue
    return found


def same(one: float | None, other: float | None) -> bool:
    """Equal, a NaN being equal to a NaN."""
    if one is None or other is None:
        return one is other
    return one == other or (math.isnan(one) and math.isnan(other))


def _leaves(tree: Any, prefix: str) -> Iterator[tuple[str, str]]:
    tree = plain(tree)
    if isinstance(tree, dict) and tree:
        for key, item in tree.items():
            yield from _leaves(item, f"{prefix}.{key}" if prefix else key)
    else:
        yield prefix, tree if isinstance(tree, str) else json.dumps(tree)
