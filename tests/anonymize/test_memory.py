"""Memory stays flat however large the folder, and bounded however large the pictures."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.anonymize.standin import background, paint_face, save

pytestmark = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")


def weighed(root: Path, data: Path, out: Path, *model: str) -> tuple[list[int], int]:
    """Resident megabytes after each picture, and at most."""
    command = [sys.executable, "-m", "tests.anonymize.memory", str(data), str(out), *model]
    told = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.split()
    *after, most = map(int, told)
    return after, most


@pytest.mark.slow
def test_a_large_folder_is_flat_after_the_first_hundred(root: Path, tmp_path: Path) -> None:
    kinds = []
    for i in range(12):
        faces = [(10 + 5 * i, 20, 90 + 5 * i, 130)] * (i % 3 > 0)
        kinds.append(save(tmp_path / f"kind-{i}.{'png' if i % 4 == 3 else 'jpg'}", faces))
    data = tmp_path / "data"
    for number in range(1500):
        kind = kinds[number % len(kinds)]
        folder = data / f"{number // 100:02}"
        folder.mkdir(parents=True, exist_ok=True)
        os.link(kind, folder / f"{number:05}{kind.suffix}")
    after, most = weighed(root, data, tmp_path / "out")
    assert len(after) == 1500
    early, late = float(np.median(after[100:200])), float(np.median(after[-100:]))
    print(f"resident after 100 to 200: {early:.0f} MB, after the last hundred: {late:.0f}, most: {most}")
    assert late - early < 16, "more than the manifest's lines stay in memory"


@pytest.mark.slow
@pytest.mark.parametrize("faces", [0, 3])
def test_a_picture_of_45_megapixels_fits(root: Path, tmp_path: Path, faces: int) -> None:
    """A dozen, so that what overlaps is seen, and what threads keep; the released detector and its runtime
    included."""
    model = root / "models/efficientdet_d2"
    small = background(1032, 688)
    for i in range(faces):
        paint_face(small, (60 + 300 * i, 50, 160 + 300 * i, 190))
    large = cv2.resize(small, (8256, 5504), interpolation=cv2.INTER_CUBIC)
    (tmp_path / "data").mkdir()
    cv2.imwrite(str(tmp_path / "data/0.jpg"), large[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    for i in range(1, 12):
        os.link(tmp_path / "data/0.jpg", tmp_path / f"data/{i}.jpg")
    given = [str(model)] if model.is_dir() else []
    after, most = weighed(root, tmp_path / "data", tmp_path / "out", *given)
    print(f"{faces} painted faces each: resident {after} MB, most {most} MB")
    assert len(after) == 12 and most < 1500
