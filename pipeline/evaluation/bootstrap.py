"""Intervals by the bootstrap: of averages and shares, over resamples of the pictures.

Pictures are drawn, not faces: what goes wrong in a picture goes wrong for several of its faces.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 200
CONFIDENCE = 0.95
RECALLS = np.linspace(0, 1, 101)
"""Where COCO reads the precision, to average it."""

FloatArray = NDArray[np.float64]
Intervals = dict[str, tuple[float, float]]
"""Low and high end, by the name of the metric."""


def draws(pictures: int, resamples: int = RESAMPLES) -> FloatArray:
    """``[R, P]`` how often each picture is in each resample; the same each time it is asked."""
    even = np.full(pictures, 1 / max(pictures, 1))
    return np.random.default_rng(0).multinomial(pictures, even, size=resamples).astype(np.float64)


def interval(values: Sequence[float] | FloatArray) -> tuple[float, float]:
    """The middle :data:`CONFIDENCE` of a figure's values over resamples."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(np.asarray(values), [tail, 1 - tail])
    return float(low), float(high)


def interval_of_share(parts: FloatArray, wholes: FloatArray) -> tuple[float, float]:
    """Of ``parts.sum() / wholes.sum()``, both ``[P]``, one a picture; a resample of nothing says nothing."""
    if not wholes.any():
        return 0.0, 0.0
    weights = draws(len(parts))
    there = weights[weights @ wholes > 0]
    return interval((there @ parts) / (there @ wholes))


def intervals_of_averages(images: Sequence[Mapping[str, Any] | None], ious: FloatArray) -> Intervals:
    """Of AP, AP50, AP75 and AR.

    Args:
        images: COCOeval's ``evalImgs`` of one class, one area and one limit of detections.
        ious: the overlaps that it matched at.
    """
    right, counts, picture, faces = _joined(images)
    values: dict[str, list[float]] = {name: [] for name in ("AP", "AP50", "AP75", "AR")}
    for weights in draws(len(images)):
        total = float(weights @ faces)
        if not total:
            continue
        averages, recalls = _averages(weights[picture], right, counts, total)
        values["AP"].append(float(averages.mean()))
        values["AP50"].append(float(averages[np.isclose(ious, 0.5)].mean()))
        values["AP75"].append(float(averages[np.isclose(ious, 0.75)].mean()))
        values["AR"].append(float(recalls.mean()))
    return {name: interval(each) for name, each in values.items() if each}


def _joined(images: Sequence[Mapping[str, Any] | None]) -> tuple[NDArray[Any], ...]:
    """Detections of all pictures, best first: ``[T, D]`` which found a face and which count at each
    overlap, ``[D]`` their picture; and ``[P]`` how many faces each picture has.
    """
    there = [(number, image) for number, image in enumerate(images) if image is not None]
    faces = np.zeros(len(images))
    for number, image in there:
        faces[number] = np.sum(np.asarray(image["gtIgnore"]) == 0)
    scores = np.concatenate([np.asarray(image["dtScores"], dtype=np.float64) for _, image in there])
    order = np.argsort(-scores, kind="mergesort")  # as COCO does it
    matched = np.concatenate([np.asarray(image["dtMatches"]) > 0 for _, image in there], axis=1)
    ignored = np.concatenate([np.asarray(image["dtIgnore"]) > 0 for _, image in there], axis=1)
    picture = np.concatenate([np.full(len(image["dtScores"]), number) for number, image in there])
    counts = ~ignored[:, order]
    return matched[:, order] & counts, counts, picture[order].astype(np.intp), faces


def _averages(
    weights: FloatArray, right: NDArray[np.bool_], counts: NDArray[np.bool_], faces: float
) -> tuple[FloatArray, FloatArray]:
    """``[T]`` average precision and recall at each overlap, detections weighted."""
    averages, recalls = np.zeros(len(right)), np.zeros(len(right))
    for number, (hits, counted) in enumerate(zip(right, counts, strict=True)):
        found = np.cumsum(weights * hits)
        precision = found / np.maximum(np.cumsum(weights * counted), 1e-9)
        envelope = np.maximum.accumulate(precision[::-1])[::-1]
        place = np.searchsorted(found / faces, RECALLS, side="left")
        reached = place < len(envelope)
        averages[number] = float(np.where(reached, envelope[np.minimum(place, len(envelope) - 1)], 0).mean())
        recalls[number] = found[-1] / faces if len(found) else 0.0
    return averages, recalls
