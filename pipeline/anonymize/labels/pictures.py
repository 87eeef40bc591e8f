"""What label files may refer to: the pictures of DATA, and which of them stand in OUT."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from pipeline.anonymize.entry import Entry
from pipeline.anonymize.images.orientation import boxes_to_raster, swaps
from pipeline.boxes import Boxes

IGNORE = "redacted_face"
"""Name of the class that ``labels.ignore_faces`` adds."""
LONGEST = 4096
"""Characters of one value of a label file; more is data, perhaps the picture itself."""
SHORTEST = 200
"""Characters from which on a value that holds the beginning of a picture may hold a picture: thumbnails are
short."""
PICTURE = re.compile(
    r"\A(?:/9j/|_9j_|iVBOR|R0lGOD|UklGR)|data:image"
    r"|(?<![A-Za-z0-9+/])(?:/9j/|_9j_|iVBOR|R0lGOD|UklGR|Qk|SUkq|TU0A|AAAA..Z0eX)[A-Za-z0-9+/_\s-]{150}"
)
"""A picture in base64, of either alphabet, wherever it begins in a value: JPEG, PNG, GIF, WebP, BMP, TIFF,
and HEIC or AVIF."""


class LabelError(Exception):
    """A label file that must not come along; ``reason`` is one word.

    ``ignored``: only because the user's ``ignore`` says so of its pictures, which is no failure.
    """

    def __init__(self, reason: str, message: str, ignored: bool = False) -> None:
        super().__init__(message)
        self.reason, self.ignored = reason, ignored


def refuse_embedded(texts: Iterable[object]) -> None:
    """Refuse labels of which one value is too long to be one.

    Raises:
        LabelError: ``embeds_data``.
    """
    for each in texts:
        if isinstance(each, (str, bytes)) and (
            len(each) > LONGEST or (len(each) > SHORTEST and _holds_a_picture(each))
        ):
            raise LabelError("embeds_data", f"holds a value of {len(each)} characters, perhaps a picture")


def _holds_a_picture(value: str | bytes) -> bool:
    return bool(PICTURE.search(value if isinstance(value, str) else value.decode("latin1")))


@dataclass(frozen=True)
class Carried:
    """A label file for OUT, and what was changed in it."""

    data: bytes
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Pictures:
    """Pictures of DATA by the ways in which label files name them.

    Attributes:
        entries: the manifest's line of each picture that DATA holds, by path.
        ignore_faces: whether redacted regions are added to the labels.
        yolo: whether DATA holds YOLO labels of some picture; without, no file can name their classes.
        classes: of YOLO, the index of the class to add.
    """

    data: Path
    out: Path
    entries: Mapping[str, Entry]
    ignore_faces: bool = False
    yolo: bool = False
    classes: int = 0
    _by_name: dict[str, list[str]] = field(init=False, default_factory=lambda: defaultdict(list))
    _by_stem: dict[str, list[str]] = field(init=False, default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        for path in self.entries:
            self._by_name[PurePosixPath(path).name].append(path)
            self._by_stem[PurePosixPath(path).stem].append(path)

    def named(self, reference: str, label: str) -> list[str]:
        """The pictures that a label file may mean by a name: one, or several of the same name.

        Args:
            reference: absolute, or relative to the label file, to DATA, or to any folder of it.
            label: path of the label file.
        """
        tail = PurePosixPath(self.inside(reference) or reference.replace("\\", "/"))
        parts = tuple(part for part in tail.parts if part not in (".", ".."))
        if not parts:
            return []
        near = (PurePosixPath(label).parent / PurePosixPath(*parts)).as_posix()
        if near in self.entries:
            return [near]
        same = self._by_name.get(parts[-1], [])
        shared = {path: _shared_end(PurePosixPath(path).parts, parts) for path in same}
        most = max(shared.values(), default=0)
        elsewhere = parts[0] == "/" or ":" in parts[0]  # a path of the machine where the labels were made
        return [path for path in same if shared[path] == most and (elsewhere or most == len(parts))]

    def of_stem(self, label: str) -> list[str]:
        """The pictures that a label file of one picture belongs to: of its name, in the same folder or,
        as YOLO and VOC lay out their sets, in a folder beside it.
        """
        path = PurePosixPath(label)
        same = self._by_stem.get(path.stem, [])
        near = [each for each in same if PurePosixPath(each).parent == path.parent]
        return near or [each for each in same if _beside(path.parent, PurePosixPath(each).parent)]

    def with_stem(self, stem: str) -> list[str]:
        """Pictures of that name without its suffix, anywhere."""
        return self._by_stem.get(stem, [])

    def inside(self, reference: str) -> str | None:
        """An absolute path into DATA, relative to it; also one that leads there by links."""
        path = Path(reference)
        if not path.is_absolute():
            return None
        real = Path(os.path.realpath(path.parent)) / path.name  # DATA's is real, the name may be a link in it
        for each in (path, real, Path(os.path.realpath(path))):
            if each.is_relative_to(self.data):
                return each.relative_to(self.data).as_posix()
        return None

    def moved(self, reference: str) -> str:
        """The same path in OUT, if it is absolute and leads into DATA."""
        inside = self.inside(reference)
        return reference if inside is None else str(self.out / inside)

    def all_left_out(self, paths: Sequence[str]) -> bool:
        """Whether none of some pictures stands in OUT; False when there are none."""
        return bool(paths) and not any(self.entries[path].status == "done" for path in paths)

    def refuse_left_out(self, paths: Sequence[str]) -> None:
        """Refuse labels of pictures of which none stands in OUT.

        Raises:
            LabelError: ``picture_left_out``.
        """
        if self.all_left_out(paths):
            ignored = all(self.entries[path].reason == "ignored" for path in paths)
            how = "is ignored" if ignored else "was left out"
            raise LabelError("picture_left_out", f"its picture {how}: {paths[0]}", ignored)

    def ignored_boxes(self, path: str, size: tuple[int, int] | None = None) -> tuple[Boxes, tuple[int, int]]:
        """Redacted regions of a picture's first page, and its size, in the frame that the labels use.

        Labels are in the stored raster, unless their own width and height say that they are upright.

        Args:
            size: width and height as the labels give them; None when they do not.
        """
        entry = self.entries[path]
        upright = int(entry.picture["width"]), int(entry.picture["height"])
        orientation = int(entry.picture["orientation"])
        regions = [face.region for face in entry.faces if face.region and face.frame == 0]
        boxes = Boxes(np.array(regions, np.float64).reshape(-1, 4))
        raster = upright[::-1] if swaps(orientation) else upright
        if size == upright != raster:
            return boxes, upright
        return boxes_to_raster(boxes, orientation, upright), raster


def _shared_end(one: Sequence[str], other: Sequence[str]) -> int:
    """How many parts two paths have in common, from their ends."""
    pairs = zip(reversed(one), reversed(other), strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _beside(label: PurePosixPath, picture: PurePosixPath) -> bool:
    """Whether the folders differ in one part: ``labels/train`` and ``images/train``."""
    ours, theirs = label.parts, picture.parts
    if len(ours) == len(theirs):
        return sum(a != b for a, b in zip(ours, theirs, strict=True)) == 1
    return label.parent == picture or picture.parent == label
