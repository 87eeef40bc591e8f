"""``python -m tests.anonymize.memory DATA OUT [MODEL]``: anonymize, and print the memory after each picture.

One line a picture: resident megabytes; a last one: the most there ever were. Without a MODEL, the stand-in's
rule is the detector, so that what is seen is the memory of everything but the network. With one, the network
looks at everything as ever, and what is found are painted faces all the same.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.anonymize import Detections, anonymize_folder, load_detector
from pipeline.anonymize.detect import letterbox
from pipeline.anonymize.entry import Entry
from pipeline.boxes import Boxes
from pipeline.config.schema import AnonymizeConfig
from tests.anonymize.quick import QuickDetector


class Both:
    """A network's cost in memory, and findings that are known."""

    def __init__(self, model: str) -> None:
        self.network, self.quick = load_detector(model), QuickDetector()
        self.digest = self.network.digest
        self.input_size, self.wanted_side = self.network.input_size, self.network.wanted_side  # type: ignore

    def detect(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        self.network.detect(pictures)
        return [self._painted(picture) for picture in pictures]

    def _painted(self, picture: NDArray[np.uint8]) -> Detections:
        square, inner = letterbox(picture, self.input_size)
        (seen,) = self.quick.detect([square])
        scale = np.array([picture.shape[1] / inner[1], picture.shape[0] / inner[0]] * 2)
        boxes = Boxes(seen.boxes.xyxy * scale).clip(picture.shape[1], picture.shape[0])
        return Detections(boxes[boxes.valid], seen.scores[boxes.valid])


class Weighed:
    """Prints the resident memory as files are done."""

    def start(self, files: int) -> None: ...

    def advance(self, path: str, entry: Entry) -> None:
        print(megabytes("VmRSS"), flush=True)


def megabytes(name: str) -> int:
    """Resident memory: ``VmRSS`` now, ``VmHWM`` at most.

    Not by getrusage, whose peak a process inherits from the one that starts it.
    """
    return int(Path("/proc/self/status").read_text().partition(f"{name}:")[2].split()[0]) >> 10


if __name__ == "__main__":
    data, out, *model = sys.argv[1:]
    detector = Both(model[0]) if model else QuickDetector()
    anonymize_folder(data, out, detector=detector, config=AnonymizeConfig(), watch=Weighed())
    print(megabytes("VmHWM"))
