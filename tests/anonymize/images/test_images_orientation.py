"""All eight orientations: upright as Pillow shows it, boxes back on the raster, raster and tag kept."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from pipeline.anonymize.images import orientation
from pipeline.boxes import Boxes
from tests.anonymize.images.makers import by_tifffile, encoded, exif, opened, rewritten, texture

TURNS = list(range(1, 9))


def _tiff(turn: int) -> bytes:
    return by_tifffile([texture(24, 40)], photometric="rgb", extratags=[(274, "H", 1, turn, True)])


MAKERS = {
    "JPEG": lambda turn: encoded(texture(24, 40), "JPEG", quality=95, subsampling=0, exif=exif(turn)),
    "PNG": lambda turn: encoded(texture(24, 40), "PNG", exif=exif(turn)),
    "WebP": lambda turn: encoded(texture(24, 40), "WEBP", lossless=True, exif=exif(turn)),
    "TIFF": _tiff,
    "AVIF": lambda turn: encoded(texture(24, 40), "AVIF", quality=90, exif=exif(turn)),
}


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("format", MAKERS)
def test_upright_is_what_pillow_shows_and_the_tag_stays(format: str, turn: int, tmp_path: Path) -> None:
    data = MAKERS[format](turn)
    picture = opened(tmp_path, data)
    assert picture.orientation == turn
    shown = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    upright = picture.frames[0].upright_rgb()
    assert upright.shape == shown.shape
    assert np.abs(upright.astype(int) - shown).max() <= 2
    assert picture.upright_size == (shown.shape[1], shown.shape[0])

    box = Boxes([[2, 3, 11, 9]])  # upright
    left, top, right, bottom = picture.to_raster(box).xyxy[0].astype(int)
    redacted = picture.frames[0].pixels.copy()
    redacted[top:bottom, left:right] = (255, 0, 0)
    after, out = rewritten(tmp_path, picture, {0: redacted})
    assert (after.orientation, after.size) == (turn, picture.size)
    viewed = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(out))).convert("RGB")).astype(int)
    red = (viewed[:, :, 0] - viewed[:, :, 1]) > 120
    rows, columns = np.flatnonzero(red.any(axis=1)), np.flatnonzero(red.any(axis=0))
    slack = 0 if format in ("PNG", "WebP", "TIFF") else 1
    found = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    assert np.abs(np.array(found) - [2, 3, 11, 9]).max() <= slack


@given(
    turn=st.sampled_from(TURNS),
    height=st.integers(1, 20),
    width=st.integers(1, 20),
    corners=st.tuples(*[st.floats(0, 1)] * 4),
)
def test_boxes_and_pixels_turn_alike(
    turn: int, height: int, width: int, corners: tuple[float, float, float, float]
) -> None:
    raster = np.arange(height * width).reshape(height, width)
    upright = orientation.to_upright(raster, turn)
    np.testing.assert_array_equal(orientation.to_raster(upright, turn), raster)
    size = (upright.shape[1], upright.shape[0])
    x0, x1 = sorted(int(c * size[0]) for c in corners[:2])
    y0, y1 = sorted(int(c * size[1]) for c in corners[2:])
    boxes = Boxes([[x0, y0, x1, y1]])
    stored = orientation.boxes_to_raster(boxes, turn, size)
    left, top, right, bottom = stored.xyxy[0].astype(int)
    assert sorted(raster[top:bottom, left:right].ravel()) == sorted(upright[y0:y1, x0:x1].ravel())
    back = orientation.boxes_to_upright(stored, turn, (width, height))
    np.testing.assert_array_equal(back.xyxy, boxes.xyxy)


@pytest.mark.parametrize("turn", TURNS)
def test_upright_agrees_with_pillow_on_pixels(turn: int) -> None:
    array = texture(7, 11)
    block = Image.Exif()
    block[0x0112] = turn
    image = Image.open(io.BytesIO(encoded(array, "PNG", exif=block)))
    np.testing.assert_array_equal(
        orientation.to_upright(array, turn), np.asarray(ImageOps.exif_transpose(image))
    )


@pytest.mark.parametrize("value", [0, 9, -1, 65535, "6", None, 6.0])
def test_an_orientation_that_is_none_is_upright(value: object) -> None:
    assert orientation.valid(value) == 1
