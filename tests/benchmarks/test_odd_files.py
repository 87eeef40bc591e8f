"""The probe of the table sees what a tool leaves, on files that were not anonymized at all."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageSequence

from benchmarks.odd_pictures import CASES, FACE, SHIFT, Case
from benchmarks.odd_probe import describe
from pipeline.anonymize import PictureError
from pipeline.anonymize.images import open_picture, write_picture
from pipeline.anonymize.redact import in_raster, redact, regions
from pipeline.boxes import Boxes
from pipeline.config.schema import LimitsConfig, RedactConfig

PICTURES = [case for case in CASES if case.asked]
FRAMES = [case for case in PICTURES if case.asked.endswith((".tif", ".gif", ".webp"))]


@pytest.mark.parametrize("case", PICTURES, ids=lambda case: case.slug)
def test_a_copy_is_seen_through(case: Case, tmp_path: Path) -> None:
    case.make(tmp_path)
    copy = tmp_path / f"copy{Path(case.asked).suffix}"
    shutil.copy(tmp_path / case.asked, copy)
    said = describe(tmp_path / case.asked, copy, FACE)
    assert "identical outside, FACE LEFT" in said
    assert ("THUMBNAIL SHOWS THE FACE" in said and "GPS kept" in said) == (
        "GPS" in case.name or "metadata" in case.name
    )


@pytest.mark.parametrize("case", PICTURES, ids=lambda case: case.slug)
def test_a_right_output_is_seen_as_such(case: Case, tmp_path: Path) -> None:
    """By the stages of Veil with the face given, so that no detector is needed."""
    case.make(tmp_path)
    out = redacted(case, tmp_path)
    said = describe(tmp_path / case.asked, out, FACE)
    assert said.endswith("outside, face redacted"), said
    assert said.startswith("identical outside") or ".jpg" in case.asked


def redacted(case: Case, folder: Path, left: int | None = None) -> Path:
    """The case's picture without its faces, but for one frame's."""
    picture = open_picture(folder / case.asked, LimitsConfig())
    config = RedactConfig(top_fraction=1.0, margin=0.2)
    painted = {}
    for number, frame in enumerate(picture.frames):
        face = np.array([FACE], float) + [0, SHIFT * number, 0, SHIFT * number]
        found = regions(Boxes(face), config, frame.upright_size)
        painted[number] = redact(frame.pixels, in_raster(found, frame.to_raster), config)
    painted.pop(left, None)  # type: ignore[arg-type]
    out = folder / f"out{Path(case.asked).suffix}"
    write_picture(picture, painted, out)
    return out


@pytest.mark.parametrize("case", FRAMES, ids=lambda case: case.slug)
def test_the_frame_that_still_shows_the_face_decides(case: Case, tmp_path: Path) -> None:
    case.make(tmp_path)
    said = describe(tmp_path / case.asked, redacted(case, tmp_path, left=3), FACE)
    assert said == "identical outside, FACE LEFT"


def test_the_worst_frame_tells_of_the_surroundings(tmp_path: Path) -> None:
    (case,) = (case for case in FRAMES if case.asked == "x.tif")
    case.make(tmp_path)
    with Image.open(tmp_path / "x.tif") as image:
        frames = [frame.copy() for frame in ImageSequence.Iterator(image)]
    frames[2] = Image.new("RGB", frames[2].size)
    frames[0].save(tmp_path / "out.tif", save_all=True, append_images=frames[1:])
    assert describe(tmp_path / "x.tif", tmp_path / "out.tif", FACE) == "picture destroyed, FACE LEFT"


def test_damage_is_named(tmp_path: Path) -> None:
    case = next(case for case in CASES if case.name == "16-bit RGB PNG")
    case.make(tmp_path)
    source, out = tmp_path / "x.png", tmp_path / "out.png"
    cv2.imwrite(str(out), (cv2.imread(str(source), cv2.IMREAD_UNCHANGED) >> 8).astype(np.uint8))
    assert "16 bit become 8" in describe(source, out, FACE)
    cv2.imwrite(str(out), cv2.imread(str(source), cv2.IMREAD_UNCHANGED) // 3)
    assert "picture destroyed" in describe(source, out, FACE)
    out.write_bytes(b"")
    assert describe(source, out, FACE) == "a 0-byte file is left behind"
    assert describe(source, tmp_path / "none.png", FACE) == "no output"
    with pytest.raises(PictureError):
        open_picture(out, LimitsConfig())
