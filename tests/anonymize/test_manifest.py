"""The manifest's lines as they are held during a run."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from pipeline.anonymize.entry import Entry, Face, FileState
from pipeline.anonymize.manifest import Entries, Journal

SETTINGS = {"veil": 1, "model": "a" * 64, "redact": {"method": "blur", "margin": 0.2}}


def entry(number: int, settings: dict[str, object] | None = None, config: str = "") -> Entry:
    state = FileState(f"{number:064x}", 61825, 1795725277333776557, 1795725277333776557)
    faces = [Face(0, [316.56 + i, 84.68, 364.87, 143.85], 0.6424, [306, 72, 375, 131]) for i in range(4)]
    return Entry(
        f"00/{number:05}.jpg",
        "picture",
        "done",
        source=state,
        output=state,
        picture={"format": "JPEG", "width": 512, "height": 366, "orientation": 1, "frames": 1},
        faces=faces,
        settings=dict(SETTINGS) if settings is None else settings,
        config=config,
        verified={"settings": "11b42ec2c75089d2", "findings": []},
        time="2026-11-26T20:34:54+00:00",
    )


def test_what_is_held_is_what_was_given() -> None:
    entries = Entries()
    given = [entry(2), entry(10), entry(1)]
    for each in given:
        entries[each.path] = each
    assert [*entries.in_order()] == [given[2], given[0], given[1]]
    assert [*entries.among(["00/00010.jpg"]).items()] == [("00/00010.jpg", given[1])]
    assert "00/00002.jpg" in entries and "00/00003.jpg" not in entries and entries.get("x") is None
    del entries["00/00002.jpg"]
    assert len(entries) == 2


def test_files_made_with_other_settings_keep_theirs(tmp_path: Path) -> None:
    """Labels depend on the pictures and name no ``config``: one's settings must not pass for another's."""
    given = [entry(1, {"labels": "old"}), entry(2, {"labels": "new"}), entry(3, {})]
    journal = Journal(tmp_path)
    for each in given:
        journal.done(each)
    assert [*journal.entries.values()] == given
    journal.finish()
    assert [*Journal.read(tmp_path).entries.values()] == given


@pytest.mark.parametrize("zeros", [1, 2, 3, 4, 5, 4096])
def test_zeros_that_a_power_cut_left_are_no_line(tmp_path: Path, zeros: int) -> None:
    journal = Journal(tmp_path)
    journal.done(entry(1))
    journal.close()
    with (tmp_path / "manifest.jsonl").open("ab") as file:
        file.write(bytes(zeros))
    journal = Journal.read(tmp_path)
    journal.done(entry(2))
    journal.close()
    assert (tmp_path / "manifest.jsonl").read_bytes().splitlines()[1] == bytes(zeros)
    read = Journal.read(tmp_path)
    assert [*read.entries.values()] == [entry(1), entry(2)] and read.torn


def test_a_hundred_thousand_files_would_take_less_than_200_megabytes() -> None:
    entries = Entries()
    tracemalloc.start()
    try:
        for number in range(1000):
            each = entry(number)
            entries[each.path] = each
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert held / 1000 < 2000, "bytes a file"
