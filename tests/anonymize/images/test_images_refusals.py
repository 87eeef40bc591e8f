"""What cannot be read whole is refused with one reason, and never half-done."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from pipeline.anonymize.images import PictureError, open_picture
from pipeline.anonymize.images.png_chunks import chunk
from pipeline.config.schema import LimitsConfig
from tests.anonymize.images.makers import LIMITS, LOSSLESS, by_tifffile, encoded, opened, texture


def _reason(path: Path, limits: LimitsConfig = LIMITS) -> str:
    """The reason for which a file is refused, wherever in its reading that shows."""
    try:
        picture = open_picture(path, limits)
        for frame in picture.frames:
            frame.upright_rgb()
    except PictureError as error:
        assert str(path) in error.message
        return error.reason
    return "read"


def _put(folder: Path, data: bytes) -> Path:
    path = folder / "picture.jpg"
    path.write_bytes(data)
    return path


GOOD = {
    "jpeg": lambda: encoded(texture(60, 80), "JPEG", quality=85),
    "jpeg progressive": lambda: encoded(texture(60, 80), "JPEG", quality=85, progressive=True),
    "png": lambda: encoded(texture(60, 80), "PNG"),
    "png 16": lambda: LOSSLESS["png rgb 16"][0](60, 80),
    "tiff": lambda: by_tifffile([texture(60, 80)], photometric="rgb"),
    "tiff lzw": lambda: by_tifffile([texture(60, 80)], photometric="rgb", compression="lzw"),
    "webp": lambda: encoded(texture(60, 80), "WEBP", quality=80),
    "webp lossless": lambda: encoded(texture(60, 80), "WEBP", lossless=True),
    "gif": lambda: encoded(texture(60, 80), "GIF", "P"),
    "bmp": lambda: encoded(texture(60, 80), "BMP"),
    "avif": lambda: encoded(texture(60, 80), "AVIF", quality=80),
}


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("name", GOOD)
def test_a_truncated_picture_is_refused(name: str, share: float, tmp_path: Path) -> None:
    data = GOOD[name]()
    assert _reason(_put(tmp_path, data)) == "read"
    assert _reason(_put(tmp_path, data[: int(len(data) * share)])) == "corrupt"


@pytest.mark.parametrize("name", ["jpeg", "jpeg progressive"])
def test_a_truncated_jpeg_with_an_end_is_not_filled_with_grey(name: str, tmp_path: Path) -> None:
    data = GOOD[name]()
    assert _reason(_put(tmp_path, data[: len(data) // 2] + b"\xff\xd9")) == "corrupt"


def test_a_gif_whose_coded_data_ends_early_is_refused(tmp_path: Path) -> None:
    from pipeline.anonymize.images import gif_blocks

    gif = gif_blocks.parse(GOOD["gif"]())
    code = gif.images[0].code
    data = gif_blocks.assemble(gif, [gif.images[0].with_code(code[: 1 + 256 * 3] + b"\0")])
    assert _reason(_put(tmp_path, data)) == "corrupt"


def test_a_tiff_strip_that_inflates_to_too_little_is_refused(tmp_path: Path) -> None:
    short = by_tifffile([texture(20, 80)], photometric="rgb", compression="deflate", rowsperstrip=20)
    data = bytearray(short)
    with tifffile.TiffFile(io.BytesIO(short)) as file:
        for name in ("ImageLength", "RowsPerStrip"):
            struct.pack_into("<H", data, file.pages[0].tags[name].valueoffset, 60)  # type: ignore[union-attr]
    assert _reason(_put(tmp_path, bytes(data))) == "corrupt"


def test_a_flipped_bit_of_a_png_is_refused(tmp_path: Path) -> None:
    data = bytearray(GOOD["png"]())
    data[len(data) // 2] ^= 1
    assert _reason(_put(tmp_path, bytes(data))) == "corrupt"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"just text, no picture at all", "not_a_picture"),
        (b"\xff\xd8\xff", "corrupt"),
        (b"\x89PNG\r\n\x1a\n", "corrupt"),
        (b"GIF89a", "corrupt"),
        (b"BM" + bytes(8), "corrupt"),
        (b"BM, a text that begins as a bitmap does", "not_a_picture"),
        (b"II*\0" + bytes(4), "corrupt"),
        (b"RIFF\4\0\0\0WEBP", "corrupt"),
        (b"\0\0\0\x0cftypheic", "corrupt"),
        (b"8BPS" + bytes(40), "unsupported"),
        (b"\xff\x0a" + bytes(40), "unsupported"),
        (b"%PDF-1.7", "unsupported"),
    ],
)
def test_what_is_no_picture(data: bytes, reason: str, tmp_path: Path) -> None:
    assert _reason(_put(tmp_path, data)) == reason


def test_missing_folder_and_forbidden(tmp_path: Path) -> None:
    assert _reason(tmp_path / "none.jpg") == "missing"
    assert _reason(tmp_path) == "unreadable"
    secret = _put(tmp_path, GOOD["png"]())
    secret.chmod(0)
    if not os.access(secret, os.R_OK):  # root may read everything
        assert _reason(secret) == "unreadable"


def png_of(width: int, height: int) -> bytes:
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def _patched(data: bytes, at: int, format: str, *values: int) -> bytes:
    patched = bytearray(data)
    struct.pack_into(format, patched, at, *values)
    return bytes(patched)


def _tiff_of(side: int) -> bytes:
    small = by_tifffile([texture(16, 16)], photometric="rgb")
    data = bytearray(small)
    with tifffile.TiffFile(io.BytesIO(small)) as file:
        for name in ("ImageWidth", "ImageLength", "RowsPerStrip"):
            struct.pack_into("<H", data, file.pages[0].tags[name].valueoffset, side)  # type: ignore[union-attr]
    return bytes(data)


BOMBS = {
    "png": lambda: png_of(60000, 60000),
    "jpeg": lambda: _patched(GOOD["jpeg"](), GOOD["jpeg"]().index(b"\xff\xc0") + 5, ">HH", 65000, 65000),
    "gif screen": lambda: _patched(GOOD["gif"](), 6, "<HH", 65000, 65000),
    "bmp": lambda: _patched(GOOD["bmp"](), 18, "<ii", 60000, 60000),
    "tiff": lambda: _tiff_of(60000),
    "webp": lambda: _patched(GOOD["webp"](), 26, "<HH", 16383, 16383),
    "avif": lambda: _patched(GOOD["avif"](), GOOD["avif"]().index(b"ispe") + 8, ">II", 60000, 60000),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_seen_from_its_header(name: str, tmp_path: Path) -> None:
    import tracemalloc

    path = _put(tmp_path, BOMBS[name]())
    tracemalloc.start()
    assert _reason(path) == "too_large"
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 32 << 20


def test_the_limit_is_the_users(tmp_path: Path) -> None:
    path = _put(tmp_path, encoded(texture(100, 100), "PNG"))
    assert _reason(path, LimitsConfig(max_megapixels=0.0099)) == "too_large"
    assert _reason(path, LimitsConfig(max_megapixels=0.01)) == "read"


@pytest.mark.parametrize(("format", "mode"), [("GIF", "P"), ("WEBP", "RGB"), ("PNG", "RGB"), ("TIFF", "RGB")])
def test_frames_count_together(tmp_path: Path, format: str, mode: str) -> None:
    frames = [Image.fromarray(texture(100, 100, seed=seed)).convert(mode) for seed in range(3)]
    path = tmp_path / "moving"
    frames[0].save(path, format, save_all=True, append_images=frames[1:])
    assert _reason(path, LimitsConfig(max_total_megapixels=0.03)) == "read"
    assert _reason(path, LimitsConfig(max_total_megapixels=0.0299)) == "too_large"
    with pytest.raises(PictureError, match=r"0 megapixels in 3 frames; limits\.max_total_megapixels allows"):
        open_picture(path, LimitsConfig(max_total_megapixels=0.0299))


def test_a_png_that_inflates_for_ever_stops_at_its_size(tmp_path: Path) -> None:
    """A small picture whose compressed data holds 200 MB of zeros behind it."""
    import tracemalloc

    head = struct.pack(">IIBBBBB", 10, 10, 8, 0, 0, 0, 0)
    data = zlib.compress(bytes(200 << 20), 9)
    path = _put(
        tmp_path, b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    )
    tracemalloc.start()
    _reason(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20


def test_a_jpeg_of_endless_scans_is_refused(tmp_path: Path) -> None:
    data = GOOD["jpeg progressive"]()
    last = data.rindex(b"\xff\xda")
    assert _reason(_put(tmp_path, data[:-2] + data[last:-2] * 400 + b"\xff\xd9")) == "too_large"


def camera_raw(subfiletype: int, **options: Any) -> bytes:
    """As cameras write it: a preview, and the raw picture in a sub-directory of it."""
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as writer:
        writer.write(
            texture(12, 16), photometric="rgb", subfiletype=subfiletype, subifds=1, metadata=None, **options
        )
        writer.write(texture(300, 400, 1).astype(np.uint16), photometric="minisblack", metadata=None)
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (
            lambda: by_tifffile([texture(20, 20, 1).astype(np.float32)], photometric="minisblack"),
            "sample format 3",
        ),
        (
            lambda: by_tifffile([texture(20, 20, 1).astype(np.int16)], photometric="minisblack"),
            "sample format 2",
        ),
        (lambda: encoded(texture(20, 20), "TIFF", "1", compression="group4"), "compression"),
        (lambda: encoded(texture(20, 20), "TIFF", "LAB"), "colours of kind"),
        (lambda: camera_raw(1), "nothing but previews"),
        (lambda: camera_raw(0, extratags=[(50706, "B", 4, b"\1\4\0\0", True)]), "DNG"),
        (lambda: _patched(encoded(texture(20, 20), "BMP", "L"), 30, "<I", 1), "compression RLE8"),
        (lambda: encoded(texture(20, 20), "JPEG2000"), "JPEG 2000"),
        (lambda: encoded(texture(32, 32), "ICO"), "ICO"),
    ],
)
def test_what_is_not_supported_is_named(data, words: str, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(PictureError, match=words) as caught:
        opened(tmp_path, data())
    assert caught.value.reason == "unsupported"
    assert "allowed" in caught.value.message


def test_several_heif_pictures_are_refused_by_name(tmp_path: Path) -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    out = io.BytesIO()
    Image.fromarray(texture(64, 64)).save(
        out, "HEIF", save_all=True, append_images=[Image.fromarray(texture(64, 64, seed=1))]
    )
    with pytest.raises(PictureError, match="several pictures") as caught:
        opened(tmp_path, out.getvalue())
    assert caught.value.reason == "unsupported"


def test_the_name_is_not_asked(tmp_path: Path) -> None:
    path = _put(tmp_path, GOOD["png"]())
    assert path.suffix == ".jpg"
    assert open_picture(path, LIMITS).format == "PNG"


def test_a_png_whose_stream_is_whole_but_short_is_refused(tmp_path: Path) -> None:
    head = struct.pack(">IIBBBBB", 10, 10, 8, 0, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(bytes(11 * 9)))
    with pytest.raises(PictureError, match="too short") as caught:
        opened(tmp_path, b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + data + chunk(b"IEND", b""))
    assert caught.value.reason == "corrupt"


def test_a_tiff_palette_of_another_length_is_refused(tmp_path: Path) -> None:
    data = bytearray(encoded(texture(20, 30), "TIFF", "P"))
    assert _reason(_put(tmp_path, bytes(data))) == "read"
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as file:
        at = file.pages.first.tags[320].offset + 4
    struct.pack_into("<I", data, at, 3 * 255)
    with pytest.raises(PictureError, match="palette does not have 256 colours"):
        open_picture(_put(tmp_path, bytes(data)), LIMITS)
