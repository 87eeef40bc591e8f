"""The map from a network's raw scores to calibrated ones: a value, in NumPy and in a TensorFlow graph."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
CALIBRATION = "calibration.json"
"""Beside a SavedModel's graph: the knots inside it, and what they were fitted to."""


@dataclass(frozen=True)
class ScoreMap:
    """Strictly increasing, piecewise linear, from [0, 1] onto [0, 1]: ranking, and so AP, stay as they are.

    Attributes:
        raw: ``[K]`` scores of the network at the knots, from 0 to 1.
        calibrated: ``[K]`` what they are mapped to, from 0 to 1.

    Raises:
        ValueError: the knots are not of that kind.
    """

    raw: tuple[float, ...] = (0.0, 1.0)
    calibrated: tuple[float, ...] = (0.0, 1.0)

    def __post_init__(self) -> None:
        for name in ("raw", "calibrated"):
            # float32 is what the graph computes in: knots that coincide there would divide by 0.
            knots = np.asarray(getattr(self, name), dtype=np.float32)
            if len(knots) < 2 or knots[0] != 0 or knots[-1] != 1 or not (np.diff(knots) > 0).all():
                raise ValueError(f"score map: {name} must rise strictly from 0 to 1, got {knots.tolist()}")
        if len(self.raw) != len(self.calibrated):
            raise ValueError(f"score map: {len(self.raw)} raw knots, {len(self.calibrated)} calibrated ones")

    @property
    def is_identity(self) -> bool:
        return self.raw == self.calibrated

    def __call__(self, scores: ArrayLike) -> FloatArray:
        """Calibrated scores of raw ones, any shape."""
        return np.interp(np.asarray(scores, dtype=np.float64), self.raw, self.calibrated)

    def inverse(self, scores: ArrayLike) -> FloatArray:
        """Raw scores of calibrated ones, any shape."""
        return np.interp(np.asarray(scores, dtype=np.float64), self.calibrated, self.raw)

    def in_graph(self, scores: Any) -> Any:
        """The same for a float32 tensor, from operations that every runtime has.

        A sum over the segments of slope × (the part of the score inside the segment). Each term only
        rises with the score and rounding keeps order, so the sum falls nowhere, in float32 or less.
        """
        import tensorflow as tf

        if self.is_identity:
            return tf.identity(scores)
        widths, heights = np.diff(self.raw), np.diff(self.calibrated)
        terms = [
            tf.clip_by_value(scores - np.float32(start), 0.0, np.float32(width)) * np.float32(height / width)
            for start, width, height in zip(self.raw, widths, heights, strict=False)
        ]
        return tf.add_n(terms)


def kept_score_map(saved_model: Path) -> ScoreMap:
    """The map inside a SavedModel, as it says beside its graph; the identity where it says nothing."""
    path = saved_model / CALIBRATION
    if not path.is_file():
        return ScoreMap()
    content = json.loads(path.read_text())
    return ScoreMap(tuple(content["raw"]), tuple(content["calibrated"]))
