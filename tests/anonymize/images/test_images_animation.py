"""Animations: every frame anonymized, wherever its pixels are stored; timing, loop and structure kept."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageSequence

from pipeline.anonymize.images import gif_blocks
from pipeline.anonymize.images.gif_blocks import Gif, GifImage
from tests.anonymize.images.makers import opened, rewritten, texture

DURATIONS = [50, 60, 70, 80, 90]


def _frames(alpha: bool) -> list[Image.Image]:
    """A still background with a square that moves down its right side."""
    frames = []
    for i in range(5):
        array = texture(60, 80, 4)
        array[:, :, 3] = 255
        array[5 + 8 * i : 17 + 8 * i, 60:76] = (255, 20 * i, 0, 255 - 30 * i * alpha)
        frames.append(Image.fromarray(array))
    return frames


def _gif(**options: Any) -> bytes:
    frames = [frame.convert("RGB").quantize(64) for frame in _frames(False)]
    if options.pop("shared", False):
        frames = [frame.convert("RGB").quantize(palette=frames[0], dither=0) for frame in _frames(False)]
    return _saved(frames, "GIF", **options)


def _saved(frames: list[Image.Image], format: str, **options: Any) -> bytes:
    out = io.BytesIO()
    frames[0].save(
        out, format, save_all=True, append_images=frames[1:], duration=DURATIONS, loop=3, **options
    )
    return out.getvalue()


MAKERS = {
    "gif local palettes": lambda: _gif(),
    "gif one palette": lambda: _gif(shared=True),
    "gif background": lambda: _gif(shared=True, disposal=2),
    "apng": lambda: _saved(_frames(True), "PNG"),
    "apng palette": lambda: _saved([frame.convert("RGB").quantize(40) for frame in _frames(False)], "PNG"),
    "apng default": lambda: _saved([*_frames(True)[:1], *_frames(True)], "PNG", default_image=True),
    "webp lossless": lambda: _saved(_frames(True), "WEBP", lossless=True, exact=True),
    "webp lossy": lambda: _saved(_frames(False), "WEBP", quality=85),
}


def _seen(data: bytes) -> list[NDArray[np.uint8]]:
    return [np.asarray(f.convert("RGBA")) for f in ImageSequence.Iterator(Image.open(io.BytesIO(data)))]


def _timing(data: bytes) -> tuple[Any, list[Any], int]:
    image = Image.open(io.BytesIO(data))
    durations = []
    for i in range(image.n_frames):  # type: ignore[attr-defined]
        image.seek(i)
        image.load()
        durations.append(image.info.get("duration"))
    return image.info.get("loop"), durations, image.n_frames  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", MAKERS)
def test_frames_are_what_a_viewer_sees(name: str, tmp_path: Path) -> None:
    data = MAKERS[name]()
    picture = opened(tmp_path, data)
    seen = _seen(data)
    assert len(picture.frames) == len(seen) == (6 if "default" in name else 5)
    for frame, expected in zip(picture.frames, seen, strict=True):
        np.testing.assert_array_equal(frame.pixels, expected[:, :, :3])
    backwards = [picture.frames[i].pixels for i in (4, 0, 3, 1, 2)]
    for i, pixels in zip((4, 0, 3, 1, 2), backwards, strict=True):
        np.testing.assert_array_equal(pixels, seen[i][:, :, :3])


@pytest.mark.parametrize("step", [0, 2, 4])
@pytest.mark.parametrize("name", MAKERS)
def test_a_region_is_redacted_where_it_is_stored(name: str, step: int, tmp_path: Path) -> None:
    data = MAKERS[name]()
    picture = opened(tmp_path, data)
    before = _seen(data)
    redacted = picture.frames[step].pixels.copy()
    redacted[10:40, 10:50] = (40, 90, 200)
    _, out = rewritten(tmp_path, picture, {step: redacted})
    after = _seen(out)
    assert _timing(out) == _timing(data)

    outside = np.ones((60, 80), bool)
    outside[10:40, 10:50] = False
    for was, now in zip(before, after, strict=True):
        if name == "webp lossy":
            assert np.abs(was[outside].astype(int) - now[outside]).mean() < 4
        else:
            np.testing.assert_array_equal(now[outside], was[outside])
    changed = (after[step][10:40, 10:50] != before[step][10:40, 10:50]).any(axis=2)
    assert changed.mean() > 0.9
    spread = after[step][12:38, 12:48, :3].reshape(-1, 3).std(axis=0).max()
    assert spread < 3, "the region must be one colour, in whichever cel it is stored"


def test_every_frame_can_have_its_own_region(tmp_path: Path) -> None:
    picture = opened(tmp_path, MAKERS["webp lossless"]())
    before = [frame.pixels for frame in picture.frames]
    redacted = {}
    for i, pixels in enumerate(before):
        redacted[i] = pixels.copy()
        redacted[i][5 + 8 * i : 17 + 8 * i, 60:76] = 7 * i
    after, _ = rewritten(tmp_path, picture, redacted)
    for i, frame in enumerate(after.frames):
        inside = frame.pixels[5 + 8 * i : 17 + 8 * i, 60:76]
        np.testing.assert_array_equal(inside, np.full_like(inside, 7 * i))


def test_a_webp_that_does_not_say_that_it_is_animated_stays_one(tmp_path: Path) -> None:
    data = bytearray(MAKERS["webp lossy"]())
    assert data[12:16] == b"VP8X" and data[20] & 0x02
    data[20] &= ~0x02
    picture = opened(tmp_path, bytes(data))
    redacted = picture.frames[0].pixels.copy()
    redacted[:20, :20] = 0
    after, out = rewritten(tmp_path, picture, {0: redacted})
    assert len(after.frames) == len(picture.frames) > 1
    assert out[20] & 0x02, "what every reader goes by"


def test_gif_structure_stays(tmp_path: Path) -> None:
    data = MAKERS["gif local palettes"]()
    picture = opened(tmp_path, data)
    redacted = picture.frames[0].pixels.copy()
    redacted[:20, :20] = 0
    _, out = rewritten(tmp_path, picture, {0: redacted})
    was, now = gif_blocks.parse(data), gif_blocks.parse(out)
    keys = ("x", "y", "width", "height", "interlaced", "palette", "control")
    assert [[getattr(i, k) for k in keys] for i in was.images] == [
        [getattr(i, k) for k in keys] for i in now.images
    ]
    assert (was.palette, was.loop, was.background) == (now.palette, now.loop, now.background)


def test_an_image_beyond_the_screen_is_seen(tmp_path: Path) -> None:
    """What lies outside a GIF's screen is in the file: the canvas grows to show it."""
    picture = opened(tmp_path, MAKERS["gif one palette"]())
    gif: Gif = picture.state.gif
    gif.width, gif.height = 20, 20
    frame = opened(tmp_path, gif_blocks.assemble(gif, gif.images)).frames[0]
    assert frame.size == (80, 60)


