"""Folders of large pictures, made on this machine: small scenes enlarged and laid side by side.

The scenes are those of the built-in sample (two public-domain portraits on public-domain backgrounds, people
in every one), or photographs of a folder. An enlarged picture is smooth, and quicker to decode than one that
a camera made: so noise of a camera's kind is laid over it, and the bytes a pixel come out near a camera's.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from pipeline.data.sample import compose
from pipeline.errors import UserError

Pixels = NDArray[np.uint8]
Scene = Callable[[np.random.Generator], Pixels]

GENERATOR = 1
"""Raised when the same seed would give other pictures."""
STAMP = "folder.json"
ASPECT = 1.5
TILE_MEGAPIXELS = 4.0
NOISE = 4.0
QUALITY = 92
PHOTOS = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class Folder:
    """Pictures of one size.

    Attributes:
        megapixels: of each. pictures: their files, in the order in which they are used.
        megabytes: of a picture's file, on average.
    """

    megapixels: float
    pictures: tuple[Path, ...]
    megabytes: float


def folder_of(cache: Path, megapixels: float, count: int, seed: int, photos: Path | None = None) -> Folder:
    """Make the pictures below ``cache``, or find them there whole.

    Args:
        count: at least so many; more that are there already are left out.
        photos: take photographs from this folder and what is below it.

    Raises:
        UserError: ``photos`` holds no photograph.
    """
    scene, source = photographs(photos) if photos else (sample_scene, "sample")
    stamp = {"generator": GENERATOR, "megapixels": float(megapixels), "seed": seed, "scenes": source}
    digest = hashlib.sha256(json.dumps(stamp).encode()).hexdigest()[:8]
    folder = cache / f"{megapixels:g}-megapixels-{digest}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / STAMP).write_text(json.dumps(stamp, indent=1) + "\n", encoding="utf-8")
    pictures = tuple(folder / f"{number:04d}.jpg" for number in range(count))
    for number, path in enumerate(pictures):
        if not path.is_file():
            _save(picture(scene, megapixels, np.random.default_rng([seed, number])), path)
    return Folder(megapixels, pictures, sum(path.stat().st_size for path in pictures) / count / 1e6)


def size_of(megapixels: float) -> tuple[int, int]:
    """Width and height of a picture of that size."""
    height = round((megapixels * 1e6 / ASPECT) ** 0.5)
    return round(megapixels * 1e6 / height), height


def grid_of(megapixels: float) -> int:
    """Scenes along each side of a picture: none is enlarged to more than a few megapixels."""
    return max(1, round((megapixels / TILE_MEGAPIXELS) ** 0.5))


def picture(scene: Scene, megapixels: float, random: np.random.Generator) -> Pixels:
    """One picture: uint8 ``[H, W, 3]`` RGB."""
    width, height = size_of(megapixels)
    grid = grid_of(megapixels)
    columns, rows = (np.linspace(0, side, grid + 1).round().astype(int) for side in (width, height))
    pixels = np.empty((height, width, 3), np.uint8)
    for top, bottom in pairwise(rows):
        for left, right in pairwise(columns):
            pixels[top:bottom, left:right] = fitted(scene(random), right - left, bottom - top)
    return _with_noise(pixels, random)


def fitted(pixels: Pixels, width: int, height: int) -> Pixels:
    """The middle of a picture, scaled to exactly that size."""
    scale = max(width / pixels.shape[1], height / pixels.shape[0])
    inner_width, inner_height = min(pixels.shape[1], width / scale), min(pixels.shape[0], height / scale)
    left, top = int((pixels.shape[1] - inner_width) / 2), int((pixels.shape[0] - inner_height) / 2)
    middle = pixels[top : top + round(inner_height), left : left + round(inner_width)]
    method = cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA
    return np.asarray(cv2.resize(middle, (width, height), interpolation=method), np.uint8)


def sample_scene(random: np.random.Generator) -> Pixels:
    """A scene of the built-in sample in which somebody can be seen."""
    while True:
        canvas, faces = compose(random, people=int(random.integers(1, 4)))
        if faces:
            return canvas


def photographs(folder: Path) -> tuple[Scene, str]:
    """Scenes out of a folder, and what names them."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PHOTOS)
    if not paths:
        raise UserError(f"photos: {str(folder)!r} holds no photograph; allowed: files {', '.join(PHOTOS)}")

    def scene(random: np.random.Generator) -> Pixels:
        with Image.open(paths[int(random.integers(len(paths)))]) as image:
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))

    names = "\n".join(f"{path.relative_to(folder).as_posix()} {path.stat().st_size}" for path in paths)
    return scene, hashlib.sha256(names.encode()).hexdigest()


def _with_noise(pixels: Pixels, random: np.random.Generator) -> Pixels:
    """In bands: noise of 45 megapixels at once would take half a gigabyte."""
    for top in range(0, len(pixels), 512):
        band = pixels[top : top + 512]
        noise = random.standard_normal(band.shape, dtype=np.float32) * np.float32(NOISE)
        band[...] = (band + noise).clip(0, 255).astype(np.uint8)
    return pixels


def _save(pixels: Pixels, path: Path) -> None:
    """Whole or not at all."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / path.name
        Image.fromarray(pixels).save(made, quality=QUALITY)
        shutil.move(made, path)
