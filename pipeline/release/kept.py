"""A detector whose answers are kept: a measurement that was stopped goes on, one that was made is read."""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.anonymize.detect import Detections, Detector, Picture, serving
from pipeline.anonymize.detect.common import picture_digest
from pipeline.boxes import Boxes

FORM = 1
"""Of what is kept, and of how a picture becomes what the network sees: of a newer one, all is asked anew."""


class KeptDetector:
    """Asks another detector once for each picture, by content, and keeps what it said in a file.

    Of parts nothing is kept: which they are depends on what becomes of its scores.

    Args:
        detector: whose digest and runtime name the file.
        folder: where the file is, or will be.
    """

    timed = False  # a look into a file says nothing of the detector's speed

    def __init__(self, detector: Detector, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._detector = detector
        self._path = folder / f"{detector.digest[:16]}-{_runtime(detector)}-{FORM}.jsonl"
        self._known: dict[str, Detections] = {}
        for line in self._path.read_text().splitlines() if self._path.is_file() else ():
            try:
                entry = json.loads(line)
            except ValueError:  # the process was killed while it wrote this line
                continue
            self._known[entry["picture"]] = _detections(entry["found"])

    @property
    def digest(self) -> str:
        return self._detector.digest

    def __getattr__(self, name: str) -> Any:
        """What else the detector says of itself: ``input_size``, ``runtime``."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._detector, name)

    def detect(self, pictures: Sequence[Picture]) -> list[Detections]:
        names = [picture_digest(picture) for picture in pictures]
        new = [number for number, name in enumerate(names) if name not in self._known]
        found = self._detector.detect([pictures[number] for number in new]) if new else []
        with self._path.open("a", encoding="utf-8") as file:
            for number, each in zip(new, found, strict=True):
                self._known[names[number]] = each
                rows = np.concatenate([each.boxes.xyxy, each.scores[:, None]], axis=1).tolist()
                file.write("\n" + json.dumps({"picture": names[number], "found": rows}))
        return [self._known[name] for name in names]


def _runtime(detector: Detector) -> str:
    """With its version: another one may answer otherwise."""
    runtime = serving(detector, "tensorflow")
    library = importlib.import_module(runtime.partition("_")[0])  # openvino_bf16 is openvino's
    return f"{runtime}-{library.__version__.partition('-')[0]}"


def _detections(rows: list[list[float]]) -> Detections:
    array = np.array(rows, dtype=np.float64).reshape(-1, 5)
    return Detections(Boxes(array[:, :4]), array[:, 4])
