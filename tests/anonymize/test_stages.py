"""Detection, regions, redaction and writing together, over modes, orientations, sizes and boxes."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from pipeline.anonymize import Detections, anonymize_file
from pipeline.anonymize.images import orientation as turns
from pipeline.anonymize.redact import coverage, regions
from pipeline.boxes import Boxes
from pipeline.config.schema import AnonymizeConfig, Method, RedactConfig, Shape


class Fixed:
    """Sees the same boxes in every picture, and remembers what it was shown."""

    digest = "fixed"

    def __init__(self, boxes: Sequence[Sequence[float]]) -> None:
        self.boxes = Boxes(np.array(boxes, float))
        self.shown: list[NDArray[np.uint8]] = []

    def detect(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        self.shown += pictures
        return [Detections(self.boxes, np.full(len(self.boxes), 0.9)) for _ in pictures]


def stored(path: Path) -> NDArray[Any]:
    """The raster as it lies in the file, read by neither tool of Veil's."""
    if path.suffix == ".tif":
        import tifffile

        return np.asarray(tifffile.imread(path))
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    assert pixels is not None
    return pixels


MODES = ["1", "L", "LA", "RGB", "RGBA", "P", "I;16"]


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    mode=st.sampled_from(MODES),
    suffix=st.sampled_from([".png", ".tif"]),
    orientation=st.integers(1, 8),
    method=st.sampled_from([Method.blur, Method.pixelate, Method.solid, Method.noise]),
    shape=st.sampled_from(list(Shape)),
    margin=st.sampled_from([0.0, 0.2]),
)
def test_outside_is_identical_inside_is_changed_and_the_form_is_kept(
    data: st.DataObject, mode: str, suffix: str, orientation: int, method: Method, shape: Shape, margin: float
) -> None:
    width, height = data.draw(st.integers(40, 90)), data.draw(st.integers(40, 90))
    size = (height, width) if turns.swaps(orientation) else (width, height)  # upright, as boxes are
    x, y = data.draw(st.integers(-8, size[0] - 24)), data.draw(st.integers(-4, size[1] - 30))
    box = [x, y, x + data.draw(st.integers(22, 60)), y + data.draw(st.integers(28, 60))]
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / f"s{suffix}", Path(folder) / f"t{suffix}"
        picture(mode, width, height).save(source, **tag(orientation))
        config = AnonymizeConfig(redact=RedactConfig(method=method, shape=shape, margin=margin))
        detector = Fixed([box])
        anonymize_file(source, target, detector, config)
        before, after = stored(source), stored(target)
        assert Image.open(target).mode == Image.open(source).mode
        assert Image.open(target).getexif().get(0x0112, 1) == orientation
    assert before.dtype == after.dtype and before.shape == after.shape
    assert detector.shown[0].shape[:2] == size[::-1]
    covered = coverage(regions(Boxes(np.array([box], float)), config.redact, size), shape, size)
    covered = turns.to_raster(covered, orientation)
    different = before != after if before.ndim == 2 else (before != after).any(axis=2)
    assert not different[~covered].any()
    assert different[covered].mean() > 0.2


def picture(mode: str, width: int, height: int) -> Image.Image:
    random = np.random.default_rng(width * height)
    if mode == "I;16":
        return Image.fromarray(random.integers(0, 65536, (height, width), dtype=np.uint16))
    colour = Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8))
    if mode in ("LA", "RGBA"):
        colour.putalpha(Image.fromarray(random.integers(0, 256, (height, width), dtype=np.uint8)))
    return colour.quantize(32) if mode == "P" else colour.convert(mode)


def tag(orientation: int) -> dict[str, Any]:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return {"exif": exif}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_detector_is_shown_the_upright_picture(tmp_path: Path, orientation: int) -> None:
    upright = np.zeros((40, 60, 3), np.uint8)
    upright[:20, :30] = (255, 0, 0)
    upright[20:, 30:] = (0, 0, 255)
    raster = np.ascontiguousarray(turns.to_raster(upright, orientation))
    Image.fromarray(raster).save(tmp_path / "s.png", **tag(orientation))
    detector = Fixed(np.zeros((0, 4)))
    anonymize_file(tmp_path / "s.png", tmp_path / "t.png", detector)
    assert (detector.shown[0] == upright).all()
