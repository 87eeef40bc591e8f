"""Lossless formats: outside the region every stored sample is the same, layout and depth are kept."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.anonymize.images import write_picture
from tests.anonymize.images.makers import LOSSLESS, encoded, opened, rewritten, texture

SIDES = st.integers(1, 70)


@st.composite
def cases(draw: st.DrawFn) -> tuple[int, int, tuple[slice, slice]]:
    """A size, and a box in it."""
    height, width = draw(SIDES), draw(SIDES)
    top, left = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
    bottom, right = draw(st.integers(top + 1, height)), draw(st.integers(left + 1, width))
    return height, width, (slice(top, bottom), slice(left, right))


@pytest.mark.parametrize("name", LOSSLESS)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=cases(), level=st.integers(0, 255))
def test_outside_is_identical_inside_is_redacted(
    name: str, case: tuple[int, int, tuple[slice, slice]], level: int
) -> None:
    make, format, mode, bits = LOSSLESS[name]
    height, width, box = case
    with tempfile.TemporaryDirectory() as folder:
        data = make(height, width)
        before = opened(Path(folder), data)
        bits = data[24] if mode == "P" and format == "PNG" else bits  # Pillow takes fewer for few colours
        assert (before.format, before.mode, before.bits) == (format, mode, bits)
        assert before.size == (width, height)
        frame = before.frames[-1]
        redacted = frame.pixels.copy()
        redacted[box] = frame.native_colour((level, level // 2, 255 - level))
        after, _ = rewritten(Path(folder), before, {len(before.frames) - 1: redacted})

        assert (after.format, after.mode, after.bits, len(after.frames)) == (
            format,
            mode,
            bits,
            len(before.frames),
        )
        outside = np.ones((height, width), bool)
        outside[box] = False
        now, was = after.frames[-1], frame
        assert now.pixels.dtype == was.pixels.dtype
        np.testing.assert_array_equal(now.pixels[outside], was.pixels[outside])
        if was.alpha is not None and mode != "P":
            assert now.alpha is not None
            np.testing.assert_array_equal(now.alpha, was.alpha)
        for other_before, other_after in zip(list(before.frames)[:-1], list(after.frames)[:-1], strict=True):
            np.testing.assert_array_equal(other_before.pixels, other_after.pixels)
        if mode in ("L", "RGB", "RGBA", "LA", "CMYK") and bits >= 8 and name not in ("png key", "bmp 16"):
            np.testing.assert_array_equal(now.pixels[box], redacted[box])
        else:  # the few colours there are: one everywhere in the box, where it was no transparent key
            visible = (
                now.pixels[box] if was.alpha is None or mode == "P" else now.pixels[box][was.alpha[box] > 0]
            )
            if was.alpha is None:
                assert len(np.unique(visible.reshape(-1, *visible.shape[2:]), axis=0)) <= 1


@pytest.mark.parametrize("name", LOSSLESS)
def test_without_a_region_samples_are_the_same(name: str, tmp_path: Path) -> None:
    make, _, mode, bits = LOSSLESS[name]
    before = opened(tmp_path, make(33, 45))
    after, _ = rewritten(tmp_path, before, {})
    assert (after.mode, after.bits, after.size) == (mode, bits, before.size)
    for was, now in zip(before.frames, after.frames, strict=True):
        np.testing.assert_array_equal(now.pixels, was.pixels)
        if was.alpha is not None:
            np.testing.assert_array_equal(now.alpha, was.alpha)


@pytest.mark.parametrize(
    "name", ["png rgb 8", "png grey 16", "tiff rgb 16 deflate", "webp rgb", "gif", "bmp 24"]
)
def test_coded_data_is_copied_when_nothing_changes(name: str, tmp_path: Path) -> None:
    data = LOSSLESS[name][0](60, 80)
    picture = opened(tmp_path, data)
    unchanged = {i: frame.pixels.copy() for i, frame in enumerate(picture.frames)}
    _, out = rewritten(tmp_path, picture, unchanged)
    middle = data[len(data) // 4 : len(data) // 4 + 64]
    assert middle in out


def test_sixteen_bits_survive_another_reader(tmp_path: Path) -> None:
    import cv2

    from tests.anonymize.images.makers import by_cv2, texture

    array = texture(40, 50, 3, np.uint16)
    picture = opened(tmp_path, by_cv2(array, ".png"))
    redacted = picture.frames[0].pixels.copy()
    redacted[5:20, 5:20] = 1234
    rewritten(tmp_path, picture, {0: redacted})
    read = cv2.imread(str(tmp_path / "out.bin"), cv2.IMREAD_UNCHANGED)
    assert read.dtype == np.uint16
    expected = array.copy()
    expected[5:20, 5:20] = 1234
    np.testing.assert_array_equal(read, expected)


def test_colours_below_transparent_pixels_stay_and_are_seen(tmp_path: Path) -> None:
    """A face under alpha 0 is in the file: the detector must see it, and only its region may change."""
    from tests.anonymize.images.makers import encoded, texture

    array = texture(40, 50, 4)
    array[:, :, 3] = 0
    for data in (encoded(array, "PNG"), encoded(array, "WEBP", lossless=True, exact=True)):
        picture = opened(tmp_path, data)
        np.testing.assert_array_equal(picture.frames[0].upright_rgb(), array[:, :, :3])
        redacted = picture.frames[0].pixels.copy()
        redacted[:10, :10] = 0
        after, _ = rewritten(tmp_path, picture, {0: redacted})
        np.testing.assert_array_equal(after.frames[0].pixels[10:], array[10:, :, :3])
        assert not after.frames[0].pixels[:10, :10].any()


def test_a_wrong_shape_is_refused(tmp_path: Path) -> None:
    from tests.anonymize.images.makers import encoded, texture

    picture = opened(tmp_path, encoded(texture(20, 30), "PNG"))
    with pytest.raises(ValueError, match=r"expected uint8\[20, 30, 3\], got uint8\[30, 20, 3\]"):
        rewritten(tmp_path, picture, {0: np.zeros((30, 20, 3), np.uint8)})
    assert [p.name for p in tmp_path.iterdir()] == ["in.bin"]


@pytest.mark.parametrize(("kind", "leaks"), [("unspecified", False), ("unassalpha", True)])
def test_an_undeclared_channel_is_levelled_in_the_region(kind: str, leaks: bool, tmp_path: Path) -> None:
    from tests.anonymize.images.makers import by_tifffile, texture

    array = texture(30, 40, 4)
    picture = opened(tmp_path, by_tifffile([array], photometric="rgb", extrasamples=[kind]))
    redacted = picture.frames[0].pixels.copy()
    redacted[5:20, 5:20] = 7
    after, _ = rewritten(tmp_path, picture, {0: redacted})
    extra = after.frames[0].alpha
    assert extra is not None
    assert (extra[5:20, 5:20].std() > 0) == leaks
    np.testing.assert_array_equal(extra[20:], array[20:, :, 3])


def test_spare_bytes_of_a_bmp_are_levelled_where_it_is_redacted(tmp_path: Path) -> None:
    """32 bits and no masks: what the fourth byte holds may be a picture of its own."""
    data = encoded(np.dstack([texture(40, 56), texture(40, 56, seed=1)[:, :, 0]]), "BMP")
    picture = opened(tmp_path, data)
    redacted = picture.frames[0].pixels.copy()
    redacted[4:12, 6:20] = 7
    write_picture(picture, {0: redacted}, tmp_path / "out.bmp")
    before, after = (
        np.frombuffer(each[-40 * 56 * 4 :], np.uint8).reshape(40, 56, 4)[::-1, :, 3]
        for each in (data, (tmp_path / "out.bmp").read_bytes())
    )
    expected = before.copy()
    expected[4:12, 6:20] = 0
    assert len(np.unique(before)) > 100
    np.testing.assert_array_equal(after, expected)
