"""The detector on every runtime: time, share of the processor's peak, and accuracy. See ``--help``."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import roofline
from benchmarks.environment import environment
from pipeline.anonymize.detect import Detections, letterbox, model_digest
from pipeline.anonymize.detect.canvas import Letterboxed
from pipeline.anonymize.detect.convert import Converted, convert
from pipeline.config import cli
from pipeline.config.paths import locate
from pipeline.config.schema.runtimes import RuntimesConfig
from pipeline.errors import UserError
from pipeline.evaluation.coco import coco_metrics
from pipeline.evaluation.labelled import LabelledFaces, read_labelled
from pipeline.evaluation.predict import read_picture
from pipeline.evaluation.report import table

CHILD = Path(__file__).with_name("runtime_child.py")
QUANTIZE = Path(__file__).with_name("quantize_child.py")
BATCHES = (1, 4)
NNCF = ("nncf==3.4.0", "openvino==2026.4.1")
ONNX = ("tensorflow-cpu==2.18.1", "tf2onnx==1.17.0", "onnxruntime==1.31.1", "onnx==1.22.0")
FLOOR = 0.01
"""Scores that AP is computed from."""


@dataclass(frozen=True)
class Runtime:
    """One row: how the child is called, and what its products are computed in."""

    name: str
    kind: str
    option: str
    model: Path = Path()
    precision: str = "float32"
    python: Path = Path(sys.executable)


REFERENCE = "TensorFlow"
RUNTIMES = (
    Runtime(REFERENCE, "tensorflow", "float32"),
    Runtime("TensorFlow, oneDNN bf16", "tensorflow", "bf16", precision="bfloat16"),
    Runtime("TensorFlow, XLA", "tensorflow", "xla"),
    Runtime("OpenVINO f32", "openvino", "f32"),
    Runtime("OpenVINO f32, streams", "openvino", "f32-streams"),
    Runtime("OpenVINO bf16", "openvino", "bf16", precision="bfloat16"),
    Runtime("OpenVINO bf16, streams", "openvino", "bf16-streams", precision="bfloat16"),
    Runtime("OpenVINO int8", "openvino", "bf16", precision="int8"),
    Runtime("OpenVINO int8, streams", "openvino", "bf16-streams", precision="int8"),
    Runtime("ONNX Runtime", "onnxruntime", "float32"),
)
"""All that can be measured; their models are yet to be made."""


@dataclass
class Row:
    """What was measured of a runtime.

    Attributes:
        seconds: of calls, by batch size. figures: AP and the like, as shares.
    """

    runtime: Runtime
    seconds: dict[int, list[float]] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)

    def milliseconds(self, batch: int) -> tuple[float, float]:
        """A picture's least and median time."""
        times = np.array(self.seconds[batch]) / batch * 1e3
        return float(times.min()), float(np.median(times))


class Child:
    """A runtime in its process."""

    def __init__(self, runtime: Runtime) -> None:
        command = [str(runtime.python), str(CHILD), runtime.kind, str(runtime.model), runtime.option]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def ask(self, job: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self.process.args!r}: ended with code {self.process.wait()}")
        return dict(json.loads(answer))

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


def main(config: RuntimesConfig) -> None:
    """Makes what the runtimes need, measures them in turn, prints the table and writes it."""
    chosen = check(config)
    outputs = Path(config.outputs).absolute()
    outputs.mkdir(parents=True, exist_ok=True)
    model = locate(config.detector).absolute()
    conversion = convert(model, model_digest(model))
    pictures = selection(read_labelled(Path(config.truth)), config.pictures)
    squares, places = squares_of(pictures, conversion.side, outputs / "squares.npy")
    rows = [Row(each) for each in runtimes(config, chosen, model, conversion, outputs)]
    with children(rows) as running:
        time_in_turn(running, rows, squares, config.rounds)
    if config.accuracy:
        for row in rows:
            with children([row]) as (child,):
                child.ask({"squares": str(squares), "save": str(outputs / "found.npz")})
            found = list(detections(outputs / "found.npz", places, conversion))
            row.figures = coco_metrics(pictures, found)
    text = report(rows, roofline.measure(config.detector), len(pictures))
    print(text)
    (outputs / "runtimes.md").write_text(text, encoding="utf-8")


def check(config: RuntimesConfig) -> list[Runtime]:
    """All that are asked for.

    Raises:
        UserError: a name is of none, or 8 bits lack their pictures.
    """
    names = [each.name for each in RUNTIMES]
    if unknown := [name for name in config.runtimes if name not in names]:
        raise UserError(f"runtimes: {unknown[0]!r}; allowed: {'; '.join(names)}")
    chosen = [each for each in RUNTIMES if not config.runtimes or each.name in config.runtimes]
    if config.calibration is None and any(each.precision == "int8" for each in chosen):
        raise UserError("calibration: no value given; allowed: a COCO json, or runtimes without int8")
    return chosen


def runtimes(
    config: RuntimesConfig, chosen: Sequence[Runtime], model: Path, conversion: Converted, outputs: Path
) -> list[Runtime]:
    """With their models; what they need is made."""
    onnx = outputs / f"{conversion.folder.name}.onnx"  # of this detector: another one's is not taken for it
    models = {"tensorflow": model, "openvino": conversion.network.absolute(), "onnxruntime": onnx}
    found = [replace(each, model=models[each.kind]) for each in chosen]
    if any(each.precision == "int8" for each in chosen):
        int8 = quantized(config, conversion, outputs)
        found = [replace(each, model=int8) if each.precision == "int8" else each for each in found]
    if any(each.kind == "onnxruntime" for each in chosen):
        python = to_onnx(model, onnx)
        found = [replace(each, python=python) if each.kind == "onnxruntime" else each for each in found]
    return found


