"""One runtime in a process of its own: ``python runtime_child.py KIND MODEL OPTION``.

Needs NumPy and the runtime, nothing of Veil's. Reads jobs from stdin, one JSON a line, and answers each with
one on stdout::

    {"squares": "squares.npy", "batch": 4, "times": 3}   -> {"seconds": [0.31, 0.30, 0.30]}
    {"squares": "squares.npy", "save": "found.npz"}      -> {"saved": 120}

Squares are uint8 ``[N, S, S, 3]``. Saved is every anchor that scores above FLOOR: ``boxes`` ``[M, 4]`` in
fractions of the square, ``scores`` ``[M]``, ``counts`` ``[N]``.
"""

import functools
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

FLOOR = 0.003
"""Of the network's own scores: what scores less neither stays after suppression nor has a vote in it."""
Outputs = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Boxes, scores, and the network's own scores, of every anchor of every square."""
Run = Callable[[np.ndarray], Outputs]


def outputs(given: Mapping[str, np.ndarray]) -> Outputs:
    """By name; a network without calibration has one kind of scores."""
    return given["boxes"], given["scores"], given.get("raw_scores", given["scores"])


def tensorflow(model: str, option: str) -> Run:
    """``float32``, ``bf16`` (oneDNN's, by grappler) or ``xla``."""
    import tensorflow as tf

    if option == "bf16":
        tf.config.optimizer.set_experimental_options({"auto_mixed_precision_onednn_bfloat16": True})
    loaded = tf.saved_model.load(model)
    raw = loaded.signatures["raw"]
    call = tf.function(lambda images: raw(images=images), jit_compile=True) if option == "xla" else None

    def run(squares: np.ndarray) -> Outputs:
        images = tf.constant(squares)
        found = call(images) if call else raw(images=images)
        return outputs({name: each.numpy() for name, each in found.items()})

    run.alive = loaded  # type: ignore[attr-defined]
    return run


def openvino(model: str, option: str) -> Run:
    """``f32`` or ``bf16``, a batch at once; ``f32-streams``, …: one picture a core, side by side."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # it would report over the network
    import openvino as ov

    precision, _, streams = option.partition("-")
    hint = "THROUGHPUT" if streams else "LATENCY"
    settings = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": hint}
    core = ov.Core()

    @functools.cache
    def taking(shape: tuple[int, ...]) -> Any:
        network = core.read_model(model)
        network.reshape(shape)
        return core.compile_model(network, "CPU", settings)

    @functools.cache
    def queue_of(shape: tuple[int, ...]) -> Any:
        return ov.AsyncInferQueue(taking(shape))

    def at_once(squares: np.ndarray) -> Outputs:
        found = taking(squares.shape)(squares, share_inputs=True)
        given = {name: np.array(each) for port, each in found.items() for name in port.names}
        return outputs(given)

    def side_by_side(squares: np.ndarray) -> Outputs:
        found: list[Any] = [None] * len(squares)
        queue = queue_of((1, *squares.shape[1:]))

        def keep(request: Any, index: int) -> None:
            names = [name for output in request.model_outputs for name in output.names]
            found[index] = outputs({name: request.get_tensor(name).data[0].copy() for name in names})

        queue.set_callback(keep)
        for index, square in enumerate(squares):
            queue.start_async({0: square[None]}, index)
        queue.wait_all()
        boxes, scores, ranks = (np.stack(each) for each in zip(*found, strict=True))
        return boxes, scores, ranks

    return side_by_side if streams else at_once


def onnxruntime(model: str, option: str) -> Run:
    """``float32``."""
    import onnxruntime as ort  # type: ignore[import-not-found]

    settings = ort.SessionOptions()
    settings.intra_op_num_threads = os.cpu_count() or 1
    session = ort.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    (taken,) = session.get_inputs()

    def run(squares: np.ndarray) -> Outputs:
        found = dict(zip(names, session.run(names, {taken.name: squares}), strict=True))
        return outputs(found)

    return run


KINDS = {"tensorflow": tensorflow, "openvino": openvino, "onnxruntime": onnxruntime}


def timed(run: Run, squares: np.ndarray, batch: int, times: int) -> list[float]:
    """Seconds of each of some calls."""
    seconds = []
    for number in range(times):
        start = number * batch % (len(squares) - batch + 1)
        given = np.ascontiguousarray(squares[start : start + batch])
        began = time.perf_counter()
        run(given)
        seconds.append(time.perf_counter() - began)
    return seconds


def save(run: Run, squares: np.ndarray, path: str) -> int:
    """Run one square after the other, and write what scores above the floor."""
    kept: list[Outputs] = []
    for square in squares:
        boxes, scores, ranks = (each[0] for each in run(square[None]))
        near = ranks > FLOOR
        kept.append((boxes[near], scores[near], ranks[near]))
    boxes, scores, ranks = (np.concatenate(each) for each in zip(*kept, strict=True))
    np.savez(path, boxes=boxes, scores=scores, ranks=ranks, counts=[len(each) for each, _, _ in kept])
    return len(kept)


def main(kind: str, model: str, option: str) -> None:
    """See the module."""
    answers, sys.stdout = sys.stdout, sys.stderr  # what a library prints is no answer
    run = KINDS[kind](model, option)
    for line in sys.stdin:
        job = json.loads(line)
        squares = np.load(job["squares"], mmap_mode="r")
        if "save" in job:
            answer: dict[str, Any] = {"saved": save(run, squares, job["save"])}
        else:
            answer = {"seconds": timed(run, squares, job["batch"], job["times"])}
        print(json.dumps(answer), file=answers, flush=True)
    # Not by an ordinary exit: there OpenVINO, holding Python's lock, may wait for ever for a thread of its
    # own that wants that lock to let a callback go.
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