def test_transparent_pixels_of_a_gif_stay_transparent(tmp_path: Path) -> None:
    array = np.zeros((30, 40), np.uint8)
    array[:, 20:], array[0, 39] = 1, 2
    image = Image.fromarray(array, "P")
    image.putpalette([255, 0, 0, 0, 0, 255, 0, 255, 0])
    out = io.BytesIO()
    image.save(out, "GIF", transparency=0)
    picture = opened(tmp_path, out.getvalue())
    redacted = picture.frames[0].pixels.copy()
    redacted[5:25, 10:30] = (0, 250, 10)
    after, _ = rewritten(tmp_path, picture, {0: redacted})
    alpha = after.frames[0].alpha
    assert alpha is not None
    np.testing.assert_array_equal(alpha, picture.frames[0].alpha)
    assert (after.frames[0].pixels[5:25, 20:30] == (0, 255, 0)).all()


def test_a_previous_disposal_shows_what_was_before(tmp_path: Path) -> None:
    """Step 2 shows the cel of step 0 again, after step 1 was taken away."""
    still = opened(tmp_path, MAKERS["gif one palette"]()).state.gif
    cel = still.images[0]
    small = opened(tmp_path, _saved([Image.new("P", (10, 10), 3)], "GIF")).state.gif.images[0]

    def control(disposal: int) -> bytes:
        return bytes((disposal << 2, 5, 0, 0))

    images = [
        GifImage(0, 0, 80, 60, False, cel.palette, False, cel.code, control(1)),
        GifImage(20, 20, 10, 10, False, b"", False, small.code, control(3)),
        GifImage(70, 0, 10, 10, False, b"", False, small.code, control(1)),
    ]
    picture = opened(tmp_path, gif_blocks.assemble(still, images))
    frames = [frame.pixels for frame in picture.frames]
    np.testing.assert_array_equal(frames[2][20:30, 20:30], frames[0][20:30, 20:30])
    redacted = frames[2].copy()
    redacted[15:40, 15:40] = 0
    after, _ = rewritten(tmp_path, picture, {2: redacted})
    now = [frame.pixels for frame in after.frames]
    assert now[2][15:40, 15:40].std(axis=(0, 1)).max() < 1
    np.testing.assert_array_equal(now[0][15:40, 15:40], now[2][15:40, 15:40])
    np.testing.assert_array_equal(now[1][20:30, 20:30], frames[1][20:30, 20:30])