def quantized(config: RuntimesConfig, conversion: Converted, outputs: Path) -> Path:
    """The network in 8 bits, made now unless it is there; its name says everything that it depends on."""
    assert config.calibration is not None
    labels, count = Path(config.calibration), config.calibration_pictures
    pictures = selection(read_labelled(labels), count)
    ranges = f"{count}-of-{sha256(labels.read_bytes()).hexdigest()[:8]}"
    target = outputs / f"{conversion.folder.name}-int8-{NNCF[0].replace('==', '-')}-{ranges}.xml"
    if not target.is_file():
        squares, _ = squares_of(pictures, conversion.side, outputs / "calibration.npy")
        python = environment(outputs / "nncf", NNCF)
        _call([python, QUANTIZE, conversion.network.absolute(), squares, target])
    return target


def to_onnx(model: Path, target: Path) -> Path:
    """Write the network in ONNX's form, unless it is there; gives the Python that can run it."""
    python = environment(target.with_name("onnx"), ONNX)
    if not target.is_file():
        options: list[str | Path] = [
            "--saved-model",
            model,
            "--signature_def",
            "raw",
            "--opset",
            "17",
            "--output",
            target,
        ]
        _call([python, "-m", "tf2onnx.convert", *options])
    return python


def _call(command: Sequence[str | Path]) -> None:
    done = subprocess.run([str(each) for each in command], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command}: exit code {done.returncode}: {done.stderr.strip()[-800:]}")


def selection(pictures: list[LabelledFaces], count: int) -> list[LabelledFaces]:
    """So many, evenly over the set."""
    places = np.linspace(0, len(pictures) - 1, min(count, len(pictures))).round().astype(int)
    return [pictures[place] for place in places]


def squares_of(pictures: Sequence[LabelledFaces], side: int, path: Path) -> tuple[Path, list[Letterboxed]]:
    """Write the pictures on squares of ``side`` pixels, and say where each lies on its own."""
    squares, places = [], []
    for picture in pictures:
        square, inner = letterbox(read_picture(picture), side)
        squares.append(square)
        places.append(Letterboxed((picture.height, picture.width), inner, square.shape[:2], FLOOR))
    np.save(path, np.stack(squares))
    return path, places


@contextmanager
def children(rows: Sequence[Row]) -> Iterator[list[Child]]:
    """Started, and ended after use."""
    with ExitStack() as stack:
        running = []
        for row in rows:
            running.append(Child(row.runtime))
            stack.callback(running[-1].close)
        yield running


def time_in_turn(running: Sequence[Child], rows: Sequence[Row], squares: Path, rounds: int) -> None:
    """Every runtime once a round, so that what else the machine does meets all of them."""
    for child in running:  # compiles
        for batch in BATCHES:
            child.ask({"squares": str(squares), "batch": batch, "times": 2})
    for _ in range(rounds):
        for child, row in zip(running, rows, strict=True):
            for batch in BATCHES:
                answer = child.ask({"squares": str(squares), "batch": batch, "times": 1})
                row.seconds.setdefault(batch, []).extend(answer["seconds"])


def detections(path: Path, places: Sequence[Letterboxed], conversion: Converted) -> Iterator[Detections]:
    """What a child saved, after suppression, in pixels of the pictures."""
    with np.load(path) as file:
        boxes, scores, ranks, counts = (file[name] for name in ("boxes", "scores", "ranks", "counts"))
    ends = np.cumsum(counts)
    for place, end, count in zip(places, ends, counts, strict=True):
        part = slice(end - count, end)
        found, rank = boxes[part], ranks[part]
        kept = conversion.suppression.keep(found, rank)
        voted = conversion.suppression.vote(found[kept], rank[kept], found, rank)
        yield place.detections(voted, scores[part][kept])


def report(rows: Sequence[Row], peak: roofline.Roofline, pictures: int) -> str:
    """The table, in Markdown."""
    header = ["runtime", *(f"ms a picture, {batch} at once" for batch in BATCHES)]
    header += ["GFLOP/s", "of the peak", "AP50", "AP", "AP less than TensorFlow's, points"]
    reference = next((row.figures.get("AP") for row in rows if row.runtime.name == REFERENCE), None)
    lines = []
    for row in rows:
        times = [row.milliseconds(batch) for batch in BATCHES]
        rate = peak.gflop / min(least for least, _ in times) * 1e3
        best = peak.peaks.get(row.runtime.precision)
        share = f"{rate / best:.0%}" if best else ""
        figures = [f"{row.figures[name]:.4f}" if row.figures else "" for name in ("AP50", "AP")]
        less = f"{100 * (reference - row.figures['AP']):.2f}" if reference and row.figures else ""
        cells = [f"{least:.0f} ({median:.0f})" for least, median in times]
        lines.append([row.runtime.name, *cells, f"{rate:.0f}", share, *figures, less])
    peaks = ", ".join(f"{value:.0f} GFLOP/s in {name}" for name, value in peak.peaks.items())
    return "\n".join(
        [
            f"{platform.machine()}, {os.cpu_count()} cores; matrix products reach {peaks}; the network takes "
            f"{peak.gflop:.1f} GFLOP a picture. Times: least, and median in brackets, of calls in turn. "
            f"Accuracy on {pictures} pictures.",
            "",
            *table(header, lines),
            "",
        ]
    )


if __name__ == "__main__":
    sys.exit(cli.run(main, RuntimesConfig, "runtimes"))
