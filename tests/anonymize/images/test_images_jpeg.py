"""JPEG: the source's tables, sampling and coding; coefficients copied without a region."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import pytest
import simplejpeg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.anonymize.images import PictureError, jpeg_planes, jpeg_segments
from tests.anonymize.images.makers import encoded, opened, psnr, rewritten, texture


def _smooth(height: int, width: int, channels: int = 3) -> np.ndarray[Any, Any]:
    """A picture as a camera takes it: smooth, with fine grain."""
    return np.ascontiguousarray(cv2.GaussianBlur(texture(height, width, channels), (0, 0), 1.5))


def _ycck(height: int, width: int) -> bytes:
    ink = 255 - np.dstack([_smooth(height, width), texture(height, width, 1, seed=2) // 3])
    return bytes(imagecodecs.jpeg8_encode(ink, level=88, colorspace="CMYK", outcolorspace="YCCK"))


def _three_tables(height: int, width: int, usual: bool = True) -> bytes:
    """A table for each component and, if not usual, chroma planes of different sizes."""
    base = jpeg_segments.parse(encoded(_smooth(height, width), "JPEG", quality=85))
    parts = (
        [(1, 2, 2, 0), (2, 1, 1, 1), (3, 1, 1, 2)] if usual else [(1, 2, 2, 0), (2, 1, 2, 1), (3, 2, 1, 2)]
    )
    base.components = tuple(jpeg_segments.Component(*part) for part in parts)
    base.tables[2] = tuple(min(255, value + 3) for value in base.tables[1])
    return jpeg_planes.encode(
        simplejpeg.decode_jpeg(encoded(_smooth(height, width), "JPEG", quality=85)), base
    )


MAKERS = {
    "grey": lambda h, w: encoded(_smooth(h, w, 1), "JPEG", quality=80),
    "4:4:4": lambda h, w: encoded(_smooth(h, w), "JPEG", quality=92, subsampling=0),
    "4:2:2": lambda h, w: encoded(_smooth(h, w), "JPEG", quality=75, subsampling=1),
    "4:2:0": lambda h, w: encoded(_smooth(h, w), "JPEG", quality=85, subsampling=2),
    "4:2:0 progressive": lambda h, w: encoded(
        _smooth(h, w), "JPEG", quality=60, subsampling=2, progressive=True
    ),
    "4:2:0 restarts": lambda h, w: encoded(_smooth(h, w), "JPEG", quality=85, restart_marker_blocks=2),
    "4:4:0": lambda h, w: simplejpeg.encode_jpeg(_smooth(h, w), quality=85, colorsubsampling="440"),
    "4:1:1": lambda h, w: simplejpeg.encode_jpeg(_smooth(h, w), quality=85, colorsubsampling="411"),
    "RGB": lambda h, w: encoded(_smooth(h, w), "JPEG", quality=85, keep_rgb=True),
    "CMYK": lambda h, w: encoded(_smooth(h, w), "JPEG", "CMYK", quality=85),
    "YCCK": _ycck,
    "three tables": _three_tables,
}


@pytest.mark.parametrize("name", MAKERS)
def test_parameters_stay_and_outside_hardly_changes(name: str, tmp_path: Path) -> None:
    data = MAKERS[name](203, 267)
    picture = opened(tmp_path, data)
    frame = picture.frames[0]
    redacted = frame.pixels.copy()
    redacted[40:120, 64:144] = frame.native_colour((120, 90, 80))
    after, out = rewritten(tmp_path, picture, {0: redacted})

    was, now = jpeg_segments.parse(data), jpeg_segments.parse(out)
    used = {c.table: was.tables[c.table] for c in was.components}
    assert [used[c.table] for c in was.components] == [now.tables[c.table] for c in now.components]
    sampling = [(c.h, c.v) for c in was.components] if len(was.components) > 1 else [(1, 1)]
    assert [(c.h, c.v) for c in now.components] == sampling
    assert (now.progressive, now.colour_model) == (was.progressive, was.colour_model)
    assert after.mode == picture.mode

    outside = np.ones(frame.pixels.shape[:2], bool)
    outside[24:136, 48:160] = False  # the region and the blocks it lies in
    before_seen, after_seen = _viewer(data), _viewer(out)
    assert psnr(before_seen[outside], after_seen[outside]) > 44
    assert len(out) < 1.05 * len(data)
    inside = after.frames[0].pixels[48:112, 72:136].astype(int)
    assert np.abs(inside - np.array(frame.native_colour((120, 90, 80)))).max() <= 12


def _viewer(data: bytes) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(io.BytesIO(data)))


@pytest.mark.parametrize("name", MAKERS)
def test_without_a_region_the_coded_picture_is_copied(name: str, tmp_path: Path) -> None:
    data = MAKERS[name](61, 83)
    after, out = rewritten(tmp_path, opened(tmp_path, data), {})
    assert jpeg_segments.parse(out).coding == jpeg_segments.parse(data).coding
    np.testing.assert_array_equal(_viewer(out), _viewer(data))
    assert after.mode


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(sorted(MAKERS)),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    level=st.integers(0, 255),
)
def test_every_size_can_be_written(name: str, height: int, width: int, level: int, tmp_path: Path) -> None:
    picture = opened(tmp_path, MAKERS[name](height, width))
    frame = picture.frames[0]
    whole = np.empty_like(frame.pixels)
    whole[:] = frame.native_colour((level, level, level))
    after, out = rewritten(tmp_path, picture, {0: whole})
    assert after.size == (width, height)
    assert _viewer(out).shape == _viewer((tmp_path / "in.bin").read_bytes()).shape
    assert np.abs(after.frames[0].rgb().astype(int) - level).max() <= 24


def test_fine_tables_and_noise_fit_the_buffer(tmp_path: Path) -> None:
    """Noise at quality 100 codes to more bytes than pixels: Pillow's default buffer is too small for it."""
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    full = [
        cv2.IMWRITE_JPEG_QUALITY,
        100,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]
    for options in (full, [*full, cv2.IMWRITE_JPEG_PROGRESSIVE, 1]):
        _, data = cv2.imencode(".jpg", noise, options)
        picture = opened(tmp_path, data.tobytes())
        redacted = picture.frames[0].pixels.copy()
        redacted[:8, :8] = 0
        _, out = rewritten(tmp_path, picture, {0: redacted})
        assert psnr(_viewer(out)[16:], picture.frames[0].pixels[16:]) > 48


