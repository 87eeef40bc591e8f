"""Lists of pictures: ``train.txt``, ``ImageSets/Main/val.txt``."""

from __future__ import annotations

import re

from pipeline.anonymize.labels.pictures import Carried, Pictures

COLUMNS = re.compile(r"(\S+)(\s+[-+]?\d{1,3})+")
"""A picture and what VOC writes behind it: whether a class is there, number of an object. Anything longer or
freer may be about a person, and is no list."""


def carry(path: str, data: bytes, pictures: Pictures) -> Carried | None:
    """The list without pictures that were left out; None when some line names no picture of DATA.

    A line may be a path or a stem, with or without columns behind it (VOC).
    """
    try:
        lines = data.decode("utf-8").splitlines(keepends=True)
    except UnicodeDecodeError:
        return None
    kept, dropped, moved = [], 0, 0
    for line in lines:
        text = line.strip()
        named = _named(text, path, pictures)
        if text and not named:
            return None
        if pictures.all_left_out(named):
            dropped += 1
            continue
        new = line.replace(text, pictures.moved(text)) if text else line
        moved += new != line
        kept.append(new)
    if not any(line.strip() for line in lines):
        return None
    notes = [f"{dropped} pictures dropped that were left out"] if dropped else []
    notes += [f"{moved} absolute paths now lead into OUT"] if moved else []
    return Carried("".join(kept).encode() if notes else data, notes)


def _named(text: str, path: str, pictures: Pictures) -> list[str]:
    if not text:
        return []
    columns = COLUMNS.fullmatch(text)
    for name in (text, columns[1]) if columns else (text,):  # "photo 1" is a name before it is columns
        if found := pictures.named(name, path) or pictures.with_stem(name):
            return found
    return []
