"""deface, run in an environment of its own on the pictures of a labelled set."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.environment import environment
from pipeline.anonymize.detect import Detections
from pipeline.boxes import Boxes
from pipeline.errors import UserError
from pipeline.evaluation.exposure import Mask
from pipeline.evaluation.labelled import LabelledFaces
from pipeline.evaluation.predict import Predictions, Progress

RUNNER = Path(__file__).with_name("deface_runner.py")
PACKAGES = ("deface==1.5.0", "onnx", "onnxruntime")
"""The last two are its optional, faster backend, which it prefers when it is there."""
FLOOR = 0.05


@dataclass(frozen=True)
class DefaceRun:
    """What deface did to a set.

    Attributes:
        predictions: its detections (down to a score of 0.05), and its time to detect at the lowest threshold.
        folder: holds what it redacted, see :meth:`masks`.
        backend: which engine it ran on.
        failures: faces that it found but failed to draw, over all thresholds.
    """

    predictions: Predictions
    folder: Path
    backend: str
    failures: int

    def masks(self, threshold: float) -> Iterator[Mask]:
        """For each picture, bool ``[H, W]``: what it redacted at one of the thresholds of the run."""
        for number in range(len(self.predictions.detections)):
            yield np.asarray(Image.open(self.folder / f"{number}_{threshold:g}.png"))


def run_deface(
    python: Path,
    pictures: Sequence[LabelledFaces],
    thresholds: Sequence[float],
    folder: Path,
    progress: Progress | None = None,
) -> DefaceRun:
    """Detects and draws with deface's own code and its command line's defaults (ellipse, scale 1.3).

    Raises:
        UserError: that Python has no deface, or it failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    job = {
        "pictures": [str(picture.path.absolute()) for picture in pictures],
        "thresholds": list(thresholds),
        "floor": FLOOR,
    }
    (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
    command = [str(python), str(RUNNER), str(folder / "job.json"), str(folder)]
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        assert process.stdout is not None
        for line in process.stdout:
            if progress and line.strip().isdigit():
                progress(int(line), len(pictures))
        if process.wait():
            errors.seek(0)
            raise UserError(f"deface_python: {python} failed to run deface: {errors.read().strip()[-600:]}")
    return _read(folder)


def _read(folder: Path) -> DefaceRun:
    content = json.loads((folder / "detections.json").read_text(encoding="utf-8"))
    detections = [
        Detections(Boxes(np.array(each["boxes"], dtype=np.float64)), np.array(each["scores"]))
        for each in content["pictures"]
    ]
    seconds = [each["seconds"] for each in content["pictures"]]
    return DefaceRun(Predictions(detections, seconds), folder, content["backend"], content["failures"])


def deface_environment(folder: Path) -> Path:
    """The Python of an environment that has deface, made from PyPI if it is not there yet.

    Raises:
        UserError: it cannot be installed (no network?).
    """
    return environment(folder, PACKAGES)
