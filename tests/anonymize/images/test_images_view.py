"""What the detector is shown of deep, inverted and inked samples, and colours on the way back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.anonymize.images.palette import nearest
from pipeline.anonymize.images.raster import RasterFrame, to_rgb8
from tests.anonymize.images.makers import texture


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_deep_samples_are_shown_by_the_highest_bit_in_use(bits: int) -> None:
    shallow = texture(20, 30)
    shallow[0, 0] = 255
    deep = shallow.astype(np.uint16) << (bits - 8)
    np.testing.assert_array_equal(to_rgb8(deep), shallow)


def test_hot_pixels_do_not_darken_the_rest() -> None:
    deep = np.tile(np.arange(4096, dtype=np.uint16)[None, :, None], (1, 1, 3))
    hot = deep.copy()
    hot[0, 7] = 65535
    seen = to_rgb8(hot)
    assert (seen[0, 7] == 255).all()
    seen[0, 7] = to_rgb8(deep)[0, 7]
    np.testing.assert_array_equal(seen, to_rgb8(deep))


def test_ink_and_inverted_grey() -> None:
    grey = texture(20, 30, 1)
    np.testing.assert_array_equal(to_rgb8(grey, white_is_zero=True)[:, :, 0], 255 - grey)
    ink = np.zeros((1, 3, 4), np.uint8)
    ink[0, 1, 0], ink[0, 2, 3] = 255, 255
    np.testing.assert_array_equal(to_rgb8(ink)[0], [[255, 255, 255], [0, 255, 255], [0, 0, 0]])


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (200, 100, 50), (0, 255, 0)])
@pytest.mark.parametrize(
    ("pixels", "inverted"),
    [
        (np.zeros((2, 2, 3), np.uint8), False),
        (np.zeros((2, 2, 3), np.uint16), False),
        (np.zeros((2, 2, 4), np.uint8), False),
        (np.zeros((2, 2), np.uint8), False),
        (np.zeros((2, 2), np.uint8), True),
    ],
)
def test_a_native_colour_is_seen_as_given(
    colour: tuple[int, int, int], pixels: NDArray[Any], inverted: bool
) -> None:
    frame = RasterFrame(pixels, white_is_zero=inverted)
    filled = np.empty_like(pixels)
    filled[:] = frame.native_colour(colour)
    seen = RasterFrame(filled, white_is_zero=inverted).rgb()[0, 0].astype(int)
    expected = np.array(colour) if pixels.ndim == 3 else np.dot(colour, (0.299, 0.587, 0.114))
    if pixels.dtype == np.uint16 and max(colour) < 128:
        expected = seen  # a dark picture is shown brighter
    assert np.abs(seen - expected).max() <= 2


def test_pixels_are_read_only() -> None:
    frame = RasterFrame(texture(4, 4))
    with pytest.raises(ValueError, match="read-only"):
        frame.pixels[0, 0] = 0


def test_the_nearest_entry_keeps_the_opacity() -> None:
    """An opaque grey goes to the distant opaque entry, not to the same colour that is transparent."""
    entries = np.array([[100, 100, 100, 0], [255, 0, 0, 255], [90, 90, 90, 128]], np.uint8)
    target = np.array([[100, 100, 100, 255], [0, 255, 0, 0], [0, 0, 0, 120]], np.uint8)
    np.testing.assert_array_equal(nearest(target, entries), [1, 0, 2])


def test_what_is_below_transparent_pixels_collapses() -> None:
    """Entries that differ only where nobody sees them are one: hidden detail does not survive."""
    entries = np.array([[10, 0, 0, 0], [200, 0, 0, 0], [0, 200, 0, 0], [0, 0, 0, 255]], np.uint8)
    hidden = np.array([[199, 0, 0, 0], [0, 199, 0, 0], [9, 9, 9, 0]], np.uint8)
    assert set(nearest(hidden, entries)) == {0}
