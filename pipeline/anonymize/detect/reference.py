"""What TensorFlow gives for the built-in picture: ``python -m pipeline.anonymize.detect.reference MODEL``.

A release ships it in the model's folder, so that a new machine can check another runtime without waiting for
TensorFlow's start.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from pipeline.anonymize.detect.canvas import canvas_sizes
from pipeline.anonymize.detect.check import ANCHORS, Reference, built_in_canvas, digest_of, reference_file
from pipeline.anonymize.detect.saved_model import load_saved_model


def write_references(model: Path, folder: Path | None = None) -> None:
    """Run the model on the built-in picture, on canvases of every size; this imports TensorFlow.

    Args:
        folder: where to write; default: the model's.

    Raises:
        UserError: the model cannot be loaded.
        KeyError: it has no signature ``raw``.
    """
    import tensorflow as tf

    detector = load_saved_model(model)
    raw = detector.model.signatures["raw"]
    for size in canvas_sizes(detector.input_size, detector.oblong):
        canvas = built_in_canvas(size)
        ((boxes, scores),) = detector.outputs([canvas])
        every = {name: each.numpy()[0] for name, each in raw(images=tf.constant(canvas[None])).items()}
        ranks = every.get("raw_scores", every["scores"])
        best = np.argsort(-ranks, kind="stable")[:ANCHORS]
        found = Reference(
            model=detector.digest,
            canvas=digest_of(canvas),
            boxes=boxes,
            scores=scores,
            anchors=best,
            anchor_boxes=every["boxes"][best],
            anchor_ranks=ranks[best],
        )
        _write_whole(found, (folder or model) / reference_file(size))


def _write_whole(found: Reference, path: Path) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        found.write(Path(folder) / path.name)
        (Path(folder) / path.name).replace(path)


if __name__ == "__main__":
    write_references(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
