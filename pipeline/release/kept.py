"""A detector whose answers are kept: a measurement that was stopped goes on, one that was made is read."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pipeline.anonymize.detect import Detections, Detector, serving
from pipeline.anonymize.detect.common import AskedOnce
from pipeline.boxes import Boxes

FORM = 1
"""Of what is kept, and of how a picture becomes what the network sees: of a newer one, all is asked anew."""


class KeptDetector(AskedOnce):
    """Asks another detector once for each whole picture, and keeps what it said in a file.

    Args:
        detector: whose digest and runtime name the file.
        folder: where the file is, or will be.
    """

    def __init__(self, detector: Detector, folder: Path) -> None:
        super().__init__(detector)
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{detector.digest[:16]}-{_runtime(detector)}-{FORM}.jsonl"
        for line in self.path.read_text().splitlines() if self.path.is_file() else ():
            try:
                entry = json.loads(line)
            except ValueError:  # the process was killed while it wrote this line
                continue
            self.known[entry["picture"]] = _detections(entry["found"])

    def keep(self, answers: Mapping[str, Detections]) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            for name, each in answers.items():
                rows = np.concatenate([each.boxes.xyxy, each.scores[:, None]], axis=1).tolist()
                file.write("\n" + json.dumps({"picture": name, "found": rows}))


def _runtime(detector: Detector) -> str:
    """With its version: another one may answer otherwise."""
    runtime = serving(detector, "tensorflow")
    library = importlib.import_module(runtime.partition("_")[0])  # openvino_bf16 is openvino's
    return f"{runtime}-{library.__version__.partition('-')[0]}"


def _detections(rows: list[list[float]]) -> Detections:
    array = np.array(rows, dtype=np.float64).reshape(-1, 5)
    return Detections(Boxes(array[:, :4]), array[:, 4])
