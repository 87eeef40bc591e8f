"""Odd pictures for the tests, made by other libraries than the code under test writes with."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, ImageCms

from pipeline.anonymize.images import Picture, open_picture, write_picture
from pipeline.config.schema import LimitsConfig

LIMITS = LimitsConfig()
SECRET = b"SECRET-0451"  # what no output may hold


def texture(height: int, width: int, channels: int = 3, dtype: Any = np.uint8, seed: int = 0) -> NDArray[Any]:
    """A gradient with noise and rings ``[H, W, C]`` (``[H, W]`` for one channel)."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    rings = 40 * np.sin(np.hypot(x - width / 3, y - height / 2) / 3)
    planes = [
        60 + 120 * x / max(width - 1, 1) + rings * (c + 1) / channels + random.normal(0, 6, (height, width))
        for c in range(channels)
    ]
    values = np.clip(np.stack(planes, axis=2), 0, 255) / 255 * np.iinfo(dtype).max
    array = values.astype(dtype)
    return array[:, :, 0] if channels == 1 else array


def exif(orientation: int = 1, thumbnail: bool = False) -> bytes:
    """An EXIF block with orientation, resolution, and secrets: maker, GPS, maker note, and a thumbnail."""
    block = Image.Exif()
    block[0x0112] = orientation
    block[0x010F] = SECRET.decode()
    block[0x011A], block[0x011B], block[0x0128] = 300.0, 300.0, 2
    block.get_ifd(0x8769)[0x927C] = b"note " + SECRET
    block.get_ifd(0x8825).update({1: "N", 2: (51.0, 30.0, 0.0), 29: SECRET.decode()})
    data = block.tobytes()
    return with_thumbnail(data) if thumbnail else data


def with_thumbnail(data: bytes) -> bytes:
    """The block with an IFD1 that holds a JPEG thumbnail."""
    body = data[6:] if data.startswith(b"Exif\0\0") else data
    order = "<" if body[:2] == b"II" else ">"
    (start,) = struct.unpack_from(order + "I", body, 4)
    (count,) = struct.unpack_from(order + "H", body, start)
    link = start + 2 + 12 * count
    at = len(body) + len(body) % 2
    picture = encoded(texture(40, 60), "JPEG", comment=SECRET)
    ifd1 = struct.pack(order + "H", 2)
    ifd1 += struct.pack(order + "HHII", 0x0201, 4, 1, at + 30) + struct.pack(
        order + "HHII", 0x0202, 4, 1, len(picture)
    )
    ifd1 += bytes(4)
    whole = bytearray(body.ljust(at, b"\0") + ifd1 + picture)
    struct.pack_into(order + "I", whole, link, at)
    return b"Exif\0\0" + bytes(whole)


