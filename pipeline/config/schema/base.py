"""How a field of the schema is written."""

from __future__ import annotations

from dataclasses import field
from typing import Any

COARSEST_STRIDE = 128
"""Pixels of the network's input for one cell of its coarsest pyramid level, 7: sides are multiples of it."""


def value(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    below: float | None = None,
    choices: tuple[Any, ...] | None = None,
    path: str | None = None,
    filled: bool | None = None,
    short: bool = False,
) -> Any:
    """A dataclass field with its manual entry and its bounds, which hold for each item of a list.

    Args:
        default: the value when neither ``conf/`` nor the command line gives one.
        help: the manual entry.
        low: the least value allowed; ``above`` is the same, exclusive.
        high: the greatest value allowed; ``below`` is the same, exclusive.
        above: see ``low``.
        below: see ``high``.
        choices: the only values allowed.
        path: what must exist there: ``folder``, ``file`` or ``savedmodel``.
        filled: whether a list must hold something.
        short: this field is meant when several share the name that a user typed without its section.
    """
    limits = {"low": low, "high": high, "above": above, "below": below, "choices": choices, "path": path}
    limits["filled"] = filled
    metadata = {"help": help, "short": short} | {k: v for k, v in limits.items() if v is not None}
    if isinstance(default, (list, dict)):
        return field(default_factory=lambda: type(default)(default), metadata=metadata)
    return field(default=default, metadata=metadata)
