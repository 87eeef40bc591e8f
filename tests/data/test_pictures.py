from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.data import pictures


def gradient(mode: str) -> Image.Image:
    ramp = np.linspace(0, 255, 64 * 48).reshape(48, 64)
    if mode == "I;16":
        return Image.fromarray((ramp * 257).astype(np.uint16))
    if mode == "RGBA":
        alpha = np.full((48, 64, 1), 7)
        return Image.fromarray(np.dstack([ramp, ramp, ramp, alpha]).astype(np.uint8))
    return Image.fromarray(ramp.astype(np.uint8)).convert("RGB").convert(mode)


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "LA", "CMYK", "1", "I;16"])
def test_every_mode_becomes_the_same_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    gradient(mode).save(path)
    rgb = pictures.read_upright(path)
    assert (rgb.mode, rgb.size) == ("RGB", (64, 48))
    difference = np.abs(np.asarray(rgb, dtype=int) - np.asarray(gradient("RGB"), dtype=int))
    assert difference.mean() < {"1": 90, "P": 20}.get(mode, 4)  # these two are dithered
    assert not pictures.examine(path).plain


@pytest.mark.parametrize(
    ("mode", "suffix", "orientation", "plain"),
    [("RGB", "jpg", 1, True), ("RGB", "jpg", 6, False), ("L", "jpg", 1, False), ("RGB", "png", 1, False)],
)
def test_only_an_upright_rgb_jpeg_keeps_its_bytes(
    tmp_path: Path, mode: str, suffix: str, orientation: int, plain: bool
) -> None:
    path = tmp_path / f"a.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    gradient(mode).save(path, exif=exif)
    opened = pictures.examine(path)
    assert opened.plain is plain
    assert opened.size == ((48, 64) if orientation == 6 else (64, 48))
    encoded = pictures.encode(path, opened.plain)
    assert (encoded == path.read_bytes()) is plain
    stored = Image.open(io.BytesIO(encoded))
    assert (stored.format, stored.mode, stored.size) == ("JPEG", "RGB", opened.size)
    difference = np.asarray(stored, dtype=int) - np.asarray(pictures.read_upright(path), dtype=int)
    assert np.abs(difference).max() < 12


def test_a_re_encoded_and_resized_copy_hashes_alike(tmp_path: Path) -> None:
    from skimage import data

    original = Image.fromarray(data.coffee())
    original.save(tmp_path / "a.png")
    original.resize((300, 200)).save(tmp_path / "b.jpg", quality=60)
    original.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "c.jpg")
    Image.fromarray(data.cat()).save(tmp_path / "d.jpg")
    a, b, c, d = (pictures.examine(tmp_path / name).dhash for name in ("a.png", "b.jpg", "c.jpg", "d.jpg"))
    assert (a[0] ^ b[0]).sum() <= 12
    assert (a[0] ^ c[1]).sum() <= 12 < (a[0] ^ c[0]).sum()
    assert (a[0] ^ d[0]).sum() > 40


@pytest.mark.parametrize("content", [b"", b"not a picture", None])
def test_broken_files_raise_what_the_validation_catches(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.jpg"
    if content is None:
        Image.effect_noise((200, 200), 90).convert("RGB").save(path)
        content = path.read_bytes()[:2000]
    path.write_bytes(content)
    with pytest.raises(pictures.UNREADABLE):
        pictures.examine(path)
