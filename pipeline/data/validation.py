"""Opening every labelled picture and checking its boxes; each finding says what it did.

Source files are only ever read. A fault costs as little as it can: a box is mended where its
meaning is plain, left out where it is not; a picture whose labels cannot be trusted is left out
whole, because a face without its box teaches the detector to miss faces.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from rich.progress import track

from pipeline.boxes import Boxes
from pipeline.data import pictures
from pipeline.data.examples import FACE, LabelledPicture, Problem, RawLabels
from pipeline.data.placing import UnknownFrame, place

ROUNDING = 0.5
"""Pixels a box may stick out without being a finding: fractions rounded to a few digits do."""
THREADS = 4

Checked = tuple[LabelledPicture | None, list[Problem]]


def check_all(
    source: str, labels: Sequence[RawLabels], label_map: Mapping[str, str]
) -> tuple[list[LabelledPicture], list[Problem]]:
    """Opens and checks all pictures of one set, in the order given."""
    with ThreadPoolExecutor(THREADS) as pool:  # Pillow decodes outside the interpreter's lock
        checks = pool.map(lambda raw: check(source, raw, label_map), labels)
        quiet = not sys.stdout.isatty()
        results = list(track(checks, f"checking {source}", len(labels), transient=True, disable=quiet))
    kept = [picture for picture, _ in results if picture is not None]
    return kept, [problem for _, problems in results for problem in problems]


def check(source: str, raw: RawLabels, label_map: Mapping[str, str]) -> Checked:
    """One picture: None if it has to be left out, and what was found."""
    if not _is_unicode(raw.name):
        detail = "its name is no UTF-8, which nothing that lists pictures can hold; rename it"
        return None, [_lost("unreadable name", source, raw, detail)]
    try:
        opened = pictures.examine(raw.path)
    except pictures.UNREADABLE as error:
        return None, [_lost("unreadable image", source, raw, f"{type(error).__name__}: {error}")]
    try:
        boxes = place(raw.boxes, raw.frame, opened.size, opened.stored_size, opened.orientation)
    except UnknownFrame as error:
        return None, [_lost("label for another size", source, raw, str(error))]
    boxes, keep, problems = check_boxes(boxes, raw, label_map, opened.size, source)
    faces = {index for index, label in enumerate(raw.labels) if label_map.get(label) == FACE}
    if faces and not faces & set(keep):  # what the merge drops does not make it a negative
        return None, [*problems, _lost("no usable box", source, raw, "every face of it was left out")]
    picture = LabelledPicture(
        source=source,
        name=raw.name,
        path=raw.path,
        width=opened.size[0],
        height=opened.size[1],
        boxes=boxes,
        labels=raw.labels,
        attributes=raw.attributes,
        sha256=pictures.sha256(raw.path),
        dhash=opened.dhash,
        bit_exact=opened.plain,
    )
    return picture.keep(keep), problems


def check_boxes(
    boxes: Boxes, raw: RawLabels, label_map: Mapping[str, str], size: tuple[int, int], source: str
) -> tuple[Boxes, list[int], list[Problem]]:
    """Mends what can be mended.

    Args:
        boxes: of ``raw``, placed in upright pixels.
        label_map: two boxes at one place that become the same label are duplicates.
        size: width and height of the upright picture.

    Returns:
        All boxes, mended and clipped to the picture; the indices to keep; the findings.
    """
    problems: list[Problem] = []

    def found(index: int, kind: str, effect: str) -> None:
        corners = " ".join(f"{value:g}" for value in np.round(boxes.xyxy[index], 1))
        detail = f"box {index + 1} ({raw.labels[index]}): {corners} in {size[0]}x{size[1]}"
        problems.append(Problem(kind, source, raw.name, detail, effect))

    low, high = boxes.xyxy[:, :2], boxes.xyxy[:, 2:]
    mended = Boxes(np.concatenate([np.minimum(low, high), np.maximum(low, high)], axis=1))
    clipped = mended.clip(*size)
    spill = np.abs(mended.xyxy - clipped.xyxy).max(axis=1, initial=0)
    seen: set[tuple[object, ...]] = set()
    keep: list[int] = []
    for index in range(len(boxes)):
        key = (label_map.get(raw.labels[index]), *clipped.xyxy[index])
        if not mended.valid[index]:
            found(index, "box empty", "box left out")
        elif not clipped.valid[index]:
            found(index, "box outside", "box left out (wholly outside)")
        elif key in seen:
            found(index, "duplicate box", "box left out (the first one stays)")
        else:
            if (low[index] > high[index]).any():
                found(index, "box inverted", "corners swapped")
            if spill[index] > ROUNDING:
                found(index, "box outside", "box clipped to the picture")
            keep.append(index)
            seen.add(key)
    return clipped, keep, problems


def leave_out_duplicates(
    labelled: list[LabelledPicture], measuring: set[str]
) -> tuple[list[LabelledPicture], list[Problem]]:
    """Of pictures with the same bytes, only the one with the most boxes stays (then by name).

    Args:
        measuring: sources that must not be trained on; their picture always stays.
    """
    best: dict[str, LabelledPicture] = {}
    problems: list[Problem] = []

    def rank(picture: LabelledPicture) -> tuple[bool, int, str, str]:
        return picture.source not in measuring, -len(picture.boxes), picture.source, picture.name

    for picture in sorted(labelled, key=rank):
        first = best.setdefault(picture.sha256, picture)
        if first is not picture:
            detail = f"same bytes as {first.source}/{first.name}"
            problems.append(Problem("duplicate", picture.source, picture.name, detail, "picture left out"))
    kept = {id(picture) for picture in best.values()}
    return [picture for picture in labelled if id(picture) in kept], problems


def near_duplicate_findings(labelled: list[LabelledPicture], groups: list[int]) -> list[Problem]:
    """One finding for each picture that shares a group, naming the group's first picture."""
    first: dict[int, LabelledPicture] = {}
    problems = []
    for picture, group in zip(labelled, groups, strict=True):
        leader = first.setdefault(group, picture)
        if leader is not picture:
            detail = f"looks like {leader.source}/{leader.name}"
            effect = "kept, on the same side of the split"
            problems.append(Problem("near-duplicate", picture.source, picture.name, detail, effect))
    return problems


def _lost(kind: str, source: str, raw: RawLabels, detail: str) -> Problem:
    return Problem(kind, source, raw.name, detail, "picture left out")


def _is_unicode(name: str) -> bool:
    """Whether a file's name, whose bytes may be of an old encoding, can be written as text."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
