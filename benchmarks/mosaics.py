"""Large pictures with labels: 16 pictures side by side, or one enlarged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.anonymize.detect import PADDING
from pipeline.boxes import Boxes
from pipeline.evaluation.labelled import LabelledFaces
from pipeline.evaluation.predict import read_picture

WIDTH, HEIGHT = 4096, 3072
ACROSS = 4
QUALITY = 92


def mosaics(
    pictures: Sequence[LabelledFaces], count: int, folder: Path, seed: int = 0
) -> list[LabelledFaces]:
    """So many pictures of 12 megapixels, as JPEG below ``folder``; each shows 16, none of them enlarged."""
    order = np.random.default_rng(seed).permutation(len(pictures)).tolist()
    cells = ACROSS * ACROSS
    return [
        _mosaic(
            [pictures[order[(number * cells + each) % len(order)]] for each in range(cells)],
            folder / f"mosaic-{number}.jpg",
        )
        for number in range(count)
    ]


def enlarged(pictures: Sequence[LabelledFaces], count: int, folder: Path) -> list[LabelledFaces]:
    """Evenly chosen pictures, enlarged to a longer side of 4,096 pixels."""
    chosen = np.linspace(0, len(pictures) - 1, count).round().astype(int).tolist() if count else []
    return [_large(pictures[each], folder / f"enlarged-{number}.jpg") for number, each in enumerate(chosen)]


def _mosaic(pictures: Sequence[LabelledFaces], path: Path) -> LabelledFaces:
    canvas = np.full((HEIGHT, WIDTH, 3), PADDING, np.uint8)
    cell = WIDTH // ACROSS, HEIGHT // ACROSS
    boxes = []
    for number, picture in enumerate(pictures):
        scale = min(1.0, cell[0] / picture.width, cell[1] / picture.height)
        left, top = number % ACROSS * cell[0], number // ACROSS * cell[1]
        small = _resized(read_picture(picture), scale)
        canvas[top : top + small.shape[0], left : left + small.shape[1]] = small
        boxes.append(picture.boxes.xyxy * scale + [left, top, left, top])
    return _saved(canvas, path, pictures, Boxes(np.concatenate(boxes)))


def _large(picture: LabelledFaces, path: Path) -> LabelledFaces:
    scale = WIDTH / max(picture.width, picture.height)
    return _saved(_resized(read_picture(picture), scale), path, [picture], Boxes(picture.boxes.xyxy * scale))


def _resized(pixels: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    size = round(pixels.shape[1] * scale), round(pixels.shape[0] * scale)
    if scale == 1:
        return pixels
    return np.asarray(
        cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    )


def _saved(
    pixels: NDArray[np.uint8], path: Path, parts: Sequence[LabelledFaces], boxes: Boxes
) -> LabelledFaces:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, quality=QUALITY)
    return replace(
        parts[0],
        path=path,
        name=path.name,
        width=pixels.shape[1],
        height=pixels.shape[0],
        boxes=boxes,
        labels=tuple(label for part in parts for label in part.labels),
        sources=tuple(source for part in parts for source in part.sources),
        ignored=np.concatenate([part.ignored for part in parts]),
        difficulties=None,
        added=None,
    )
