"""Where each set draws the sides of a face's box, beside CenterFace and YuNet, who never saw its labels.

    python -m benchmarks.box_edges 'dataset=[facemask,ilc2021]' dataset.root=DIR yunet=FILE.onnx

takes what ``benchmarks.consensus`` takes, and looks at some pictures of every set's training and validation
splits, never of its test. Prints for every label how far its boxes reach beyond the detectors' (the median,
in shares of their width or height). A set that lies elsewhere than the others can be evened by
``dataset.sources.<set>.grow``: a side that lies at ``s`` and should lie at ``t`` grows by ``t - s``, over
``1 + left + right`` or ``1 + top + bottom`` of its own. Takes: half a second a picture.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping

import numpy as np

from benchmarks.agreement import agree, pairs
from benchmarks.consensus import detect
from benchmarks.label_agreement import SAME_FACE
from pipeline.anonymize.detect import Detections
from pipeline.boxes import Boxes, FloatArray
from pipeline.config import cli
from pipeline.config.schema import ConsensusConfig
from pipeline.data.prepare import prepare
from pipeline.data.version import DatasetVersion
from pipeline.evaluation.labelled import LabelledFaces, read_labelled
from pipeline.evaluation.report import table

PICTURES = 150
"""Of each set, at most: medians of some hundred faces."""
SMALLEST = 16
"""Pixels of a face: a pixel more or less says nothing of smaller ones."""


def main(config: ConsensusConfig) -> None:
    """Detects, compares and prints the table."""
    config.dataset.consensus = None  # what detectors drew says nothing of how the set draws
    pictures = chosen(prepare(config.dataset))
    found = detect(pictures, config)
    edges = outside(pictures, found, config)
    header = ["set", "label", "faces", "left", "top", "right", "bottom", "median overlap"]
    print("\n".join(table(header, list(rows(edges)))))


def chosen(version: DatasetVersion) -> dict[str, LabelledFaces]:
    """By digest, the first pictures of each set outside the test split."""
    pictures: dict[str, LabelledFaces] = {}
    taken: dict[str, int] = defaultdict(int)
    for split in ("train", "val"):
        file = version.coco(split)
        images = json.loads(file.read_text(encoding="utf-8"))["images"]
        for image, picture in zip(images, read_labelled(file), strict=True):
            if taken[picture.source] < PICTURES:
                pictures[image["sha256"]] = picture
                taken[picture.source] += 1
    return pictures


def outside(
    pictures: Mapping[str, LabelledFaces],
    found: Mapping[str, Mapping[str, Detections]],
    config: ConsensusConfig,
) -> dict[tuple[str, str], FloatArray]:
    """Set and label → ``[N, 5]``: how far left, top, right and bottom of a label lie outside the detectors'
    box, in shares of its width or height, and the overlap of both.
    """
    edges: dict[tuple[str, str], list[FloatArray]] = defaultdict(list)
    for digest, picture in pictures.items():
        both = agree(found[digest], config.iou, config.label_score).boxes
        drawn, seen = pairs(picture.boxes, both, SAME_FACE)
        large = picture.boxes.face_sizes[drawn] >= SMALLEST
        for own, other in zip(drawn[large], seen[large], strict=True):
            edges[picture.source, picture.labels[own]].append(_beyond(picture.boxes[[own]], both[[other]]))
    return {key: np.concatenate(each) for key, each in sorted(edges.items())}


def _beyond(label: Boxes, box: Boxes) -> FloatArray:
    moved = (label.xyxy - box.xyxy) * [-1, -1, 1, 1] / np.tile(box.sizes, 2)
    return np.concatenate([moved, label.iou(box)], axis=1)


def rows(edges: Mapping[tuple[str, str], FloatArray]) -> Iterator[list[str]]:
    """Of the table, one for each label of each set."""
    for (source, label), each in edges.items():
        *sides, overlap = np.median(each, axis=0)
        yield [source, label, str(len(each)), *(f"{side:+.3f}" for side in sides), f"{overlap:.2f}"]


if __name__ == "__main__":
    sys.exit(cli.run(main, ConsensusConfig, "consensus"))
