"""WIDER FACE's text: a picture's path, its number of faces, then a line a face.

A line is ``x y w h blur expression illumination invalid occlusion pose``; a picture without faces
has the number 0 and, in the official files, one line of zeros. Where a ``difficulty.json`` lies
beside the text (picture → ``easy``/``medium``/``hard`` → indices of the counted boxes, from 0),
each box carries the list of the difficulties that count it, for the official protocol.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pipeline.boxes import Boxes
from pipeline.data.examples import Problem, RawLabels, Reading
from pipeline.data.ingest.files import SourceFolder
from pipeline.errors import UserError

LABEL = "face"
ATTRIBUTES = ("blur", "expression", "illumination", "invalid", "occlusion", "pose")
DIFFICULTY_FILE = "difficulty.json"
Rows = list[list[float]]


def read(source: SourceFolder) -> Reading:
    """Raises UserError if the text does not follow the format: where it slips, all below is lost."""
    difficulties = _difficulties(source)
    labels: list[RawLabels] = []
    problems: list[Problem] = []
    entries = list(_entries(source))
    owners = source.owners([listed for listed, _ in entries])
    for place, (listed, rows) in enumerate(entries):
        name = source.find_name(listed)
        if name is None:
            problems.append(source.orphan(source.label_file, listed))
        elif place != owners[name][0]:
            problems.append(source.second_label(source.label_file, name))
        elif any(entries[other][1] != rows for other in owners[name][1:]):
            problems.append(source.contradiction(source.label_file, name))
        else:
            labels.append(_raw(name, rows, source, difficulties.get(listed)))
    return Reading(labels, problems + source.unlabelled(owners))


def _entries(source: SourceFolder) -> Iterator[tuple[str, Rows]]:
    lines = source.label_file.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    position = 0
    while position < len(lines):
        name = lines[position].strip()
        position += 1
        if not name:
            continue
        try:
            count = int(lines[position])
            rows = [[float(text) for text in line.split()] for line in lines[position + 1 :][:count]]
            if len(rows) != count or any(len(row) < 4 for row in rows):
                raise ValueError(f"expected {count} lines of 'x y w h …'")
        except (ValueError, IndexError) as error:
            raise UserError(f"{source.label_file}, line {position + 1}, after '{name}': {error}") from error
        position += 1 + count
        if count == 0 and position < len(lines) and not any(map(_number, lines[position].split())):
            position += 1  # the line of zeros
        yield name, rows


def _number(text: str) -> bool:
    """Whether ``text`` is anything but a zero."""
    return text != "0"


def _raw(name: str, rows: Rows, source: SourceFolder, difficulty: dict[str, list[int]] | None) -> RawLabels:
    picture = source.pictures[name]
    return RawLabels(
        name=source.relative(picture),
        path=picture,
        frame=None,
        boxes=Boxes.from_xywh([row[:4] for row in rows]),
        labels=(LABEL,) * len(rows),
        attributes=tuple(_attributes(index, row, difficulty) for index, row in enumerate(rows)),
    )


def _attributes(index: int, row: list[float], difficulty: dict[str, list[int]] | None) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        name: int(number) for name, number in zip(ATTRIBUTES, row[4:], strict=False)
    }
    if difficulty is not None:
        attributes["difficulty"] = [level for level, counted in difficulty.items() if index in counted]
    return {"index": index} | attributes


def _difficulties(source: SourceFolder) -> dict[str, dict[str, list[int]]]:
    path = source.label_file.parent / DIFFICULTY_FILE
    try:
        return json.loads(path.read_text()) if path.is_file() else {}
    except (ValueError, OSError) as error:
        raise UserError(f"{path}: expected a JSON of picture → level → indices of boxes ({error})") from error
