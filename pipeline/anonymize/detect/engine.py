"""OpenVINO on this processor: conversions compiled, checked against the reference, and kept."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import threading
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.anonymize.detect import cache
from pipeline.anonymize.detect.canvas import Size, canvas_sizes, named
from pipeline.anonymize.detect.check import SAME, Tolerance, built_in_canvas, difference, reference
from pipeline.anonymize.detect.convert import Converted, Unusable, convert, first_line, kept_name
from pipeline.anonymize.detect.open_vino import OpenVinoDetector, every_anchor
from pipeline.config.schema.anonymization import SCORE_FLOOR

PRECISIONS = {"openvino": "f32", "openvino_bf16": "bf16"}
"""What a runtime computes in; what it gives is float32."""
TOLERANCES = {"openvino": Tolerance(score=0.001, iou=0.99), "openvino_bf16": Tolerance(score=0.03, iou=0.93)}
"""Of the check on the built-in picture, in the network's own scores. On 792 photographs the released D2's AP
is 0.12 points lower in bfloat16."""

STREAMS = 4
"""Canvases of each size that are computed side by side at most; each takes memory. Threads that share one
wait for each other at every layer: twice as slow, once other work wants the cores."""

_FIRST_CALL = threading.Lock()


class OpenVino:
    """OpenVINO on this processor.

    Raises:
        Unusable: it is not installed, or does not know this processor.
    """

    def __init__(self) -> None:
        try:
            import openvino
        except Exception as error:  # of a library that does not load, too
            raise Unusable(f"OpenVINO is not there ({first_line(error)})") from error
        with _FIRST_CALL:
            # Its table of number types is filled at the first call, and two threads that both come first wait
            # for each other for ever: one for the table, with the interpreter's lock that the other needs.
            openvino.Type.u8.to_dtype()
        self.core = openvino.Core()
        if "CPU" not in self.core.available_devices:
            raise Unusable("OpenVINO does not know this processor")

    @cached_property
    def runtimes(self) -> list[str]:
        """What this processor computes natively, fastest first."""
        return ["openvino_bf16", "openvino"] if "BF16" in self._features else ["openvino"]

    def load(self, model: Path, digest: str, runtime: str, floor: float = SCORE_FLOOR) -> OpenVinoDetector:
        """Load the conversion of a SavedModel; what is missing is made now, and checked against TensorFlow.

        Args:
            digest: of the model.
            runtime: one of :attr:`runtimes`.

        Raises:
            Unusable: OpenVINO cannot convert or run this model, or gives something else than TensorFlow.
        """
        converted = convert(model, digest)
        networks = functools.partial(self._checked, converted, model, digest, runtime)
        for size in canvas_sizes(converted.side, converted.oblong):
            verdict, compiled = self._verdict(converted, runtime, size), self._blob(converted, runtime, size)
            if not (verdict.is_file() and compiled.is_file()):
                networks(size)  # now, when a slower runtime can still serve
            elif why := _kept(verdict):
                raise _not_as_good(runtime, why)
        return OpenVinoDetector(networks, converted, digest, runtime, floor)

    def refused(self, model: Path, digest: str, runtime: str) -> bool:
        """Whether an earlier run found that this runtime cannot serve; nothing is tried."""
        folder = cache.find(model, kept_name(digest))
        if folder is None:
            return False
        unusable = json.loads((folder / cache.DONE).read_text())["unusable"]
        return bool(unusable or any(map(_kept, folder.glob(f"{self._checked_as(runtime)}-*.json"))))

    def _checked(self, converted: Converted, model: Path, digest: str, runtime: str, size: Size) -> Any:
        """The network for canvases of a size, compiled and found to give what TensorFlow gives."""
        try:
            compiled, known = self._compiled(converted, runtime, size)
            verdict = self._verdict(converted, runtime, size)
            if known and verdict.is_file():
                why = _kept(verdict)
            else:
                why = _differs(compiled, converted, model, digest, runtime, size)
                cache.write(verdict, json.dumps({"differs": why}).encode())
        except RuntimeError as error:
            raise Unusable(f"OpenVINO cannot run the model ({first_line(error)})") from error
        if why:
            raise _not_as_good(runtime, why)
        return compiled

    def _compiled(self, converted: Converted, runtime: str, size: Size) -> tuple[Any, bool]:
        """Compiled before, which saves a second at every start, or now; and whether it was before.

        Compiled now is kept and read again, so that what is checked is what later starts will use.
        """
        settings = {
            "INFERENCE_PRECISION_HINT": PRECISIONS[runtime],
            "PERFORMANCE_HINT": "THROUGHPUT",
            "NUM_STREAMS": _streams(),
        }
        kept = self._blob(converted, runtime, size)
        try:
            return self.core.import_model(kept.read_bytes(), "CPU", settings), True
        except (OSError, RuntimeError):  # not there, or damaged
            network = self.core.read_model(converted.network)
            network.reshape([1, *size, 3])
            compiled = self.core.compile_model(network, "CPU", settings)
        exported = compiled.export_model().getvalue()
        cache.write(kept, exported)
        return self.core.import_model(exported, "CPU", settings), False

    @cached_property
    def _features(self) -> list[str]:
        return sorted(self.core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"))

    @cached_property
    def _kind(self) -> str:
        """Short for the kind of processor: what is compiled or checked on another says nothing here."""
        name = self.core.get_property("CPU", "FULL_DEVICE_NAME")
        return hashlib.sha256(f"{name} {os.cpu_count()} {self._features}".encode()).hexdigest()[:8]

    def _blob(self, converted: Converted, runtime: str, size: Size) -> Path:
        """Where the compiled network is kept."""
        return converted.folder / f"compiled-{runtime}-{_streams()}-{self._kind}-{named(size)}.blob"

    def _verdict(self, converted: Converted, runtime: str, size: Size) -> Path:
        """Where it is kept what the check found."""
        return converted.folder / f"{self._checked_as(runtime)}-{named(size)}.json"

    def _checked_as(self, runtime: str) -> str:
        """What a check was made on, and what it allowed."""
        allowed = TOLERANCES[runtime]
        return f"checked-{runtime}-{self._kind}-{allowed.score:g}-{allowed.iou:g}-{SAME:g}"


def _streams() -> int:
    return min(STREAMS, os.cpu_count() or 1)


def _not_as_good(runtime: str, why: str) -> Unusable:
    return Unusable(f"{runtime} is not as good as TensorFlow here: {why}")


def _kept(verdict: Path) -> str:
    """How the outputs differ, as an earlier check found; empty: they do not."""
    return str(json.loads(verdict.read_text())["differs"])


def _differs(compiled: Any, converted: Converted, model: Path, digest: str, runtime: str, size: Size) -> str:
    """How the outputs differ from TensorFlow's; see :func:`_kept`.

    Raises:
        Unusable: nothing could be compared.
    """
    try:
        wanted = reference(model, digest, size, converted.folder)
        found = every_anchor(compiled.create_infer_request(), built_in_canvas(size))
        kept = converted.suppression.keep(found.boxes, found.ranks)
        boxes = converted.suppression.vote(found.boxes[kept], found.ranks[kept], found.boxes, found.ranks)
        return difference(found, boxes, found.scores[kept], wanted, TOLERANCES[runtime])
    except (OSError, RuntimeError, ValueError) as error:
        message = f"{runtime} cannot be compared with TensorFlow ({first_line(error)})"
        raise Unusable(message) from error
