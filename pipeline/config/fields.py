"""The schema seen as a list of fields: what the command line, the checks and the manual all read."""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Union, get_args, get_origin, get_type_hints

ANY_NAME = "<name>"


@dataclass(frozen=True)
class Field:
    """One value that a user can set.

    Attributes:
        path: dotted, such as ``detector.score_threshold``; ``<name>`` stands for any key of a mapping.
        type: the annotated type without ``None``.
        optional: whether ``null`` is allowed.
        default: the schema's own default, before any file of ``conf/``.
        metadata: ``help`` and bounds, as :func:`pipeline.config.schema.value` writes them.
    """

    path: str
    type: Any
    optional: bool
    default: Any
    metadata: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]

    @property
    def help(self) -> str:
        return str(self.metadata.get("help", ""))

    @property
    def is_list(self) -> bool:
        return get_origin(self.type) is list

    @property
    def item(self) -> Any:
        """The type of a list's items, of a mapping's values, or of the value itself."""
        arguments = get_args(self.type)
        return arguments[-1] if arguments else self.type

    @property
    def allowed(self) -> str:
        """What may stand here, in words that complete 'allowed: '."""
        text = _describe(self.item, self.metadata)
        if self.is_list:
            one = "of one or more, " if self.metadata.get("filled") else ""
            text = f"a list in brackets, {one}each {text}"
        elif get_origin(self.type) is dict:
            text = f"a mapping {{name: value}}, each value {text}"
        return f"{text}, or null" if self.optional else text


@functools.cache
def fields_of(schema: type) -> tuple[Field, ...]:
    """Every field below a dataclass, in the order of the schema."""
    return tuple(_below(schema, ""))


def _below(schema: type, prefix: str) -> Iterator[Field]:
    hints = get_type_hints(schema)
    for entry in dataclasses.fields(schema):
        path = f"{prefix}{entry.name}"
        kind, optional = _without_none(hints[entry.name])
        arguments = get_args(kind)
        if isinstance(kind, type) and dataclasses.is_dataclass(kind):
            yield from _below(kind, f"{path}.")
        elif arguments and hasattr(arguments[-1], "__dataclass_fields__"):
            yield from _below(arguments[-1], f"{path}.{ANY_NAME}.")
        else:
            yield Field(path, kind, optional, _default(entry), entry.metadata)


def find(schema: type, path: str) -> Field | None:
    """The field of a dotted path, where a mapping's key may have any name."""
    return next((field for field in fields_of(schema) if _matches(field, path)), None)


def is_section(schema: type, path: str) -> bool:
    """Whether fields lie below a dotted path, where a mapping's key may have any name."""
    parts = path.split(".")
    return any(_fits_pattern(field.path.split(".")[: len(parts)], parts) for field in fields_of(schema)) and (
        find(schema, path) is None
    )


def _matches(field: Field, path: str) -> bool:
    ours, theirs = field.path.split("."), path.split(".")
    if get_origin(field.type) is dict and len(theirs) > len(ours):
        theirs = theirs[: len(ours)]
    return _fits_pattern(ours, theirs)


def _fits_pattern(pattern: list[str], parts: list[str]) -> bool:
    return len(pattern) == len(parts) and all(a in (b, ANY_NAME) for a, b in zip(pattern, parts, strict=True))


def _without_none(kind: Any) -> tuple[Any, bool]:
    if get_origin(kind) in (Union, types.UnionType):
        rest = [each for each in get_args(kind) if each is not type(None)]
        return rest[0], len(rest) < len(get_args(kind))
    return kind, False


def _default(entry: dataclasses.Field[Any]) -> Any:
    return entry.default if entry.default_factory is dataclasses.MISSING else entry.default_factory()


def _describe(kind: Any, metadata: Mapping[str, Any]) -> str:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "one of " + ", ".join(member.name for member in kind)
    if choices := metadata.get("choices"):
        return "one of " + ", ".join(str(choice) for choice in choices)
    if path := metadata.get("path"):
        return {
            "folder": "an existing folder",
            "file": "an existing file",
            "savedmodel": "a SavedModel folder",
        }[path]
    if kind is bool:
        return "true or false"
    if kind in (int, float):
        return ("a whole number" if kind is int else "a number") + _range(metadata)
    return "text"


def _range(metadata: Mapping[str, Any]) -> str:
    """``low``/``high`` are inclusive, ``above``/``below`` are not."""
    if "low" in metadata and "high" in metadata:
        return f" from {metadata['low']:g} to {metadata['high']:g}"
    words = {"low": "at least", "above": "above", "high": "at most", "below": "below"}
    parts = [f"{word} {metadata[bound]:g}" for bound, word in words.items() if bound in metadata]
    return " " + " and ".join(parts) if parts else ""
