from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.anonymize import fuzz, fuzz_labels


def test_unharmed_seeds_are_done(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    for name, data in fuzz.seeds().items():
        assert fuzz.check(data, name, tmp_path / "work") == "done, faces", name


def test_mutated_pictures(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    ended = fuzz.run(200, 1_000_000, tmp_path / "work")
    assert ended["corrupt"] > 40 and ended["done, faces"] > 10, ended


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_ten_thousand_mutated_pictures(root: Path, part: int) -> None:
    """In processes of their own, since a decoder that crashes takes its process along."""
    command = [sys.executable, "-m", "tests.anonymize.fuzz", "1000", str(1000 * part)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=3000)
    assert done.returncode == 0, f"exit {done.returncode}: {done.stderr[-2000:]}"


@pytest.mark.parametrize("ignore_faces", [False, True])
def test_mutated_labels(tmp_path: Path, ignore_faces: bool) -> None:
    ended = fuzz_labels.run(400, tmp_path, ignore_faces)
    assert ended["done"] > 40 and ended["corrupt"] > 3 and ended["not_a_picture"] > 40, ended
    assert set(ended) <= {"done", "corrupt", "not_a_picture", "embeds_data"}
