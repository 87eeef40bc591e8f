"""HEIC and AVIF: copied without a region, coded again near the source's size with one."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import pillow_heif
import pytest
from numpy.typing import NDArray
from PIL import Image

from pipeline.anonymize.images import PictureError, check_clean, write_picture
from pipeline.anonymize.images.heif import _TURNS
from pipeline.anonymize.images.heif_tables import Property, _property
from tests.anonymize.images.makers import SECRET, encoded, opened, profile, psnr, rewritten, texture

pillow_heif.register_heif_opener()


def _smooth(channels: int, dtype: Any = np.uint8, bits: int = 8) -> NDArray[Any]:
    array = cv2.GaussianBlur(texture(128, 161, channels, dtype), (0, 0), 2)
    return np.ascontiguousarray(array >> (16 - bits) if dtype == np.uint16 else array)


def _alpha() -> NDArray[np.uint8]:
    array = _smooth(4)
    array[:, :, 3] = np.linspace(0, 255, 161).astype(np.uint8)
    return array


def _heic_bits(bits: int) -> bytes:
    array = _smooth(3, np.uint16, bits) << (16 - bits)
    image = pillow_heif.from_bytes(mode="RGB;16", size=(161, 128), data=array.tobytes())
    out = io.BytesIO()
    image.save(out, quality=80, chroma=444)
    return out.getvalue()


def _avif_bits(bits: int, chroma: str, level: int = 75) -> bytes:
    array = _smooth(3, np.uint16, bits) if bits > 8 else _smooth(3)
    depth = bits if bits > 8 else None
    return bytes(
        imagecodecs.avif_encode(array, level=level, bitspersample=depth, pixelformat=chroma, speed=8)
    )


MAKERS = {
    "heic": (lambda: encoded(_smooth(3), "HEIF", quality=70, icc_profile=profile()), "RGB", 8),
    "heic grey": (lambda: encoded(_smooth(1), "HEIF", quality=70), "L", 8),
    "heic alpha": (lambda: encoded(_alpha(), "HEIF", quality=70), "RGBA", 8),
    "heic 10 bits": (lambda: _heic_bits(10), "RGB", 10),
    "avif": (lambda: encoded(_smooth(3), "AVIF", quality=70, icc_profile=profile()), "RGB", 8),
    "avif grey": (lambda: encoded(_smooth(1), "AVIF", quality=70), "L", 8),
    "avif alpha": (lambda: encoded(_alpha(), "AVIF", quality=70), "RGBA", 8),
    "avif 10 bits": (lambda: _avif_bits(10, "420"), "RGB", 10),
    "avif 12 bits": (lambda: _avif_bits(12, "444"), "RGB", 12),
    "avif lossless": (lambda: _avif_bits(8, "444", level=100), "RGB", 8),
}


@pytest.mark.parametrize("name", MAKERS)
def test_kept_and_redacted(name: str, tmp_path: Path) -> None:
    make, mode, bits = MAKERS[name]
    data = make()
    picture = opened(tmp_path, data)
    assert (picture.format, picture.mode, picture.bits) == ("AVIF" if "avif" in name else "HEIC", mode, bits)
    frame = picture.frames[0]
    assert int(frame.pixels.max()) < 1 << bits

    same, out = rewritten(tmp_path, picture, {})
    np.testing.assert_array_equal(same.frames[0].pixels, frame.pixels)
    assert data[-96:-32] in out, "without a region the coded picture is copied"
    assert len(out) <= len(data) + 300

    redacted = frame.pixels.copy()
    redacted[30:80, 40:100] = redacted[30:80, 40:100].mean(axis=(0, 1)).astype(redacted.dtype)
    after, out = rewritten(tmp_path, picture, {0: redacted})
    assert (after.format, after.mode, after.bits, after.size) == (picture.format, mode, bits, picture.size)
    assert after.state.chroma == picture.state.chroma
    outside = np.ones(frame.pixels.shape[:2], bool)
    outside[24:88, 32:112] = False
    top = (1 << bits) - 1
    assert psnr(after.frames[0].pixels[outside], frame.pixels[outside], top) > 38
    assert after.frames[0].pixels[40:70, 50:90].astype(float).std(axis=(0, 1)).max() < 0.02 * top
    assert len(out) < 1.3 * len(data) + 800  # headers count in a picture this small
    if name == "avif lossless":
        np.testing.assert_array_equal(after.frames[0].pixels, redacted)
    if frame.alpha is not None:
        assert after.frames[0].alpha is not None
        assert psnr(after.frames[0].alpha, frame.alpha) > 38
    assert check_clean(tmp_path / "out.bin") == []


@pytest.mark.parametrize("name", ["heic", "avif"])
def test_the_profile_stays(name: str, tmp_path: Path) -> None:
    picture = opened(tmp_path, MAKERS[name][0]())
    redacted = picture.frames[0].pixels.copy()
    redacted[:40, :40] = 0
    for frames in ({}, {0: redacted}):
        _, out = rewritten(tmp_path, picture, frames)
        assert Image.open(io.BytesIO(out)).info["icc_profile"][36:40] == b"acsp"


def test_a_heic_is_decoded_upright(tmp_path: Path) -> None:
    """libheif turns the picture by irot; what is found is on that raster, and no tag turns it again."""
    array = _smooth(3)
    block = Image.Exif()
    block[0x0112] = 6
    picture = opened(tmp_path, encoded(array, "HEIF", quality=90, exif=block))
    assert picture.size == (128, 161) or picture.size == (161, 128)
    seen = np.asarray(Image.open(tmp_path / "in.bin"))
    assert picture.frames[0].upright_rgb().shape == seen.shape
    redacted = picture.frames[0].pixels.copy()
    redacted[:50, :40] = (255, 0, 0)
    _, out = rewritten(tmp_path, picture, {0: redacted})
    again = np.asarray(Image.open(io.BytesIO(out)))
    assert again.shape == seen.shape
    assert psnr(again[64:, 64:], seen[64:, 64:]) > 35
    assert (again[5:45, 5:35].astype(int) - (255, 0, 0)).__abs__().mean() < 12


def test_every_turn_has_one_orientation() -> None:
    """irot turns counter-clockwise, then imir mirrors: as orientation.to_upright does on an array."""
    from pipeline.anonymize.images import orientation

    array = np.arange(6).reshape(2, 3)
    for (mirrored, axis, angle), turn in _TURNS.items():
        shown = np.rot90(array, angle)
        if mirrored:
            shown = shown[:, ::-1] if axis == 1 else shown[::-1]
        np.testing.assert_array_equal(orientation.to_upright(array, turn), shown)


def test_a_thumbnail_and_depth_map_are_dropped(tmp_path: Path) -> None:
    image = pillow_heif.from_pillow(Image.fromarray(_smooth(3)))
    image.info["thumbnails"] = [64]
    out = io.BytesIO()
    image.save(out, quality=70)
    if not pillow_heif.open_heif(out.getvalue()).info["thumbnails"]:
        pytest.skip("this pillow-heif writes no thumbnail")
    picture = opened(tmp_path, out.getvalue())
    assert "auxiliary or thumbnail picture" in picture.metadata
    assert check_clean(tmp_path / "in.bin")
    _, clean = rewritten(tmp_path, picture, {})
    assert not pillow_heif.open_heif(clean).info["thumbnails"]


@pytest.mark.parametrize("brand", [b"avis", b"avif"])
def test_a_sequence_is_refused_by_name(brand: bytes, tmp_path: Path) -> None:
    frames = [Image.fromarray(texture(32, 32, seed=i)) for i in range(3)]
    out = io.BytesIO()
    frames[0].save(out, "AVIF", save_all=True, append_images=frames[1:], speed=9)
    data = out.getvalue()
    with pytest.raises(PictureError, match="sequence") as caught:
        opened(tmp_path, data[:8] + brand + data[12:])
    assert caught.value.reason == "unsupported"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (b"ispe", bytes(4) + struct.pack(">II", 80, 64)),
        (b"pixi", bytes(4) + b"\3\x08\x08\x08"),
        (b"clli", struct.pack(">HH", 1000, 400)),
        (b"colr", b"nclx" + struct.pack(">HHHB", 1, 13, 6, 128)),
        (b"auxC", bytes(4) + b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"),
        (b"irot", b"\1"),
        (b"a1lx", b"\0" + bytes(6)),
    ],
)
def test_what_follows_a_property_goes(kind: bytes, body: bytes) -> None:
    removed: list[str] = []
    assert _property(kind, body + SECRET, False, removed) == Property(kind, body)
    assert _property(kind, body, False, removed) == Property(kind, body) and removed == []


def test_colours_of_a_kind_of_its_own_go() -> None:
    removed: list[str] = []
    assert _property(b"colr", b"mine" + SECRET, False, removed) is None
    assert removed == ["property colr"]


def test_brands_say_what_the_file_is_and_no_more(tmp_path: Path) -> None:
    data = encoded(texture(64, 80), "AVIF", quality=70)
    (size,) = struct.unpack_from(">I", data, 0)
    secret = SECRET + bytes(-len(SECRET) % 4)
    picture = opened(tmp_path, _moved(data, size, secret))
    assert check_clean(tmp_path / "in.bin")
    write_picture(picture, {}, tmp_path / "out.bin")
    out = (tmp_path / "out.bin").read_bytes()
    assert SECRET not in out and check_clean(tmp_path / "out.bin") == []
    assert out[8:12] == b"avif" and b"mif1" in out[16:64] and b"MA1B" in out[16:64]


def _moved(data: bytes, ftyp: int, more: bytes) -> bytes:
    """The file with more behind its brands; what iloc points to lies that much later."""
    grown = struct.pack(">I", ftyp + len(more)) + data[4:ftyp] + more + data[ftyp:]
    at = grown.index(b"iloc") + 4
    version, sizes = grown[at], grown[at + 4 : at + 6]
    assert version == 0 and sizes == b"\x44\x00"  # as libheif writes it: offsets and lengths of 4 bytes
    (count,) = struct.unpack_from(">H", grown, at + 6)
    moved, at = bytearray(grown), at + 8
    for _ in range(count):
        (extents,) = struct.unpack_from(">H", moved, at + 4)
        for extent in range(extents):
            (offset,) = struct.unpack_from(">I", moved, at + 6 + 8 * extent)
            struct.pack_into(">I", moved, at + 6 + 8 * extent, offset + len(more))
        at += 6 + 8 * extents
    return bytes(moved)
