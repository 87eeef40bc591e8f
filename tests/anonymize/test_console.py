"""What the terminal shows, whatever files are called and whoever reads."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.anonymize import Summary
from pipeline.anonymize.console import Progress, print_summary
from pipeline.anonymize.entry import Entry
from pipeline.anonymize.manifest import Entries

NAMES = (":cat:.bin", "[red]x[/].bin", "[/].bin", "[link=x]", "\\[", "a\\", "ł.bin")


@pytest.fixture
def summary(tmp_path: Path) -> Summary:
    entries = Entries()
    for name in NAMES:
        entries[name] = Entry(name, "other", "left_out", "not_a_picture", "no picture")
    return Summary(tmp_path, tmp_path, entries, "model", "tensorflow", removed=[])


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "ascii"])
def test_names_are_shown_as_they_are(
    summary: Summary, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    stdout = io.TextIOWrapper(io.BytesIO(), encoding)
    monkeypatch.setattr(sys, "stdout", stdout)
    print_summary(summary)
    stdout.seek(0)
    shown = stdout.read().splitlines()
    for name in NAMES:
        written = name.encode(encoding, "backslashreplace").decode(encoding)
        assert f"    {written}: not_a_picture: no picture" in shown


@pytest.fixture
def gone() -> int:
    """A descriptor to write to that nobody reads."""
    read, write = os.pipe()
    os.close(read)
    return write


def test_a_reader_that_has_gone_does_not_change_the_exit_code(
    root: Path, tmp_path: Path, model: Path, gone: int
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "data.bin").write_bytes(b"x")
    command = [sys.executable, "anonymize.py", f"data={tmp_path / 'data'}", f"detector.model={model}"]
    assert subprocess.run(command, cwd=root, stdout=gone, stderr=subprocess.DEVNULL).returncode == 3


def test_a_bar_that_nobody_sees_ends_no_run(monkeypatch: pytest.MonkeyPatch, gone: int) -> None:
    with os.fdopen(gone, "w") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        with Progress("anonymizing") as progress:
            progress.start(1)
            progress.advance("a.png", Entry("a.png", "picture", "done"))
