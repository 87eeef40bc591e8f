"""The real mask sets, where they are: what was counted by hand comes out, and no listed pair is parted."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from pipeline.config.compose import compose
from pipeline.config.schema import TrainConfig
from pipeline.data import ingest
from pipeline.data.assemble import Assembled, assemble
from pipeline.data.sources import locate

SETS = {"facemask853": "facemask", "ilc2021": "ilc2021", "adityap237": "adityap237"}


def readings(shared: Path, sets: str) -> tuple[TrainConfig, dict[str, ingest.Reading]]:
    config = compose(TrainConfig, "train", [f"dataset={sets}", f"dataset.root={shared / 'data'}"])
    sources = config.dataset.sources
    return config, {n: ingest.read(locate(n, s, config.dataset), s.format) for n, s in sources.items()}


@pytest.fixture(scope="module")
def assembled(shared: Path) -> Assembled:
    config, read = readings(shared, "[facemask,ilc2021,adityap237]")
    return assemble(config.dataset, read)


def test_no_listed_near_duplicates_are_parted(assembled: Assembled, shared: Path) -> None:
    sides = {(p.source, p.path.stem): s for p, s in zip(assembled.pictures, assembled.sides, strict=True)}
    with (shared / "data" / "near_duplicates.csv").open() as file:
        pairs = [
            tuple((SETS[row[f"set_{side}"]], Path(row[f"file_{side}"]).stem) for side in "ab")
            for row in csv.DictReader(file)
        ]
    present = [(a, b) for a, b in pairs if a in sides and b in sides]
    assert len(present) > 180  # the others are exact copies, of which one is left out
    assert [pair for pair in present if sides[pair[0]] != sides[pair[1]]] == []


def test_groups_are_small_and_shares_are_kept(assembled: Assembled) -> None:
    """Single linkage could chain half of a set together; on photographs it does not."""
    assert max(map(assembled.groups.count, set(assembled.groups))) <= 6
    total = len(assembled.sides)
    assert assembled.sides.count("test") == round(0.2 * total)
    assert assembled.sides.count("val") == round(0.1 * total)


def test_findings_on_the_real_sets(assembled: Assembled) -> None:
    counts: dict[tuple[str, str], int] = {}
    for problem in assembled.problems:
        key = (problem.kind, problem.source)
        counts[key] = counts.get(key, 0) + 1
    assert counts["label without image", "ilc2021"] == 5
    assert counts["box outside", "facemask"] == 12
    assert counts["box outside", "ilc2021"] == 2
    assert not [kind for kind, _ in counts if kind.startswith("unreadable")]


def test_wider_counts_and_difficulties(shared: Path) -> None:
    _, read = readings(shared, "wider")
    labels = read["wider"].labels
    assert (len(labels), sum(len(raw.boxes) for raw in labels)) == (320, 4710)
    levels = [level for raw in labels for a in raw.attributes for level in a["difficulty"]]
    assert [levels.count(level) for level in ("easy", "medium", "hard")] == [851, 1940, 4255]
    stored = json.loads((shared / "data" / "wider_val_dev" / "difficulty.json").read_text())
    assert {raw.name.removeprefix("images/") for raw in labels} == set(stored)
