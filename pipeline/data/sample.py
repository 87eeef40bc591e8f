"""The built-in sample: a small labelled set made on this machine, without any download.

Two public-domain portraits, scaled, turned, flipped, relit, with and without painted masks, on
backgrounds without faces. It exercises the whole line in minutes. It is no benchmark: the same two
people stand in every split, so a score on it says nothing about other faces.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.progress import track

from pipeline.data.portraits import BACKGROUNDS, Pixels, Points, Portrait, background, portraits, with_mask
from pipeline.errors import UserError

Box = tuple[int, int, int, int]

GENERATOR = 2
"""Raised when the same seed would give other pictures."""
PICTURES = 120
EMPTY_EVERY = 6
STAMP = "sample.json"
NOTE = (
    "Made by Veil from two public-domain portraits (Grace Hopper, U.S. Navy; Eileen Collins, NASA) and "
    "public-domain or CC0 backgrounds. A means to try the whole line, no benchmark: the same two people "
    "stand in training and test.\n"
)


@dataclass(frozen=True)
class Placed:
    """A face in a picture: its label and its ``xmin, ymin, xmax, ymax`` in whole pixels."""

    label: str
    box: Box


def generate(folder: Path, pictures: int = PICTURES, seed: int = 0) -> Path:
    """Makes the set in ``folder`` (``images/``, Pascal VOC ``annotations/``), or finds it there whole.

    The pictures are a function of ``seed``; each is made from a random stream of its own.

    Raises:
        UserError: something else lies there. Only another sample is replaced.
    """
    stamp = json.dumps({"generator": GENERATOR, "pictures": pictures, "seed": seed})
    there = (folder / STAMP).read_text(errors="replace") if (folder / STAMP).is_file() else ""
    if there == stamp:
        return folder
    empty = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    if not (empty or there.startswith('{"generator":')):
        raise UserError(
            f"{folder}: the built-in sample is made here, and something else lies here; allowed: no such "
            "folder, or another dataset.versions, beside which the sample goes"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        (partial / "images").mkdir()
        (partial / "annotations").mkdir()
        quiet = not sys.stdout.isatty()
        for number in track(range(pictures), "making the sample", transient=True, disable=quiet):
            _make(partial, number, np.random.default_rng([seed, number]))
        (partial / "NOTE.txt").write_text(NOTE)
        (partial / STAMP).write_text(stamp)
        partial.chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def _make(folder: Path, number: int, random: np.random.Generator) -> None:
    canvas, faces = compose(random, people=0 if number % EMPTY_EVERY == 0 else int(random.integers(1, 6)))
    # one PNG in ten, as in sets from the web
    name = f"sample_{number:04d}.{'png' if number % 10 == 5 else 'jpg'}"
    options: dict[str, Any] = {} if name.endswith("png") else {"quality": int(random.integers(75, 96))}
    Image.fromarray(canvas).save(folder / "images" / name, **options)
    _voc(name, canvas.shape[1], canvas.shape[0], faces).write(folder / "annotations" / f"{name[:-4]}.xml")


def compose(random: np.random.Generator, people: int) -> tuple[Pixels, list[Placed]]:
    """A background with people on it; fewer than asked where they would hide each other's faces."""
    canvas = _backdrop(random, width=int(random.integers(320, 801)), height=int(random.integers(320, 641)))
    faces: list[Placed] = []
    for _ in range(people):
        for _attempt in range(8):
            pasted = _paste(canvas, [face.box for face in faces], random)
            if pasted is not None:
                canvas, face = pasted
                faces.append(face)
                break
    return _finish(canvas, random), faces


def _backdrop(random: np.random.Generator, width: int, height: int) -> Pixels:
    """A crop of a background picture, flipped and tinted."""
    source = background(BACKGROUNDS[random.integers(len(BACKGROUNDS))])
    share = random.uniform(0.5, 1.0)
    crop_height = int(share * min(source.shape[0], source.shape[1] * height / width))
    crop_width = int(crop_height * width / height)
    y = int(random.integers(0, source.shape[0] - crop_height + 1))
    x = int(random.integers(0, source.shape[1] - crop_width + 1))
    crop = source[y : y + crop_height, x : x + crop_width]
    scaled = cv2.resize(crop, (width, height), interpolation=cv2.INTER_LINEAR)
    scaled = scaled[:, ::-1] if random.random() < 0.5 else scaled
    tint = random.uniform(0.7, 1.2, 3)
    return (scaled * tint).clip(0, 255).astype(np.uint8)


