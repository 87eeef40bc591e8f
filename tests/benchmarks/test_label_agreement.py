"""What two sets say of the same pictures, on a version that the prepare stage made of two sets."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.agreement import pairs
from benchmarks.label_agreement import main
from pipeline.boxes import Boxes
from pipeline.config.schema import DatasetConfig, Format, SourceConfig, SplitConfig
from pipeline.data.prepare import prepare
from pipeline.errors import UserError
from tests.anonymize.images.makers import texture

Face = tuple[int, int, int, int]


def label(folder: Path, name: str, picture: NDArray[np.uint8], faces: list[Face]) -> None:
    """A picture and its YOLO labels; faces as xmin, ymin, xmax, ymax."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    (folder / "labels").mkdir(exist_ok=True)
    (folder / "classes.txt").write_text("face\n")
    cv2.imwrite(str(folder / f"images/{name}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 95])
    height, width = picture.shape[:2]
    lines = [
        f"0 {(x0 + x1) / 2 / width} {(y0 + y1) / 2 / height} {(x1 - x0) / width} {(y1 - y0) / height}"
        for x0, y0, x1, y1 in faces
    ]
    (folder / f"labels/{name}.txt").write_text("\n".join(lines))


def prepared(tmp_path: Path) -> Path:
    sources = {
        name: SourceConfig(
            root=str(tmp_path / name), format=Format.yolo, labels="labels", label_map={"face": "FACE"}
        )
        for name in ("first", "second")
    }
    versions = str(tmp_path / "versions")
    return prepare(DatasetConfig(sources=sources, versions=versions, split=SplitConfig(val=0, test=0))).folder


def test_faces_that_both_have_and_how_they_are_placed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(2):
        scene = texture(180, 240, seed=number)
        scene[20 + 60 * number : 90 + 60 * number, 30:140] = 255 * number  # no scene like the other
        # One face alike, one placed lower (IoU 1/3), one that only the first has; the second set's pictures
        # are twice as large. Redacted by the other's labels, the second face shows 9 of its top 28 rows,
        # or 15 of them.
        faces = [(10, 10, 50, 50), (100, 60, 140, 100), (180, 100, 200, 120)]
        label(tmp_path / "first", f"a{number}", scene, faces)
        large = np.asarray(cv2.resize(scene, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC), np.uint8)
        label(tmp_path / "second", f"b{number}", large, [(20, 20, 100, 100), (200, 160, 280, 240)])
        label(tmp_path / "second", f"a-mirrored{number}", large[:, ::-1], [(0, 0, 40, 40)])
    main(str(prepared(tmp_path)))
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "| first | second | 2 | 6 | 0.67 | 0.33 | 0.33 | 0.67 | 0.667 | 3.0% |",
        "| second | first | 2 | 4 | 1.00 | 0.50 | 0.50 | 0.67 | 0.500 | 7.2% |",
    ]


def test_each_face_is_in_one_pair_at_most() -> None:
    one = Boxes(np.array([[0, 0, 10, 10], [0, 0, 10, 9]], float))
    rows, columns = pairs(one, Boxes(np.array([[0, 0, 10, 10]], float)), 0.2)
    assert (rows.tolist(), columns.tolist()) == ([0], [0])


def test_sets_that_share_no_picture(tmp_path: Path) -> None:
    label(tmp_path / "first", "a", texture(180, 240, seed=1), [(10, 10, 50, 50)])
    label(tmp_path / "second", "b", np.full((180, 240, 3), 255, np.uint8), [(10, 10, 50, 50)])
    with pytest.raises(UserError, match="no picture that two sets labelled"):
        main(str(prepared(tmp_path)))


def test_a_folder_without_a_version(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no version"):
        main(str(tmp_path))
