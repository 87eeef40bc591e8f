"""The probe of the table sees what a tool leaves, on files that were not anonymized at all."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.odd_pictures import CASES, FACE, Case
from benchmarks.odd_probe import describe
from pipeline.anonymize import PictureError
from pipeline.anonymize.images import open_picture, write_picture
from pipeline.anonymize.redact import in_raster, redact, regions
from pipeline.boxes import Boxes
from pipeline.config.schema import LimitsConfig, RedactConfig

PICTURES = [case for case in CASES if case.asked]


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
    picture = open_picture(tmp_path / case.asked, LimitsConfig())
    config = RedactConfig(top_fraction=1.0, margin=0.2)
    painted = {}
    for number, frame in enumerate(picture.frames):
        found = regions(Boxes(np.array([FACE], float)), config, frame.upright_size)
        painted[number] = redact(frame.pixels, in_raster(found, frame.to_raster), config)
    out = tmp_path / f"out{Path(case.asked).suffix}"
    write_picture(picture, painted, out)
    said = describe(tmp_path / case.asked, out, FACE)
    assert said.endswith("outside, face redacted"), said
    assert said.startswith("identical outside") or ".jpg" in case.asked


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
