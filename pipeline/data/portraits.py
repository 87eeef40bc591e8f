"""What the built-in sample is made of: pictures that installed packages carry, all free to use.

Portraits (United States government work, public domain): Rear Admiral Grace Hopper, U.S. Navy,
in matplotlib; Colonel Eileen Collins, NASA, in scikit-image. Backgrounds: pictures of
scikit-image that are in the public domain or CC0, and show no face.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

BACKGROUNDS = (
    "brick", "cat", "clock", "coffee", "grass", "gravel", "hubble_deep_field",
    "immunohistochemistry", "retina", "rocket", "text",
)  # fmt: skip

Pixels = NDArray[np.uint8]
Points = NDArray[np.float64]


@dataclass(frozen=True)
class Portrait:
    """A person cut out of a photograph.

    Attributes:
        rgb: uint8 ``[H, W, 3]``.
        alpha: uint8 ``[H, W]``, 255 on the person.
        face: forehead to chin, ear to ear: ``xmin, ymin, xmax, ymax`` in pixels.
    """

    rgb: Pixels
    alpha: Pixels
    face: tuple[float, float, float, float]

    def face_outline(self) -> Points:
        """``[24, 2]`` points on the ellipse that the face box holds."""
        x0, y0, x1, y1 = self.face
        angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        half = np.array([x1 - x0, y1 - y0]) / 2
        return np.array([(x0 + x1) / 2, (y0 + y1) / 2]) + half * np.stack(
            [np.cos(angle), np.sin(angle)], axis=1
        )


HOPPER_OUTLINE = (
    (150, 150), (158, 95), (175, 60), (210, 30), (250, 22), (300, 35), (345, 60), (370, 100), (372, 150),
    (376, 200), (370, 250), (358, 295), (335, 315), (340, 330), (400, 360), (480, 385), (505, 420),
    (512, 460), (512, 600), (10, 600), (15, 520), (35, 420), (60, 380), (150, 345),
    (200, 315), (170, 285), (155, 240),
)  # fmt: skip
COLLINS_OUTLINE = (
    (156, 75), (164, 48), (190, 26), (230, 18), (266, 29), (292, 60), (297, 92), (283, 120), (270, 138),
    (262, 175), (292, 190), (303, 228), (345, 262), (360, 330), (350, 380), (300, 430), (285, 512), (20, 512),
    (28, 420), (38, 320), (62, 242), (114, 205), (119, 180), (134, 163), (155, 155), (183, 152),
    (175, 121), (160, 108),
)  # fmt: skip


@cache
def portraits() -> tuple[Portrait, ...]:
    from skimage import data  # slow to import, and needed only here

    path = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
    with Image.open(path) as picture:
        hopper = np.asarray(picture.convert("RGB"))
    collins = data.astronaut()
    return (
        Portrait(hopper, _cut_out(hopper, HOPPER_OUTLINE), (164, 132, 364, 336)),
        Portrait(collins, _cut_out(collins, COLLINS_OUTLINE), (176, 62, 273, 178)),
    )


@cache
def background(name: str) -> Pixels:
    """One of :data:`BACKGROUNDS`, RGB."""
    from skimage import data

    pixels = np.asarray(getattr(data, name)())
    return pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)


def _cut_out(rgb: Pixels, outline: tuple[tuple[int, int], ...]) -> Pixels:
    alpha = np.zeros(rgb.shape[:2], dtype=np.uint8)
    cv2.fillPoly(alpha, [np.array(outline, dtype=np.int32)], 255)
    return cv2.GaussianBlur(cv2.erode(alpha, np.ones((5, 5), np.uint8)), (0, 0), 1.5)


def with_mask(portrait: Portrait, random: np.random.Generator) -> Portrait:
    """The portrait wearing a painted mask over nose, mouth and chin: surgical, cup or cloth."""
    x0, y0, x1, y1 = portrait.face
    corner, size = np.array([x0, y0]), np.array([x1 - x0, y1 - y0])
    top = random.uniform(0.42, 0.52)
    shape = [(0.03, top + 0.04), (0.3, top + 0.02), (0.5, top - 0.05), (0.7, top + 0.02), (0.97, top + 0.04),
             (0.92, 0.75), (0.74, 0.98), (0.5, 1.05), (0.26, 0.98), (0.08, 0.75)]  # fmt: skip
    polygon = (corner + size * (np.array(shape) + random.normal(0, 0.012, (len(shape), 2)))).astype(np.int32)
    colours = ((170, 205, 225), (235, 235, 230), (40, 42, 48), (150, 190, 170), (215, 175, 190), (90, 40, 60))
    colour = np.array(colours[random.integers(len(colours))]) + random.normal(0, 8, 3)
    layer = np.full(portrait.rgb.shape, colour.clip(0, 255), dtype=np.float64)
    _pattern(layer, corner, size, random)
    stencil = np.zeros(portrait.rgb.shape[:2], dtype=np.uint8)
    cv2.fillPoly(stencil, [polygon], 255)
    for ear, anchor in ((-0.02, polygon[0]), (1.02, polygon[4])):
        strap = (corner + size * [ear, 0.36]).astype(int)
        cv2.line(stencil, tuple(map(int, anchor)), tuple(map(int, strap)), 255, max(1, int(size[0] / 60)))
    opacity = cv2.GaussianBlur(stencil, (0, 0), 1).astype(np.float64)[..., None] / 255
    # the face's own light falls on the mask as well
    light = cv2.GaussianBlur(portrait.rgb.mean(axis=2), (0, 0), float(size[0]) / 12)[..., None] / 150
    painted = portrait.rgb * (1 - opacity) + (layer * light.clip(0.55, 1.15)).clip(0, 255) * opacity
    return replace(portrait, rgb=painted.astype(np.uint8))


def _pattern(layer: NDArray[np.float64], corner: Points, size: Points, random: np.random.Generator) -> None:
    """Pleats, a print of dots, or the seam of a cup, drawn on ``layer`` in place."""
    kind = random.integers(3)
    shade = layer[0, 0] * random.uniform(0.75, 0.9)
    width = max(1, int(size[0] / 70))
    if kind == 0:
        for y in corner[1] + size[1] * np.array([0.62, 0.72, 0.82]):
            cv2.line(layer, (0, int(y)), (layer.shape[1], int(y)), shade.tolist(), width)
    elif kind == 1:
        x = int(corner[0] + size[0] / 2)
        cv2.line(layer, (x, 0), (x, layer.shape[0]), shade.tolist(), width)
    else:
        step = size[0] / 9
        for x in np.arange(corner[0], corner[0] + size[0], step):
            for y in np.arange(corner[1] + size[1] * 0.4, corner[1] + size[1] * 1.1, step):
                cv2.circle(layer, (int(x), int(y)), max(1, int(step / 5)), (255 - shade).tolist(), -1)
