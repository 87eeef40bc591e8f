"""The benchmark of JPEG on pictures made here."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.jpeg_outside import main
from tests.anonymize.images.makers import encoded, texture


def test_it_measures_what_is_a_picture_and_counts_what_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(3):
        (tmp_path / f"{number}.jpg").write_bytes(encoded(texture(96, 128, seed=number), "JPEG", quality=90))
    (tmp_path / "3.jpg").write_bytes(b"no picture")
    main(str(tmp_path))
    shown = capsys.readouterr().out
    assert "3 photographs, 1 left out" in shown and "identical pixels in 3" in shown
    assert float(shown.split("outside: ")[1].split()[0]) > 40


def test_a_folder_without_a_photograph(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="holds no JPEG"):
        main(str(tmp_path))