def profile(space: str = "sRGB") -> bytes:
    """An sRGB or Lab profile as LittleCMS makes it; its description is not a public name."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(space)).tobytes()


def encoded(array: NDArray[Any], format: str, mode: str | None = None, **options: Any) -> bytes:
    """A file by Pillow."""
    out = io.BytesIO()
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(out, format, **options)
    return out.getvalue()


def by_cv2(array: NDArray[Any], suffix: str) -> bytes:
    ok, data = cv2.imencode(suffix, array)
    assert ok
    return data.tobytes()


def by_tifffile(arrays: list[NDArray[Any]], container: dict[str, Any] | None = None, **options: Any) -> bytes:
    out = io.BytesIO()
    with tifffile.TiffWriter(out, **(container or {})) as writer:
        for array in arrays:
            writer.write(array, metadata=None, **options)
    return out.getvalue()


def opened(folder: Path, data: bytes, name: str = "in.bin") -> Picture:
    """The picture of those bytes."""
    path = folder / name
    path.write_bytes(data)
    return open_picture(path, LIMITS)


def rewritten(folder: Path, picture: Picture, redacted: dict[int, NDArray[Any]]) -> tuple[Picture, bytes]:
    """Write, and open again; also the bytes."""
    out = folder / "out.bin"
    write_picture(picture, redacted, out)
    return open_picture(out, LIMITS), out.read_bytes()


def psnr(a: NDArray[Any], b: NDArray[Any], top: float = 255) -> float:
    """Peak signal-to-noise ratio in dB; infinite for equal arrays."""
    error = float(np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2))
    return float("inf") if error == 0 else float(10 * np.log10(top**2 / error))


Maker = Callable[[int, int], bytes]
"""A file of that height and width."""


def _palette(height: int, width: int, colours: int, bits: int = 8, **options: Any) -> bytes:
    image = Image.fromarray(texture(height, width)).quantize(colours)
    out = io.BytesIO()
    image.save(out, "PNG", bits=bits, **options)
    return out.getvalue()


def _alpha(height: int, width: int, channels: int, dtype: Any = np.uint8) -> NDArray[Any]:
    """A texture with an alpha of zeros, full, and all between; colours below zeros are no zeros."""
    array = texture(height, width, channels, dtype)
    top = np.iinfo(dtype).max
    array[:, :, -1] = np.linspace(-top, 2 * top, width).clip(0, top).astype(dtype)
    return array


def _bmp16(height: int, width: int) -> bytes:
    """Five, six and five bits."""
    rgb = texture(height, width).astype(np.uint16)
    words = (rgb[:, :, 0] >> 3 << 11 | rgb[:, :, 1] >> 2 << 5 | rgb[:, :, 2] >> 3).astype("<u2")
    rows = np.pad(words, ((0, 0), (0, width % 2)))
    head = struct.pack("<IiiHHIIiiII", 40, width, -height, 1, 16, 3, 0, 0, 0, 0, 0)
    head += struct.pack("<III", 0xF800, 0x07E0, 0x001F)
    return struct.pack("<2sIHHI", b"BM", 0, 0, 0, 14 + len(head)) + head + rows.tobytes()


def interlaced(data: bytes) -> bytes:
    """A PNG made Adam7-interlaced, by hand: every pass unfiltered."""
    import zlib

    from pipeline.anonymize.images import png_chunks, png_coding

    png = png_chunks.parse(data)
    samples = _stored(data, png.header)
    png.header.interlaced = True
    raw = b""
    for rows, columns, _, _ in png_coding.passes(png.header):
        packed = png_coding._pack(samples[rows, columns], png.header.bits)
        raw += b"".join(b"\0" + row.tobytes() for row in packed)
    return png_chunks.assemble(png, zlib.compress(raw))


def _stored(data: bytes, header: Any) -> NDArray[Any]:
    if header.bits == 16:
        array = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        return array[:, :, ::-1] if array.ndim == 3 else array
    array = np.array(Image.open(io.BytesIO(data)))
    return array // (255 // (2**header.bits - 1)) if header.colour == 0 and 1 < header.bits < 8 else array


def grey_png(height: int, width: int, bits: int) -> bytes:
    """A grey PNG of 2 or 4 bits, which Pillow does not write."""
    import zlib

    from pipeline.anonymize.images.png_chunks import chunk
    from pipeline.anonymize.images.png_coding import _pack

    samples = texture(height, width, 1) >> (8 - bits)
    raw = b"".join(b"\0" + row.tobytes() for row in _pack(samples, bits))
    head = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    parts = [chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(raw)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _tiff(channels: int, dtype: Any, **options: Any) -> Maker:
    def make(height: int, width: int) -> bytes:
        array = _alpha(height, width, 4, dtype) if channels == 4 else texture(height, width, channels, dtype)
        arrays = [array, np.ascontiguousarray(array[::-1])]
        if options.get("planarconfig") == "separate":
            arrays = [np.ascontiguousarray(np.moveaxis(a, 2, 0)) for a in arrays]
        rest = {k: v for k, v in options.items() if k not in ("byteorder", "bigtiff")}
        container = {k: v for k, v in options.items() if k in ("byteorder", "bigtiff")}
        return by_tifffile(
            arrays, container, **({"photometric": "minisblack" if channels == 1 else "rgb"} | rest)
        )

    return make


LOSSLESS: dict[str, tuple[Maker, str, str, int]] = {
    # name: (maker, format, mode, bits)
    "png grey 1": (lambda h, w: encoded(texture(h, w), "PNG", "1"), "PNG", "1", 1),
    "png grey 2": (lambda h, w: grey_png(h, w, 2), "PNG", "L", 2),
    "png grey 4": (lambda h, w: grey_png(h, w, 4), "PNG", "L", 4),
    "png grey 8": (lambda h, w: encoded(texture(h, w, 1), "PNG"), "PNG", "L", 8),
    "png grey 16": (lambda h, w: by_cv2(texture(h, w, 1, np.uint16), ".png"), "PNG", "L", 16),
    "png rgb 8": (lambda h, w: encoded(texture(h, w), "PNG", optimize=True), "PNG", "RGB", 8),
    "png rgb 16": (lambda h, w: by_cv2(texture(h, w, 3, np.uint16), ".png"), "PNG", "RGB", 16),
    "png rgba 8": (lambda h, w: encoded(_alpha(h, w, 4), "PNG"), "PNG", "RGBA", 8),
    "png rgba 16": (lambda h, w: by_cv2(_alpha(h, w, 4, np.uint16), ".png"), "PNG", "RGBA", 16),
    "png grey alpha": (lambda h, w: encoded(_alpha(h, w, 4), "PNG", "LA"), "PNG", "LA", 8),
    "png palette 8": (lambda h, w: _palette(h, w, 200), "PNG", "P", 8),
    "png palette 4": (lambda h, w: _palette(h, w, 13, bits=4), "PNG", "P", 4),
    "png palette 2": (lambda h, w: _palette(h, w, 4, bits=2), "PNG", "P", 2),
    "png palette 1": (lambda h, w: _palette(h, w, 2, bits=1), "PNG", "P", 1),
    "png palette trns": (
        lambda h, w: _palette(h, w, 60, transparency=bytes(range(0, 240, 4))),
        "PNG",
        "P",
        8,
    ),
    "png key": (
        lambda h, w: encoded(texture(h, w) // 64 * 64, "PNG", transparency=(64, 64, 64)),
        "PNG",
        "RGB",
        8,
    ),
    "png interlaced rgb": (lambda h, w: interlaced(encoded(texture(h, w), "PNG")), "PNG", "RGB", 8),
    "png interlaced 1": (lambda h, w: interlaced(encoded(texture(h, w), "PNG", "1")), "PNG", "1", 1),
    "png interlaced 16": (
        lambda h, w: interlaced(by_cv2(texture(h, w, 3, np.uint16), ".png")),
        "PNG",
        "RGB",
        16,
    ),
    "tiff grey 8": (_tiff(1, np.uint8), "TIFF", "L", 8),
    "tiff grey 16 lzw": (_tiff(1, np.uint16, compression="lzw", predictor=True), "TIFF", "L", 16),
    "tiff white is zero": (
        _tiff(1, np.uint8, photometric="miniswhite", compression="packbits"),
        "TIFF",
        "L",
        8,
    ),
    "tiff rgb 16 deflate": (
        _tiff(3, np.uint16, compression="deflate", predictor=True, rowsperstrip=7),
        "TIFF",
        "RGB",
        16,
    ),
    "tiff rgb tiles big": (
        _tiff(3, np.uint8, tile=(16, 32), compression="zstd", byteorder=">", bigtiff=True),
        "TIFF",
        "RGB",
        8,
    ),
    "tiff rgb planes": (_tiff(3, np.uint16, planarconfig="separate", byteorder=">"), "TIFF", "RGB", 16),
    "tiff rgba": (_tiff(4, np.uint8, compression="lzma"), "TIFF", "RGBA", 8),
    "tiff 1 bit": (lambda h, w: encoded(texture(h, w), "TIFF", "1", compression="packbits"), "TIFF", "L", 1),
    "tiff palette": (
        lambda h, w: encoded(texture(h, w), "TIFF", "P", compression="tiff_lzw"),
        "TIFF",
        "P",
        8,
    ),
    "tiff cmyk": (lambda h, w: encoded(texture(h, w), "TIFF", "CMYK"), "TIFF", "CMYK", 8),
    "webp rgb": (lambda h, w: encoded(texture(h, w), "WEBP", lossless=True), "WebP", "RGB", 8),
    "webp rgba": (
        lambda h, w: encoded(_alpha(h, w, 4), "WEBP", lossless=True, exact=True),
        "WebP",
        "RGBA",
        8,
    ),
    "gif": (lambda h, w: encoded(texture(h, w), "GIF", "P"), "GIF", "P", 8),
    "gif interlaced": (lambda h, w: encoded(texture(h, w), "GIF", "P", interlace=1), "GIF", "P", 8),
    "bmp 1": (lambda h, w: encoded(texture(h, w), "BMP", "1"), "BMP", "P", 1),
    "bmp 8": (lambda h, w: encoded(texture(h, w), "BMP", "P"), "BMP", "P", 8),
    "bmp 16": (_bmp16, "BMP", "RGB", 8),
    "bmp 24": (lambda h, w: by_cv2(texture(h, w), ".bmp"), "BMP", "RGB", 8),
    "bmp 32": (lambda h, w: encoded(_alpha(h, w, 4), "BMP"), "BMP", "RGB", 8),
}
