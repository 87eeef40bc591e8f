"""Contact sheets of misses and false alarms, one a slice: for a look at what a detector gets wrong.

They hold pictures of people: they are written on request only, into the git-ignored output folder, and
are no part of what is tracked or published.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pipeline.anonymize.detect import Detections
from pipeline.data.pictures import read_upright
from pipeline.evaluation.labelled import LabelledFaces
from pipeline.evaluation.matching import NOBODY, Match
from pipeline.evaluation.slices import label_of, size_of

TILE, CAPTION, COLUMNS, ROWS = 150, 14, 8, 6
CONTEXT = 3.0
"""A tile shows this many times the face's size around it."""
MISSED, ALARM, LABEL = (255, 64, 64), (255, 160, 0), (64, 220, 64)


@dataclass(frozen=True)
class Cutout:
    """One box to look at, drawn in ``colour``, with a caption."""

    picture: LabelledFaces
    box: NDArray[np.float64]
    caption: str
    colour: tuple[int, int, int]


def write_sheets(
    pictures: Sequence[LabelledFaces],
    detections: Sequence[Detections],
    matches: Sequence[Match],
    threshold: float,
    folder: Path,
) -> list[Path]:
    """Writes ``missed_<slice>.jpg`` and ``alarm_<slice>.jpg``; of a long list, an even selection.

    Labelled faces are drawn green, missed ones red, false alarms orange.
    """
    groups = _missed(pictures, matches, threshold) | _alarms(pictures, detections, matches, threshold)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, cutouts in sorted(groups.items()):
        path = folder / f"{name}.jpg"
        sheet(_selection(cutouts, COLUMNS * ROWS)).save(path, quality=88)
        written.append(path)
    return written


def _missed(
    pictures: Sequence[LabelledFaces], matches: Sequence[Match], threshold: float
) -> dict[str, list[Cutout]]:
    groups: dict[str, list[Cutout]] = {}
    for picture, each in zip(pictures, matches, strict=True):
        for index in np.flatnonzero((each.score_of < threshold) & ~picture.ignored):
            box, size = picture.boxes.xyxy[index], picture.boxes.face_sizes[index]
            cutout = Cutout(picture, box, f"{size:.0f}px best {each.nearby[index]:.2f}", MISSED)
            for name in (size_of(size), label_of(picture.labels[index])):
                groups.setdefault(f"missed_{name}", []).append(cutout)
    return groups


def _alarms(
    pictures: Sequence[LabelledFaces],
    detections: Sequence[Detections],
    matches: Sequence[Match],
    threshold: float,
) -> dict[str, list[Cutout]]:
    groups: dict[str, list[Cutout]] = {}
    for picture, found, each in zip(pictures, detections, matches, strict=True):
        wrong = (found.scores >= threshold) & (each.face_of == NOBODY) & ~each.excused
        for index in np.flatnonzero(wrong):
            size = found.boxes.face_sizes[index]
            cutout = Cutout(
                picture, found.boxes.xyxy[index], f"{size:.0f}px {found.scores[index]:.2f}", ALARM
            )
            groups.setdefault(f"alarm_{size_of(size)}", []).append(cutout)
    return groups


def _selection(cutouts: list[Cutout], count: int) -> list[Cutout]:
    chosen = np.unique(np.linspace(0, len(cutouts) - 1, min(count, len(cutouts))).round().astype(int))
    return [cutouts[index] for index in chosen]


def sheet(cutouts: Sequence[Cutout]) -> Image.Image:
    """Tiles in rows of eight."""
    rows = -(-len(cutouts) // COLUMNS)
    canvas = Image.new("RGB", (COLUMNS * TILE, rows * (TILE + CAPTION)), (24, 24, 24))
    draw = ImageDraw.Draw(canvas)
    for number, cutout in enumerate(cutouts):
        left, top = number % COLUMNS * TILE, number // COLUMNS * (TILE + CAPTION)
        canvas.paste(_tile(cutout), (left, top))
        draw.text((left + 2, top + TILE + 1), cutout.caption, fill=(230, 230, 230))
    return canvas


def _tile(cutout: Cutout) -> Image.Image:
    xmin, ymin, xmax, ymax = cutout.box
    half = max(xmax - xmin, ymax - ymin, 8) * CONTEXT / 2
    left, top = (xmin + xmax) / 2 - half, (ymin + ymax) / 2 - half
    scale = TILE / (2 * half)
    corner = (left, top, left + 2 * half, top + 2 * half)
    tile = read_upright(cutout.picture.path).transform(
        (TILE, TILE), Image.Transform.EXTENT, corner, Image.Resampling.BICUBIC
    )
    draw = ImageDraw.Draw(tile)
    for box, colour in [*((box, LABEL) for box in cutout.picture.boxes), (cutout.box, cutout.colour)]:
        edges = (box - [left, top, left, top]) * scale
        draw.rectangle(edges.tolist(), outline=colour)
    return tile
