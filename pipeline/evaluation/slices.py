"""The slices that figures are given for: size, what the face wears, the set it came from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.labelled import DIFFICULTIES, LabelledFaces, has_difficulties

SIZES: dict[str, tuple[float, float]] = {
    "size_lt16": (0, 16),
    "size_16_32": (16, 32),
    "size_32_96": (32, 96),
    "size_gt96": (96, np.inf),
}
"""Geometric mean of width and height, pixels of the picture; a bound belongs to the larger size."""

LABELS = {
    "with_mask": "with_mask",
    "mask": "with_mask",
    "face_with_mask": "with_mask",
    "without_mask": "without_mask",
    "no_mask": "without_mask",
    "face_no_mask": "without_mask",
    "mask_weared_incorrect": "mask_worn_wrongly",
    "with_incorrect_mask": "mask_worn_wrongly",
    "face_with_mask_incorrect": "mask_worn_wrongly",
    "face_other_covering": "other_covering",
}
"""How each set's own label is named in slices; any other label is a slice under its own name."""


@dataclass(frozen=True)
class Rate:
    """A share with its Clopper–Pearson interval, which takes each face for independent of all others.

    Attributes:
        hits, of: the counts.
        low, high: the exact 95 % interval.
    """

    hits: int
    of: int
    low: float
    high: float

    @property
    def share(self) -> float:
        """``hits / of``; 0 of none is 0."""
        return self.hits / self.of if self.of else 0.0


def rate(hits: int, of: int, confidence: float = 0.95) -> Rate:
    """Clopper and Pearson (1934): the exact interval of a binomial share; of nothing it is 0 to 1."""
    if not 0 <= hits <= of:
        raise ValueError(f"rate: hits must be between 0 and {of}, got {hits}")
    if of == 0:
        return Rate(0, 0, 0.0, 1.0)
    from scipy.stats import binomtest  # a second to import: only who evaluates pays for it

    interval = binomtest(hits, of).proportion_ci(confidence, method="exact")
    return Rate(hits, of, float(interval.low), float(interval.high))


def size_of(face_size: float) -> str:
    """The size slice of a face of that many pixels."""
    return next(name for name, (low, high) in SIZES.items() if low <= face_size < high)


def label_of(label: str) -> str:
    """The slice of a source label; legal in a metric's name (letters, digits, ``_ - .``)."""
    return LABELS.get(label, legal(label) or "unlabelled")


def legal(name: str) -> str:
    """The name with everything that MLflow does not take in a metric replaced."""
    return re.sub(r"[^\w.-]+", "_", name, flags=re.ASCII).strip("_")


def membership(pictures: Sequence[LabelledFaces]) -> dict[str, NDArray[np.bool_]]:
    """For each slice, ``[F]`` which of all pictures' faces (one after another) belong to it.

    Sizes come first and all of them are there; then labels, sources and, where every picture
    knows them, difficulties. Slices of labels and sources exist where some face is in them.
    """
    sizes = [size_of(size) for picture in pictures for size in picture.boxes.face_sizes]
    labels = [label_of(label) for picture in pictures for label in picture.labels]
    sources = [
        f"source_{legal(source)}" for picture in pictures for source in picture.sources if legal(source)
    ]
    result = {name: np.array([size == name for size in sizes], dtype=bool) for name in SIZES}
    for names in (labels, sources):
        if len(names) == len(sizes):
            result |= {
                name: np.array([each == name for each in names], dtype=bool) for name in sorted(set(names))
            }
    if has_difficulties(pictures):
        result |= {
            name: np.concatenate([picture.counted(name) for picture in pictures]) for name in DIFFICULTIES
        }
    return result
