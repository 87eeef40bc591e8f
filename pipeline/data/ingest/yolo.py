"""YOLO: one text file a picture, a line a box: ``class cx cy w h`` as fractions of the picture.

Class names stand in ``classes.txt``, ``obj.names`` or ``data.yaml`` beside the labels or above
them. Without such a file the label is the class number itself, written as text.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from pipeline.boxes import Boxes
from pipeline.data.examples import Problem, RawLabels, Reading
from pipeline.data.ingest.files import SourceFolder, label_files
from pipeline.errors import UserError

NAME_FILES = ("classes.txt", "obj.names", "data.yaml", "data.yml")


def read(source: SourceFolder) -> Reading:
    names = class_names(source)
    labels: list[RawLabels] = []
    problems: list[Problem] = []
    used: set[str] = set()
    for stem, path in label_files(source, ".txt"):
        name = source.find(stem)
        if name is None:
            if path.name not in NAME_FILES:
                problems.append(source.orphan(path, f"{stem}.*"))
            continue
        if name in used:
            problems.append(source.second_label(path, name))
            continue
        used.add(name)
        try:
            labels.append(_parse(path, source.pictures[name], source, names))
        except (ValueError, OSError) as error:
            problems.append(source.unreadable_label(path, error))
    return Reading(labels, problems + source.unlabelled(used))


def _parse(path: Path, picture: Path, source: SourceFolder, names: dict[int, str]) -> RawLabels:
    rows = [line.split() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    wrong = next((row for row in rows if len(row) not in (5, 6)), None)
    if wrong is not None:  # a sixth value is a detector's confidence; more is a polygon
        raise ValueError(f"expected 'class cx cy w h' on each line, got '{' '.join(wrong)[:60]}'")
    return RawLabels(
        name=source.relative(picture),
        path=picture,
        frame=(1, 1),
        boxes=Boxes.from_normalized_cxcywh([[float(text) for text in row[1:5]] for row in rows], 1, 1),
        labels=tuple(names.get(int(row[0]), row[0]) for row in rows),
    )


def class_names(source: SourceFolder) -> dict[int, str]:
    """Class names by number; empty if no file states them.

    Raises:
        UserError: the file that should state them cannot be read.
    """
    for folder in (source.folder, source.label_folder, source.label_folder.parent):
        for path in (folder / name for name in NAME_FILES):
            if path.is_file():
                return _parse_names(path)
    return {}


def _parse_names(path: Path) -> dict[int, str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix not in (".yaml", ".yml"):
            return {number: line.strip() for number, line in enumerate(text.splitlines()) if line.strip()}
        names = yaml.safe_load(text)["names"]
        pairs = names.items() if isinstance(names, dict) else enumerate(names)
        return {int(number): str(name) for number, name in pairs}
    except (yaml.YAMLError, KeyError, TypeError, ValueError, OSError) as error:
        raise UserError(f"{path}: expected class names, one a line or below 'names:' ({error})") from error
