"""Painting regions into pixels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.anonymize.redact.methods import METHODS, in_channels, white_of
from pipeline.anonymize.redact.region import Region
from pipeline.config.schema import Method, RedactConfig, Shape

Scalar = TypeVar("Scalar", bound=np.generic)


def redact(
    pixels: NDArray[Scalar],
    found: Sequence[Region],
    config: RedactConfig,
    colour: Sequence[float] | None = None,
) -> NDArray[Scalar]:
    """Replace what lies in the regions, and nothing else.

    Faces that overlap are each replaced from the original pixels; where two regions meet, the coarser one
    is seen, so a small face never sharpens what a large one covers.

    Args:
        pixels: ``[H, W]`` or ``[H, W, C]``, bool, uint8, uint16 or floating, in the frame of the regions.
        found: regions in the same frame.
        colour: the fill of method ``solid``, one value a channel; default: ``config.colour`` as grey, RGB
            or CMYK.

    Returns:
        A new array of the same shape and type; every pixel outside the regions is the same.
    """
    result = pixels.copy()
    if config.method is Method.none or not found:
        return result
    planes = pixels if pixels.ndim == 3 else pixels[:, :, None]
    painted = result if pixels.ndim == 3 else result[:, :, None]
    white = white_of(pixels)
    colour = in_channels(config.colour, planes.shape[2], white) if colour is None else colour
    for region in sorted(found, key=lambda each: each.cell):
        strips = METHODS[config.method](planes[region.window], region, white, colour)
        _paint(painted[region.window], strips, region.mask(config.shape))
    if config.feather > 0:
        _soften(planes, painted, found, config)
    return result


def coverage(found: Sequence[Region], shape: Shape, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Bool ``[H, W]``, true where a pixel lies in some region; ``size`` is width and height."""
    mask = np.zeros(size[::-1], bool)
    for region in found:
        mask[region.window] |= region.mask(shape)
    return mask


def _paint(target: NDArray[Scalar], strips: Iterable[NDArray[np.float32]], mask: NDArray[np.bool_]) -> None:
    top = 0
    for strip in strips:
        rows = slice(top, top + len(strip))
        values, where = _as_type(strip, target), mask[rows]
        if where.all():
            target[rows] = values
        else:
            np.copyto(target[rows], values, where=where[:, :, None])
        top = rows.stop


def _as_type(values: NDArray[np.float32], like: NDArray[Scalar]) -> NDArray[Scalar]:
    """Samples of ``like``'s type, rounded and clipped; no value is below zero."""
    if like.dtype == np.bool_:
        return (values >= 0.5).astype(like.dtype)
    if np.issubdtype(like.dtype, np.floating):
        return values.astype(like.dtype)
    if like.dtype == np.uint8:
        flat = cv2.convertScaleAbs(values.reshape(len(values), -1))  # the same in one pass
        return np.asarray(flat, like.dtype).reshape(values.shape)
    limits = np.iinfo(like.dtype.name)
    rounded = np.rint(values)
    return np.clip(rounded, limits.min, limits.max, out=rounded).astype(like.dtype)


def _soften(
    original: NDArray[Scalar], painted: NDArray[Scalar], found: Sequence[Region], config: RedactConfig
) -> None:
    """Fade from the regions' edge inward, with colours of the picture *outside*.

    Mixing in the face's own pixels would show them through near the edge. Each pixel fades towards the
    nearest pixel that no region covers instead, which the output shows anyway.
    """
    height, width = original.shape[:2]
    covered = coverage(found, config.shape, (width, height))
    if covered.all():
        return
    radius = np.zeros((height, width), np.float32)
    for region in sorted(found, key=lambda each: each.cell):
        xmin, ymin, xmax, ymax = region.box
        radius[region.window][region.mask(config.shape)] = config.feather * min(xmax - xmin, ymax - ymin)
    distance, label = cv2.distanceTransformWithLabels(
        covered.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    outside = np.flatnonzero(~covered)
    nearest = np.zeros(label.max() + 1, np.int64)
    nearest[label.ravel()[outside]] = outside
    soft = covered & (distance <= radius)
    share = (distance[soft] / (radius[soft] + 1))[:, None]
    edge = original.reshape(height * width, -1)[nearest[label[soft]]].astype(np.float32)
    painted[soft] = _as_type(share * painted[soft].astype(np.float32) + (1 - share) * edge, painted)
