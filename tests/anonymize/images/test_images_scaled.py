"""JPEGs decoded smaller for detection: the same picture, boxes that map back, damage found all the same."""

from __future__ import annotations

import io
import random
import weakref
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pipeline.anonymize.images import open_picture, orientation
from pipeline.anonymize.images.jpeg import decode, factor
from pipeline.boxes import Boxes
from tests.anonymize.images.makers import LIMITS, encoded, exif, texture


def opened_at(folder: Path, data: bytes, at_least: int | None) -> Any:
    path = folder / "picture.jpg"
    path.write_bytes(data)
    return open_picture(path, LIMITS, at_least)


@pytest.mark.parametrize(
    ("size", "at_least", "expected"),
    [
        ((4000, 3000), None, 1),
        ((4000, 3000), 768, 4),
        ((3000, 4000), 768, 4),
        ((4000, 3000), 1536, 2),
        ((8256, 5504), 768, 8),
        ((20000, 100), 10, 8),
        ((1000, 400), 768, 1),
        ((1535, 400), 768, 2),  # 768 after rounding up
        ((1534, 400), 768, 1),
        ((50, 40), 768, 1),
    ],
)
def test_how_much_smaller(size: tuple[int, int], at_least: int | None, expected: int) -> None:
    assert factor(*size, at_least) == expected


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("scale", [2, 4, 8])
def test_a_smaller_picture_is_the_same_picture(mode: str, scale: int, tmp_path: Path) -> None:
    smooth = cv2.GaussianBlur(texture(203, 331), (0, 0), 2 * scale)
    data = encoded(smooth, "JPEG", mode, quality=95)
    picture = opened_at(tmp_path, data, -(-331 // scale))
    frame = picture.frames[0]
    view = frame.view(-(-331 // scale))
    assert view.pixels.shape == (-(-203 // scale), -(-331 // scale), 3) and view.pixels.dtype == np.uint8
    assert picture.size == picture.upright_size == (331, 203)
    whole = opened_at(tmp_path, data, None).frames[0]
    small = cv2.resize(whole.upright_rgb(), view.pixels.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(view.pixels.astype(int) - small)[1:-1, 1:-1].mean() < 2
    np.testing.assert_array_equal(frame.pixels, whole.pixels)
    np.testing.assert_array_equal(frame.view().pixels, whole.view().pixels)
    np.testing.assert_array_equal(frame.view(332).pixels, whole.upright_rgb())
    assert frame.native_colour((255, 0, 0)) == whole.native_colour((255, 0, 0))


def _marked(width: int, height: int, box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[box[1] : box[3], box[0] : box[2]] = 255
    return pixels


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("size", [(320, 240), (321, 247), (327, 241)])
def test_boxes_map_back_to_the_full_frame(turn: int, size: tuple[int, int], tmp_path: Path) -> None:
    stored = (64, 32, 160, 96)  # on the grid of coded blocks, so that its edges are exact at every scale
    data = encoded(_marked(*size, stored), "JPEG", quality=100, subsampling=0, exif=exif(turn))
    least = -(-size[0] // 8)
    frame = opened_at(tmp_path, data, least).frames[0]
    view = frame.view(least)
    assert max(view.pixels.shape[:2]) == least
    lit = view.pixels.min(axis=2) > 128
    rows, columns = np.flatnonzero(lit.any(axis=1)), np.flatnonzero(lit.any(axis=0))
    seen = Boxes(np.array([[columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]], float))
    np.testing.assert_allclose(frame.to_raster(view.to_frame(seen)).xyxy, [stored], atol=1e-9)
    height, width = view.pixels.shape[:2]
    everything = view.to_frame(Boxes(np.array([[0, 0, width, height]], float)))
    np.testing.assert_array_equal(everything.xyxy, [[0, 0, *frame.upright_size]])
    assert frame.upright_size == (size[::-1] if orientation.swaps(turn) else size)


def _damaged(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    at = chance.randrange(len(data) // 20, len(data))
    kind = chance.choice(["flip", "flip", "cut", "zero", "repeat", "delete"])
    if kind == "flip":
        for _ in range(chance.choice([1, 1, 3, 20])):
            changed[chance.randrange(len(data) // 3, len(data))] ^= 1 << chance.randrange(8)
    elif kind == "cut":
        del changed[at:]
    elif kind == "zero":
        changed[at : at + 40] = bytes(len(changed[at : at + 40]))
    elif kind == "repeat":
        changed[at:at] = changed[at - 30 : at]
    else:
        del changed[at : at + chance.randrange(1, 40)]
    return bytes(changed)


def _refused(data: bytes, components: int, scale: int) -> bool:
    try:
        decode(data, components, scale)
    except ValueError:
        return True
    return False


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_damage_is_found_at_every_scale(mode: str, progressive: bool) -> None:
    """Scaling leaves out work after the coded data was read, so that what full size refuses is refused."""
    chance = random.Random(f"{mode}{progressive}")
    whole = encoded(texture(96, 130), "JPEG", mode, quality=85, progressive=progressive)
    components = {"RGB": 3, "L": 1, "CMYK": 4}[mode]
    refused = 0
    for _ in range(150):
        data = _damaged(whole, chance)
        expected = _refused(data, components, 1)
        refused += expected
        assert [_refused(data, components, scale) for scale in (2, 4, 8)] == [expected] * 3
    assert 30 < refused < 150


@pytest.mark.parametrize("at_least", [None, 40])
def test_coding_has_the_memory_of_what_was_decoded(at_least: int | None, tmp_path: Path) -> None:
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)).save(out, "JPEG")
    frame = opened_at(tmp_path, out.getvalue(), at_least).frames[0]
    kept, before = weakref.ref(frame.pixels.base), frame.pixels.copy()
    frame.release()
    assert kept() is None, "nobody holds it"
    np.testing.assert_array_equal(frame.pixels, before)
    np.testing.assert_array_equal(frame.view(None).pixels, before)


def test_borrowed_settings_are_given_back() -> None:
    from threading import Thread

    from pipeline.anonymize.images.borrowed import Borrowed

    class Library:
        limit = 5

    library, seen = Library(), []
    limit = Borrowed(library, "limit", max)

    def use(wanted: int) -> None:
        for _ in range(200):
            with limit.at(wanted):
                seen.append(library.limit >= wanted)

    threads = [Thread(target=use, args=(wanted,)) for wanted in (3, 7, 11, 20)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert all(seen) and library.limit == 5
    with limit.at(20):
        second = limit.at(7)
        second.__enter__()
    assert library.limit >= 7, "one user is left"
    second.__exit__(None, None, None)
    assert library.limit == 5


def test_two_threads_write_large_jpegs_at_once(tmp_path: Path) -> None:
    """Noise at fine tables needs a larger buffer than Pillow thinks; both threads must have it."""
    from concurrent.futures import ThreadPoolExecutor

    from pipeline.anonymize.images import write_picture

    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    out = io.BytesIO()
    Image.fromarray(noise).save(out, "JPEG", quality=100, subsampling=0)
    source = tmp_path / "noise.jpg"
    source.write_bytes(out.getvalue())

    def rewrite(number: int) -> int:
        picture = open_picture(source, LIMITS, 60)
        changed = picture.frames[0].pixels.copy()
        changed[:40, :40] = 0
        write_picture(picture, {0: changed}, tmp_path / f"{number}.jpg")
        return (tmp_path / f"{number}.jpg").stat().st_size

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(rewrite, range(16)))) == 1
