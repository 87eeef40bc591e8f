"""How far two sets agree about the faces of pictures that both of them labelled.

    python -m benchmarks.label_agreement datasets/versions/VERSION

compares the labels of near-duplicates that come from different sets, over all splits of a prepared version.
What two people who look at the same picture do not agree on, no detector can be right about twice: so this
says how near to 1 recall and AP50 on such labels can come, and how near to 0 exposed faces: those that would
be exposed if the tool, at its defaults, redacted what the other set has labelled. Prints a table. Takes:
seconds.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from benchmarks.agreement import pairs
from pipeline.boxes import Boxes
from pipeline.config.schema import RedactConfig, SplitConfig
from pipeline.data.pictures import examine
from pipeline.data.version import DatasetVersion
from pipeline.errors import UserError
from pipeline.evaluation.exposure import measure_exposure
from pipeline.evaluation.labelled import LabelledFaces, read_labelled
from pipeline.evaluation.redaction import redacted
from pipeline.evaluation.report import table

SAME_FACE = 0.2
"""Overlap from which on two boxes are of one face, however differently they are placed."""
SAME_SHAPE = 0.03
"""Share by which the proportions of two pictures may differ: else one of them is cut."""


@dataclass
class Side:
    """What one of two sets says, and what becomes of it if the other's faces are redacted.

    Attributes:
        faces: how many it has labelled.
        exposed: of these, those that the regions of the other's labels would leave exposed.
        needless: pixels that these regions would redact outside its own faces, of ``pixels``.
    """

    faces: int = 0
    exposed: int = 0
    needless: float = 0
    pixels: float = 0

    def add(self, own: LabelledFaces, other: Boxes) -> None:
        """Count a picture; the other's boxes are in this picture's frame."""
        self.faces += len(own.boxes)
        mask = redacted(other, RedactConfig(), (own.width, own.height))
        measured = measure_exposure([own], [mask])
        self.exposed += measured.by_slice["all"].hits
        self.needless += measured.needless.sum()
        self.pixels += measured.pixels.sum()


@dataclass
class Agreement:
    """What two sets say of pictures that both have.

    Attributes:
        overlaps: IoU of the faces that both have.
    """

    pictures: int = 0
    sides: tuple[Side, Side] = field(default_factory=lambda: (Side(), Side()))
    overlaps: list[float] = field(default_factory=list)

    def add(self, one: LabelledFaces, other: LabelledFaces) -> None:
        """Count a picture that both sets have, each perhaps at a size of its own."""
        self.pictures += 1
        self.sides[0].add(one, _boxes_in(one, other))
        self.sides[1].add(other, _boxes_in(other, one))
        placed = _boxes_in(one, other)
        rows, columns = pairs(one.boxes, placed, SAME_FACE)
        self.overlaps += one.boxes.iou(placed)[rows, columns].tolist()

    def placed(self, iou: float) -> int:
        """Faces that both have placed so that they overlap by at least that."""
        return sum(overlap >= iou for overlap in self.overlaps)


def _boxes_in(frame: LabelledFaces, picture: LabelledFaces) -> Boxes:
    """The picture's boxes, in pixels of the same picture at another size."""
    scale = [frame.width / picture.width, frame.height / picture.height] * 2
    return Boxes(picture.boxes.xyxy * scale)


def agreements(pictures: Iterable[tuple[int, LabelledFaces]]) -> dict[tuple[str, str], Agreement]:
    """Of each pair of sets, by the names of the sets.

    Args:
        pictures: each with the number of its group of near-duplicates.
    """
    groups: dict[int, list[LabelledFaces]] = defaultdict(list)
    for group, picture in pictures:
        groups[group].append(picture)
    found: dict[tuple[str, str], Agreement] = defaultdict(Agreement)
    for members in groups.values():
        for one, other in _same(members):
            found[one.source, other.source].add(one, other)
    return dict(sorted(found.items()))


def _same(members: list[LabelledFaces]) -> Iterator[tuple[LabelledFaces, LabelledFaces]]:
    """Pairs of different sets that show the same, neither mirrored nor cut, each picture of a set once."""
    members = sorted(members, key=lambda picture: (picture.source, picture.name))
    met: set[tuple[int, str]] = set()
    for one, other in combinations(members, 2):
        seen = {(one.id, other.source), (other.id, one.source)}
        if one.source != other.source and not seen & met and _alike(one, other):
            met |= seen
            yield one, other


def _alike(one: LabelledFaces, other: LabelledFaces) -> bool:
    shapes = one.width * other.height / (one.height * other.width)
    if abs(shapes - 1) > SAME_SHAPE:
        return False
    upright = [examine(picture.path).dhash[0] for picture in (one, other)]
    return int((upright[0] != upright[1]).sum()) <= SplitConfig().max_distance


def read(version: DatasetVersion) -> Iterator[tuple[int, LabelledFaces]]:
    """The pictures of a version as their sets labelled them, each with its group."""
    for split in version.counts:
        file = version.coco(split)
        images = json.loads(file.read_text(encoding="utf-8"))["images"]
        yield from zip([image["group"] for image in images], read_labelled(file), strict=True)


def rows(found: dict[tuple[str, str], Agreement]) -> Iterator[list[str]]:
    """Of the table: a line for each of two sets, and what the other has of its faces."""
    for names, each in found.items():
        for name, other, side in zip(names, names[::-1], each.sides, strict=True):
            of = max(side.faces, 1)
            yield [
                name,
                other,
                str(each.pictures),
                str(side.faces),
                f"{len(each.overlaps) / of:.2f}",
                f"{each.placed(0.5) / of:.2f}",
                f"{each.placed(0.75) / of:.2f}",
                f"{np.median(each.overlaps):.2f}" if each.overlaps else "–",
                f"{side.exposed / of:.3f}",
                f"{side.needless / max(side.pixels, 1):.1%}",
            ]


def main(folder: str) -> None:
    """Print the table.

    Raises:
        UserError: the folder holds no version, or no picture that two sets labelled.
    """
    found = agreements(read(DatasetVersion.load(folder)))
    if not found:
        raise UserError(f"VERSION: {folder!r} has no picture that two sets labelled")
    header = ["faces of", "other set", "pictures", "faces", "there", "at 0.5", "at 0.75", "median overlap"]
    header += ["exposed", "needless"]
    print("\n".join(table(header, list(rows(found)))))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    try:
        main(sys.argv[1])
    except UserError as error:
        sys.exit(str(error))
