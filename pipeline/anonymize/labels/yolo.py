"""YOLO: one text file a picture, files that name the classes, and a data.yaml."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath
from typing import Any

import yaml

from pipeline.anonymize.labels.pictures import IGNORE, Carried, LabelError, Pictures, refuse_embedded

LINE = re.compile(r"\d+(\s+-?\d+(\.\d*)?([eE][-+]?\d+)?){4,}\s*")
CLASSES = ("classes.txt", "labels.txt", "obj.names")
PLACES = ("path", "train", "val", "test")
"""Where the pictures lie: what a data.yaml says beside the names."""


def carry(path: str, data: bytes, pictures: Pictures) -> Carried | None:
    """The labels of one picture; None when the lines are no YOLO labels, or belong to no picture.

    Raises:
        LabelError: the picture was left out.
    """
    named = pictures.of_stem(path)
    if not named or boxes_in(data) is None:
        return None
    pictures.refuse_left_out(named)
    done = [each for each in named if pictures.entries[each].status == "done"]
    if not pictures.ignore_faces or len(done) != 1:
        return Carried(data)
    boxes, (width, height) = pictures.ignored_boxes(done[0])
    added = [
        f"{pictures.classes} " + " ".join(f"{value:.6f}" for value in row)
        for row in boxes.to_normalized_cxcywh(width, height).tolist()
    ]
    if not added:
        return Carried(data)
    return Carried(_appended(data, added), [f"{len(added)} redacted regions added as {IGNORE}"])


def boxes_in(data: bytes) -> int | None:
    """How many boxes a label file holds; None when it is none."""
    lines = _lines(data)
    return None if lines is None or not all(LINE.fullmatch(line) for line in lines) else len(lines)


def class_names(path: str, data: bytes) -> list[str] | None:
    """The names in a ``classes.txt`` or ``obj.names``, in order."""
    lines = _lines(data)
    if PurePosixPath(path).name.lower() not in CLASSES or not lines or any(len(line) > 100 for line in lines):
        return None
    return lines


def carry_class_names(path: str, data: bytes, pictures: Pictures) -> Carried | None:
    """A file that names the classes of labels that DATA holds."""
    if not pictures.yolo or class_names(path, data) is None:
        return None
    if not pictures.ignore_faces:
        return Carried(data)
    return Carried(_appended(data, [IGNORE]), [f"class {pictures.classes} is {IGNORE}"])


def data_yaml(data: bytes) -> dict[str, Any] | None:
    """The content of a data.yaml, if it is one."""
    try:
        content = yaml.safe_load(data)
    except yaml.YAMLError:
        return None
    if not isinstance(content, dict) or not any(place in content for place in PLACES):
        return None
    return content if isinstance(content.get("names"), (list, dict)) else None


def classes_of(content: dict[str, Any]) -> dict[int, Any]:
    """The classes of a data.yaml by their index.

    Raises:
        LabelError: an index is no whole number.
    """
    names = content["names"]
    indexed = dict(enumerate(names)) if isinstance(names, list) else names
    if not all(type(index) is int for index in indexed):
        raise LabelError("corrupt", "names: allowed: a list, or a mapping from whole numbers")
    return indexed


def carry_yaml(path: str, data: bytes, pictures: Pictures) -> Carried | None:
    """A data.yaml, whose absolute paths into DATA are led into OUT.

    Raises:
        LabelError: it embeds data, or its classes have no indices.
    """
    content = data_yaml(data)
    if content is None or not pictures.yolo:
        return None
    refuse_embedded([*_scalars(content), *data.split()])  # words of comments, too
    indexed = classes_of(content)
    moved = _led_into_out(data, content, pictures)
    notes = ["absolute paths now lead into OUT"] if moved != data else []
    if pictures.ignore_faces:
        content = yaml.safe_load(moved)
        content["names"] = {**indexed, pictures.classes: IGNORE}
        content["nc"] = pictures.classes + 1
        moved = _dumped(content)
        notes.append(f"class {pictures.classes} is {IGNORE}")
    return Carried(moved, notes)


def _led_into_out(data: bytes, content: dict[str, Any], pictures: Pictures) -> bytes:
    """The same text with other paths; written anew only where a path's text is not what it means.

    Raises:
        LabelError: it repeats parts of itself.
    """
    texts = {each for each in _scalars(content) if isinstance(each, str)}
    moves = {each: pictures.moved(each) for each in texts if pictures.inside(each) is not None}
    if not moves:
        return data
    if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(data)):
        raise LabelError("corrupt", "its paths lead into DATA; allowed in such a file: no aliases (*name)")
    moved = data
    for path, place in moves.items():
        whole = rb"(?<![^\s\"'\[,])" + re.escape(path.encode()) + rb"(?=[\s\"',\]]|$)"
        moved = re.sub(whole, place.encode().replace(b"\\", rb"\\"), moved)
    wanted = _mapped(content, lambda each: moves.get(each, each))
    return moved if data_yaml(moved) == wanted else _dumped(wanted)


def _mapped(content: Any, change: Callable[[str], str]) -> Any:
    """The same content with every string value changed."""
    if isinstance(content, dict):
        return {key: _mapped(value, change) for key, value in content.items()}
    if isinstance(content, list):
        return [_mapped(value, change) for value in content]
    return change(content) if isinstance(content, str) else content


def _dumped(content: dict[str, Any]) -> bytes:
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True).encode()


def _scalars(content: Any) -> Iterator[Any]:
    """Every name and value; what an alias repeats is looked at once."""
    stack, seen = [content], set()
    while stack:
        value = stack.pop()
        if isinstance(value, (dict, list, set)):
            if id(value) not in seen:
                seen.add(id(value))
                stack.extend([*value, *value.values()] if isinstance(value, dict) else value)
        else:
            yield value


def highest_class(data: bytes) -> int:
    """The highest class index of a label file, -1 when there is none."""
    lines = _lines(data) or []
    return max((int(line.split()[0]) for line in lines if LINE.fullmatch(line)), default=-1)


def _lines(data: bytes) -> list[str] | None:
    try:
        return [line.strip() for line in data.decode("utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError:
        return None


def _appended(data: bytes, lines: list[str]) -> bytes:
    newline = b"\r\n" if b"\r\n" in data else b"\n"
    gap = b"" if not data or data.endswith(b"\n") else newline
    return data + gap + b"".join(line.encode() + newline for line in lines)