def _paste(canvas: Pixels, taken: list[Box], random: np.random.Generator) -> tuple[Pixels, Placed] | None:
    """The canvas with one more person; None if the person would cover a face, or lose half of theirs."""
    height, width = canvas.shape[:2]
    people = portraits()
    portrait = people[random.integers(len(people))]
    pose = _pose(portrait, canvas.shape, random)
    box = pose.bounds(portrait.face_outline())
    visible = (max(box[0], 0), max(box[1], 0), min(box[2], width), min(box[3], height))
    if _area(visible) < 0.6 * _area(box):
        return None
    silhouette = pose.warp(portrait.alpha, (width, height))
    if any(silhouette[y0:y1, x0:x1].mean() > 12 for x0, y0, x1, y1 in taken):
        return None
    masked = bool(random.random() < 0.5)
    rgb = pose.warp((with_mask(portrait, random) if masked else portrait).rgb, (width, height))
    opacity = silhouette[..., None].astype(np.float32) / 255
    light = (random.uniform(0.7, 1.2) * random.uniform(0.92, 1.08, 3)).astype(np.float32)
    blended = canvas * (1 - opacity) + (rgb * light).clip(0, 255) * opacity
    return blended.astype(np.uint8), Placed("with_mask" if masked else "without_mask", visible)


@dataclass(frozen=True)
class Pose:
    """Where a portrait goes: first shrunk by ``shrink`` (at most 1), then moved by ``matrix`` ``[2, 3]``."""

    shrink: float
    matrix: NDArray[np.float64]

    def warp(self, pixels: Pixels, size: tuple[int, int]) -> Pixels:
        """The pixels on an empty canvas of that width and height."""
        if self.shrink < 1:  # averages; the warp alone would only pick pixels
            shape = [max(1, round(side * self.shrink)) for side in pixels.shape[1::-1]]
            pixels = cv2.resize(pixels, shape, interpolation=cv2.INTER_AREA)
        return cv2.warpAffine(pixels, self.matrix, size, flags=cv2.INTER_LINEAR)

    def bounds(self, points: Points) -> Box:
        moved = (points * self.shrink) @ self.matrix[:, :2].T + self.matrix[:, 2]
        low, high = np.floor(moved.min(axis=0)), np.ceil(moved.max(axis=0))
        return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def _pose(portrait: Portrait, canvas: tuple[int, ...], random: np.random.Generator) -> Pose:
    """A face 20 px to half the canvas high (small ones as likely as large), turned a little."""
    x0, y0, x1, y1 = portrait.face
    face_height = float(np.exp(random.uniform(np.log(20), np.log(0.5 * canvas[0]))))
    centre = random.uniform([0.05, 0.1], [0.95, 0.8]) * [canvas[1], canvas[0]]
    scale = face_height / (y1 - y0)
    shrink = min(scale, 1.0)
    middle = np.array([x0 + x1, y0 + y1]) / 2 * shrink
    matrix = cv2.getRotationMatrix2D(tuple(middle), float(random.normal(0, 10)), max(scale, 1.0))
    if random.random() < 0.5:  # mirrored about the face's middle
        matrix = matrix @ np.array([[-1, 0, 2 * middle[0]], [0, 1, 0], [0, 0, 1]])
    matrix[:, 2] += centre - middle
    return Pose(shrink, matrix)


def _finish(canvas: Pixels, random: np.random.Generator) -> Pixels:
    """A little blur and sensor noise over all, so that nothing marks the pasted parts."""
    if random.random() < 0.4:
        canvas = cv2.GaussianBlur(canvas, (0, 0), float(random.uniform(0.4, 1.2)))
    noise = random.standard_normal(canvas.shape, dtype=np.float32) * np.float32(random.uniform(0, 6))
    return (canvas + noise).clip(0, 255).astype(np.uint8)


def _area(box: Box) -> int:
    return max(0, box[2] - box[0]) * max(0, box[3] - box[1])


def _voc(name: str, width: int, height: int, faces: list[Placed]) -> ElementTree.ElementTree:
    root = ElementTree.Element("annotation")
    ElementTree.SubElement(root, "filename").text = name
    size = ElementTree.SubElement(root, "size")
    for key, number in (("width", width), ("height", height), ("depth", 3)):
        ElementTree.SubElement(size, key).text = str(number)
    for face in faces:
        item = ElementTree.SubElement(root, "object")
        ElementTree.SubElement(item, "name").text = face.label
        box = ElementTree.SubElement(item, "bndbox")
        for key, number in zip(("xmin", "ymin", "xmax", "ymax"), face.box, strict=True):
            ElementTree.SubElement(box, key).text = str(number)
    ElementTree.indent(root)
    return ElementTree.ElementTree(root)
