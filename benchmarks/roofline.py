"""What the processor could do at most, and what the network asks of it.

    python -m benchmarks.roofline FIGURES.json MODEL

FIGURES.json gets ``{"peaks": {"float32": GFLOP/s, "bfloat16": …}, "gflop": …}``. A program of its own: it
takes TensorFlow.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.children import figures_of
from pipeline.config.paths import locate
from pipeline.quiet import wake_tensorflow

SIDE = 2048
TIMES = 12


@dataclass(frozen=True)
class Roofline:
    """Peaks of matrix products by number format, GFLOP/s, and what the network takes for a picture, GFLOP."""

    peaks: dict[str, float]
    gflop: float


def measure(model: str) -> Roofline:
    """Run this module."""
    return Roofline(**figures_of("benchmarks.roofline", str(locate(model).absolute())))


def peaks() -> dict[str, float]:
    """The best of some products of square matrices; bfloat16 only where it is the faster."""
    import tensorflow as tf

    found = {}
    for name in ("float32", "bfloat16"):
        square = tf.cast(tf.random.uniform([SIDE, SIDE]), name)
        product = tf.function(tf.linalg.matmul)
        product(square, square)
        best = float("inf")
        for _ in range(TIMES):
            began = time.perf_counter()
            product(square, square)[0, 0].numpy()
            best = min(best, time.perf_counter() - began)
        found[name] = 2 * SIDE**3 / best / 1e9
    return found if found["bfloat16"] > found["float32"] else {"float32": found["float32"]}


def gflop(model: Path) -> float:
    """Multiplications and additions of a SavedModel's ``batched`` signature for one picture, in thousands of
    millions.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    loaded = tf.saved_model.load(str(model))
    signature = loaded.signatures["batched"]
    side = signature.structured_input_signature[1]["images"].shape[1]
    one = tf.function(lambda images: signature(images=images)).get_concrete_function(
        tf.TensorSpec([1, side, side, 3], tf.uint8)
    )
    graph = convert_variables_to_constants_v2(one).graph
    profiler = tf.compat.v1.profiler
    options = profiler.ProfileOptionBuilder(profiler.ProfileOptionBuilder.float_operation())
    total = profiler.profile(graph, options=options.with_empty_output().build())
    return float(total.total_float_ops) / 1e9


def main(figures: str, model: str) -> None:
    """See the module."""
    wake_tensorflow()
    found = {"peaks": peaks(), "gflop": gflop(Path(model))}
    Path(figures).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
