"""What TensorFlow gives for the built-in picture: ``python -m pipeline.anonymize.detect.reference MODEL``.

A release ships it in the model's folder, so that a new machine can check another runtime without waiting for
TensorFlow's start.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from pipeline.anonymize.detect.check import ANCHORS, FILE, Reference, built_in_square, digest_of
from pipeline.anonymize.detect.saved_model import load_saved_model


def write_reference(model: Path, path: Path | None = None) -> Path:
    """Run the model's ``batched`` and ``raw`` on the built-in picture; this imports TensorFlow.

    Args:
        path: the file to write; default: in the model's folder.

    Raises:
        UserError: the model cannot be loaded.
        KeyError: it has no signature ``raw``.
    """
    import tensorflow as tf

    detector = load_saved_model(model)
    square = built_in_square(detector.input_size)
    images = tf.constant(square[None])
    kept = {
        name: each.numpy()[0] for name, each in detector.model.signatures["batched"](images=images).items()
    }
    raw = {name: each.numpy()[0] for name, each in detector.model.signatures["raw"](images=images).items()}
    count = int(kept["num_detections"])
    ranks = raw.get("raw_scores", raw["scores"])
    best = np.argsort(-ranks, kind="stable")[:ANCHORS]
    found = Reference(
        model=detector.digest,
        square=digest_of(square),
        boxes=kept["detection_boxes"][:count],
        scores=kept["detection_scores"][:count],
        anchors=best,
        anchor_boxes=raw["boxes"][best],
        anchor_ranks=ranks[best],
    )
    path = path or model / FILE
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        found.write(Path(folder) / FILE)
        (Path(folder) / FILE).replace(path)
    return path


if __name__ == "__main__":
    write_reference(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
