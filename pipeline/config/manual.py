"""What ``--help`` prints: made from the schema and from the comments in ``conf/``, so it cannot go stale."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator
from enum import Enum
from typing import Any

from omegaconf import OmegaConf

from pipeline.config.compose import defaults
from pipeline.config.fields import Field, fields_of
from pipeline.config.groups import Group, groups_of, opening_comment
from pipeline.config.paths import CONF

OPTIONS = [
    ("-m, --multirun", "a sweep: run every combination of values that commas separate"),
    ("--cfg", "print the whole configuration that would run, and stop"),
    ("-h, --help", "print this manual, and stop"),
]
WIDTHS = (80, 110)


def manual(schema: type, config_name: str, program: str) -> str:
    """Usage, examples, every group with its options, every field with default, range and meaning."""
    width = min(max(shutil.get_terminal_size((100, 24)).columns, WIDTHS[0]), WIDTHS[1])
    lines = [f"usage: python {program} [field=value | group=option ...] [-m] [--cfg] [--help]", ""]
    lines += opening_comment(CONF / f"{config_name}.yaml")
    lines += ["", "Options"]
    lines += [f"  {name:<20}{text}" for name, text in OPTIONS]
    for title, part in _parts(schema, config_name, width):
        lines += ["", title, *part]
    return "\n".join(lines) + "\n"


def _parts(schema: type, config_name: str, width: int) -> Iterator[tuple[str, list[str]]]:
    title = "Groups: group=option takes the values of conf/<group>/<option>.yaml (* is the default)"
    groups = groups_of(config_name).values()
    yield title, [line for group in groups for line in _group(group, width)]
    title = "Fields, with the value that they have by default and what is allowed"
    note = textwrap.wrap(
        "A field may be written without its section where only one field has that name: "
        "`steps=100` is `trainer.steps=100`. Lists: field=[a,b]. No value: field=null.",
        width - 2,
    )
    composed = defaults(schema, config_name)
    fields = [line for field in fields_of(schema) for line in _field(field, composed, width)]
    yield title, [f"  {line}" for line in note] + fields


def _group(group: Group, width: int) -> list[str]:
    lines = [f"  {group.name}" + (f"  (several: {group.name}=a,b)" if group.several else "")]
    for name, path in group.options.items():
        mark = "*" if name in group.default else " "
        says = next(iter(opening_comment(path)), "")
        lines += _hanging(f"  {mark} {name:<20}", says, width)
    return lines


def _field(field: Field, composed: Any, width: int) -> list[str]:
    default = field.default if "<" in field.path else OmegaConf.select(composed, field.path, default="???")
    text = f"{field.help}; {field.allowed}" if field.help else field.allowed
    value = _hanging("  ", f"{field.path}={_shown(default)}", width)
    return [*value, *_hanging(" " * 6, text, width)]


def _shown(value: Any) -> str:
    if OmegaConf.is_dict(value):
        return "{" + ",".join(str(key) for key in value) + "}"
    if OmegaConf.is_list(value) or isinstance(value, list):
        return "[" + ",".join(map(_shown, value)) + "]"
    if isinstance(value, Enum):
        return value.name
    names = {None: "null", True: "true", False: "false", "???": "(required)"}
    return names[value] if isinstance(value, (bool, str, type(None))) and value in names else str(value)


def _hanging(start: str, text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, initial_indent=start, subsequent_indent=" " * len(start)) or [start]