@pytest.mark.parametrize(
    ("options", "standard"),
    [
        ({}, True),
        ({"restart_marker_blocks": 2}, True),
        ({"optimize": True}, False),
        ({"progressive": True}, False),
    ],
)
def test_huffman_tables_are_of_the_sources_kind(
    options: dict[str, Any], standard: bool, tmp_path: Path
) -> None:
    """OpenCV writes the standard's unless told otherwise, too: it is the other library to agree."""
    data = encoded(_smooth(203, 267), "JPEG", quality=85, **options)
    picture = opened(tmp_path, data)
    redacted = picture.frames[0].pixels.copy()
    redacted[:16, :16] = 0
    _, out = rewritten(tmp_path, picture, {0: redacted})
    assert (picture.bytes_per_pixel < 14) == standard, "no coefficients are held when tables are known before"
    assert picture.frames[0].held == 203 * 267 * 3
    _, other = cv2.imencode(".jpg", _smooth(16, 16))
    tables = jpeg_segments.parse(other.tobytes()).huffman
    assert len(tables) == 4
    assert [jpeg_segments.parse(each).huffman <= tables for each in (data, out)] == [standard] * 2
    assert 0.93 < len(out) / len(data) < 1.02


@pytest.mark.parametrize(("name", "streamed"), [("4:2:0", True), ("4:1:1", False), ("YCCK", False)])
def test_only_what_pillow_codes_in_one_pass_takes_less_memory(
    name: str, streamed: bool, tmp_path: Path
) -> None:
    assert (opened(tmp_path, MAKERS[name](64, 96)).bytes_per_pixel < 14) == streamed


def test_a_sampling_that_cannot_be_checked_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="sampled 2x2, 1x2, 2x1; allowed: 4:4:4") as caught:
        opened(tmp_path, _three_tables(20, 30, usual=False))
    assert caught.value.reason == "unsupported"


def test_density_stays(tmp_path: Path) -> None:
    data = encoded(_smooth(20, 30), "JPEG", dpi=(300, 150))
    _, out = rewritten(tmp_path, opened(tmp_path, data), {})
    assert Image.open(io.BytesIO(out)).info["dpi"] == (300, 150)