def _over(tops: list[NDArray[np.uint8]]) -> bytes:
    """An APNG whose frames are laid over each other by their opacity."""
    return _saved([Image.fromarray(top) for top in tops], "PNG", blend=1, disposal=0)


def test_what_shows_through_is_redacted_below_too(tmp_path: Path) -> None:
    """Half-transparent frames over an opaque one: the region must change in every one that shows."""
    bottom = texture(40, 50, 4)
    bottom[:, :, 3] = 255
    tops = [bottom]
    for seed in range(1, 5):
        top = texture(40, 50, 4, seed=seed)
        top[:, :, 3] = 0
        top[10:30, 10:40, 3] = 60 * seed - 50
        tops.append(top)
    picture = opened(tmp_path, _over(tops))
    assert any(cel.over for cel in picture.state.cels[1:])
    redacted = picture.frames[4].pixels.copy()
    redacted[5:35, 5:45] = (90, 80, 70)
    after, _ = rewritten(tmp_path, picture, {4: redacted})
    assert after.frames[4].pixels[6:34, 6:44].reshape(-1, 3).astype(float).std(axis=0).max() < 2
    for was, now in zip(picture.frames, after.frames, strict=True):
        np.testing.assert_array_equal(was.pixels[:5], now.pixels[:5])
        np.testing.assert_array_equal(was.alpha, now.alpha)  # type: ignore[arg-type]


def test_an_animation_that_names_more_frames_than_it_has_is_refused(tmp_path: Path) -> None:
    from pipeline.anonymize.images import PictureError
    from pipeline.anonymize.images.png_chunks import SIGNATURE, chunk, chunks

    parts = [c for c in chunks(MAKERS["apng"]()) if c[0]]
    last = max(i for i, (name, _) in enumerate(parts) if name == b"fcTL")
    data = SIGNATURE + b"".join(chunk(*c) for c in [*parts[:last], parts[-1]])
    with pytest.raises(PictureError, match="as many frames") as caught:
        opened(tmp_path, data)
    assert caught.value.reason == "corrupt"


def test_what_was_taken_away_is_not_redacted(tmp_path: Path) -> None:
    """Step 1 clears the canvas behind it: a region of step 2 has nothing to do with step 0."""
    still = opened(tmp_path, MAKERS["gif one palette"]()).state.gif
    cel = still.images[0]
    small = opened(tmp_path, _saved([Image.new("P", (10, 10), 3)], "GIF")).state.gif.images[0]
    places = [(cel, 0, 0, 1), (cel, 0, 0, 2), (small, 20, 20, 1)]
    images = [
        GifImage(x, y, i.width, i.height, False, i.palette, False, i.code, bytes((disposal << 2, 5, 0, 0)))
        for i, x, y, disposal in places
    ]
    picture = opened(tmp_path, gif_blocks.assemble(still, images))
    redacted = picture.frames[2].pixels.copy()
    redacted[15:40, 15:40] = 99
    after, _ = rewritten(tmp_path, picture, {2: redacted})
    for step in (0, 1):
        np.testing.assert_array_equal(picture.frames[step].pixels, after.frames[step].pixels)
    assert (after.frames[2].pixels[20:30, 20:30] != picture.frames[2].pixels[20:30, 20:30]).any()
