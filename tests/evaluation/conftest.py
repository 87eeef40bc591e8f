"""Small labelled sets and detectors whose answers are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import ArrayLike

from pipeline.anonymize.detect import Detections
from pipeline.boxes import Boxes
from pipeline.evaluation.labelled import LabelledFaces

Labelled = Callable[..., LabelledFaces]
Found = Callable[..., Detections]


@pytest.fixture(scope="session")
def labelled() -> Labelled:
    """Makes a labelled picture from its faces' boxes."""

    def make(
        boxes: ArrayLike,
        id: int = 1,
        labels: Sequence[str] | None = None,
        ignored: Sequence[bool] | None = None,
        difficulties: Sequence[Sequence[str]] | None = None,
        size: tuple[int, int] = (200, 100),
        path: Path = Path("nowhere.png"),
    ) -> LabelledFaces:
        faces = Boxes(np.array(boxes, dtype=float))
        return LabelledFaces(
            id=id,
            path=path,
            name=f"picture {id}",
            source="drawn",
            width=size[0],
            height=size[1],
            boxes=faces,
            labels=tuple(labels or ["with_mask"] * len(faces)),
            sources=("drawn",) * len(faces),
            ignored=np.array(ignored if ignored is not None else [False] * len(faces), dtype=bool),
            difficulties=None if difficulties is None else tuple(map(frozenset, difficulties)),
        )

    return make


@pytest.fixture(scope="session")
def found() -> Found:
    """Makes detections from boxes and scores."""

    def make(boxes: ArrayLike = (), scores: Sequence[float] = ()) -> Detections:
        return Detections(Boxes(np.array(boxes, dtype=float)), np.array(scores, dtype=float))

    return make
