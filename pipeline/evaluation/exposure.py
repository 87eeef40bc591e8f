"""The measure that matters: which labelled faces the tool's real output would still show.

Peers redact other regions than we do (ellipses, enlarged boxes), so this compares what is covered, not
what is detected. A face is *exposed* when more than 20 % of the top 70 % of its labelled box stays as it
was. *Needless pixels* are the price: pixels redacted outside every labelled face grown by 1.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.boxes import Boxes
from pipeline.evaluation.labelled import LabelledFaces
from pipeline.evaluation.slices import Rate, membership, rate

TOP_FRACTION = 0.7
"""Of the labelled box: the measure's own constant, whatever the tool is set to redact."""
MAX_UNCOVERED = 0.2
GROWTH = 1.3

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Exposure:
    """What a tool left to be seen, and what it redacted in vain.

    Attributes:
        uncovered: ``[F]`` share of each face's top region that stays, all pictures one after another.
        by_slice: exposed faces among the counted ones: ``all``, then each slice.
        needless_pixels: share of all pixels redacted outside every labelled face grown by 1.3.
        redacted_pixels: share of all pixels redacted.
        exposed, faces: ``[P]`` exposed faces of each picture, and those that count.
        needless: ``[P]`` pixels of each picture redacted outside every labelled face grown by 1.3.
        pixels: ``[P]`` pixels of each picture.
    """

    uncovered: NDArray[np.float64]
    by_slice: dict[str, Rate]
    needless_pixels: float
    redacted_pixels: float
    exposed: NDArray[np.float64]
    faces: NDArray[np.float64]
    needless: NDArray[np.float64]
    pixels: NDArray[np.float64]


def measure_exposure(pictures: Sequence[LabelledFaces], masks: Iterable[Mask]) -> Exposure:
    """Compares each picture's labels with what was redacted in it.

    Args:
        masks: for each picture, bool ``[height, width]``, upright: true where pixels were redacted.
            May be a generator: one is held at a time.

    Raises:
        ValueError: a mask has another size than its picture, or their numbers differ.
    """
    uncovered, redacted = [], 0
    exposed: list[int] = []
    needless: list[int] = []
    pixels: list[int] = []
    for picture, mask in zip(pictures, masks, strict=True):
        if mask.shape != (picture.height, picture.width):
            size = [picture.height, picture.width]
            raise ValueError(f"{picture.name}: expected a mask of {size}, got {list(mask.shape)}")
        uncovered.append(1 - covered_share(top_region(picture.boxes, picture.width, picture.height), mask))
        exposed.append(int((_exposed(uncovered[-1]) & ~picture.ignored).sum()))
        needless.append(int((mask & ~rasterize(grow(picture.boxes, GROWTH), mask.shape)).sum()))
        redacted += int(mask.sum())
        pixels.append(mask.size)
    shares = np.concatenate(uncovered) if uncovered else np.zeros(0)
    total = max(sum(pixels), 1)
    return Exposure(
        uncovered=shares,
        by_slice=_by_slice(pictures, shares),
        needless_pixels=sum(needless) / total,
        redacted_pixels=redacted / total,
        exposed=np.array(exposed, dtype=np.float64),
        faces=np.array([(~picture.ignored).sum() for picture in pictures], dtype=np.float64),
        needless=np.array(needless, dtype=np.float64),
        pixels=np.array(pixels, dtype=np.float64),
    )


def _by_slice(pictures: Sequence[LabelledFaces], uncovered: NDArray[np.float64]) -> dict[str, Rate]:
    counted = (
        np.concatenate([~picture.ignored for picture in pictures]) if pictures else np.zeros(0, dtype=bool)
    )
    exposed = _exposed(uncovered)
    slices = {"all": np.ones(len(counted), dtype=bool)} | membership(pictures)
    return {
        name: rate(int((exposed & counted & inside).sum()), int((counted & inside).sum()))
        for name, inside in slices.items()
    }


def _exposed(uncovered: NDArray[np.float64]) -> NDArray[np.bool_]:
    return uncovered > MAX_UNCOVERED + 1e-9  # a share of exactly 20 % is not "more than"


def top_region(faces: Boxes, width: float, height: float) -> Boxes:
    """The top 70 % of each face, clipped to the picture; fractions of pixels stay."""
    top = faces.xyxy.copy()
    top[:, 3] = top[:, 1] + TOP_FRACTION * (top[:, 3] - top[:, 1])
    return Boxes(top).clip(width, height)


def grow(faces: Boxes, factor: float) -> Boxes:
    """Each box scaled about its centre."""
    margin = faces.sizes * (factor - 1) / 2
    return Boxes(np.concatenate([faces.xyxy[:, :2] - margin, faces.xyxy[:, 2:] + margin], axis=1))


def covered_share(boxes: Boxes, mask: Mask) -> NDArray[np.float64]:
    """``[N]`` share of each box's area under the mask, pixels on its edge counted by the part inside.

    A box without area (it lay outside the picture) has nothing to show: 1.
    """
    return np.array([_covered(box, mask) for box in boxes], dtype=np.float64)


def _covered(box: NDArray[np.float64], mask: Mask) -> float:
    xmin, ymin, xmax, ymax = box
    if xmax <= xmin or ymax <= ymin:
        return 1.0
    columns, wide = _pixel_weights(xmin, xmax)
    rows, high = _pixel_weights(ymin, ymax)
    return float(high @ mask[rows, columns] @ wide / (high.sum() * wide.sum()))


def _pixel_weights(low: float, high: float) -> tuple[slice, NDArray[np.float64]]:
    """The pixels that an interval touches, and how much of each lies inside it."""
    first, last = int(np.floor(low)), int(np.ceil(high))
    edges = np.clip(np.arange(first, last + 1), low, high)
    return slice(first, last), np.diff(edges)


def rasterize(boxes: Boxes, shape: tuple[int, ...]) -> Mask:
    """Bool ``[height, width]``, true in every pixel that some box touches."""
    mask = np.zeros(shape[:2], dtype=bool)
    clipped = boxes.clip(shape[1], shape[0]).xyxy
    for xmin, ymin, xmax, ymax in np.concatenate(
        [np.floor(clipped[:, :2]), np.ceil(clipped[:, 2:])], axis=1
    ).astype(int):
        mask[ymin:ymax, xmin:xmax] = True
    return mask
