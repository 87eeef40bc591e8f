"""The tables of benchmarks/tiles.py, and the page that shows them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from pipeline.anonymize.detect import Detector
from pipeline.config.schema import DetectorConfig
from pipeline.config.schema.anonymization import TILES
from pipeline.config.schema.tiling import TilesConfig
from pipeline.errors import UserError
from pipeline.evaluation.report import table

EDGES = (0, 8, 12, 16, 24, 32, 48, 96, np.inf)
BEGIN, END = "<!-- figures: python -m benchmarks.tiles -->", "<!-- end of figures -->"


@dataclass(frozen=True)
class Row:
    """One way to look at one set of pictures.

    Attributes:
        views, parts, cpu: whole pictures and tiles that the network sees, parts that it sees again, and
            seconds of processor time to decode and detect, a picture.
        found, faces: by size of the face, see :data:`EDGES`; ``seen`` and ``shown`` likewise, by its size in
            the one view of the whole picture.
    """

    look: str
    views: float
    parts: float
    cpu: float
    precision: float
    exposed: float
    needless: float
    found: list[int]
    faces: list[int]
    seen: list[int]
    shown: list[int]
    wider: dict[str, float]


def settings(look: str) -> tuple[str, float]:
    """``tiles`` and ``min_face`` of a way to look.

    Raises:
        UserError: it is none.
    """
    allowed, usual = "off, a number of pixels from 8, or a number from 2 to 8 and x", DetectorConfig.min_face
    tiles = "auto" if look.isdigit() else look.removesuffix("x")
    if tiles not in TILES or (tiles == "auto" and not 8 <= int(look) <= 4096) or tiles == look != "off":
        raise UserError(f"looks: {look!r}; allowed: {allowed}")
    return tiles, float(look) if tiles == "auto" else usual


def report(
    results: dict[str, list[Row]], pictures: dict[str, int], detector: Detector, config: TilesConfig
) -> str:
    """The tables, in Markdown."""
    runtime = getattr(detector, "runtime", config.computed_by)
    lines = [
        f"Detector {detector.digest[:12]}, computed by {runtime}; operating threshold "
        f"{config.score_threshold:g}, overlap {config.iou:g}. A face's size is the geometric mean of its "
        "width and height, in pixels.",
        "",
    ]
    for name, rows in results.items():
        faces = sum(rows[0].faces)
        lines += [f"### {name[0].upper()}{name[1:]}: {pictures[name]} pictures, {faces} faces", ""]
        if rows[0].look == "off" and rows[0].wider:
            header = ["face in the network's one view", *_size_names(rows[0].shown)]
            lines += [*table(header, [["recall", *_shares(rows[0].seen, rows[0].shown)]]), ""]
        lines += [
            *table(
                ["tiles", "views", "parts", "CPU s", "cost", "precision", "exposed", "needless", "recall"],
                _costs(rows),
            ),
            "",
        ]
        lines += [*table(["recall by size", *_size_names(rows[0].faces)], _recalls(rows)), ""]
        if rows[0].wider:
            aps = [[_name(row.look), *(f"{ap:.3f}" for ap in row.wider.values())] for row in rows]
            lines += [*table(["WIDER AP", *rows[0].wider], aps), ""]
    return "\n".join(lines)


def _costs(rows: Sequence[Row]) -> list[list[str]]:
    return [
        [
            _name(row.look),
            f"{row.views:.1f}",
            f"{row.parts:.1f}",
            f"{row.cpu:.2f}",
            f"{row.cpu / rows[0].cpu:.1f}×",
            f"{row.precision:.3f}",
            f"{row.exposed:.3f}",
            f"{row.needless:.2%}",
            f"{sum(row.found) / max(sum(row.faces), 1):.3f}",
        ]
        for row in rows
    ]


def _recalls(rows: Sequence[Row]) -> list[list[str]]:
    return [[_name(row.look), *_shares(row.found, row.faces)] for row in rows]


def _shares(hits: Sequence[int], of: Sequence[int]) -> list[str]:
    return [f"{hit / count:.2f}" if count else "–" for hit, count in zip(hits, of, strict=True)]


def _size_names(counts: Sequence[int]) -> list[str]:
    names = [f"{low:g}–{high:g}" for low, high in pairwise(EDGES[1:-1])]
    return [
        f"{name} ({count})"
        for name, count in zip([f"<{EDGES[1]:g}", *names, f"≥{EDGES[-2]:g}"], counts, strict=True)
    ]


def _name(look: str) -> str:
    tiles, min_face = settings(look)
    return f"auto, min_face={min_face:g}" if tiles == "auto" else tiles


def write(text: str, results: dict[str, list[Row]], config: TilesConfig) -> None:
    folder = Path(config.outputs)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tiles.md").write_text(text + "\n", encoding="utf-8")
    content = {name: [asdict(row) for row in rows] for name, rows in results.items()}
    (folder / "tiles.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    if config.docs:
        page = Path(config.docs).read_text(encoding="utf-8")
        before, _, rest = page.partition(BEGIN)
        _, end, after = rest.partition(END)
        if not end:
            raise UserError(
                f"docs: {config.docs!r} has no place for figures; allowed: a page with {BEGIN} and {END}"
            )
        Path(config.docs).write_text(f"{before}{BEGIN}\n\n{text}\n{END}{after}", encoding="utf-8")
    print(f"Written to {folder}")
