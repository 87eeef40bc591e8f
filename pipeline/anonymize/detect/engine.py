"""OpenVINO on this processor: conversions compiled, checked against the reference, and kept."""

from __future__ import annotations

import hashlib
import json
import os
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.anonymize.detect import cache
from pipeline.anonymize.detect.check import Tolerance, built_in_square, difference, reference
from pipeline.anonymize.detect.convert import Converted, Unusable, convert, first_line, kept_name
from pipeline.anonymize.detect.open_vino import OpenVinoDetector
from pipeline.config.schema.anonymization import SCORE_FLOOR

PRECISIONS = {"openvino": "f32", "openvino_bf16": "bf16"}
"""What a runtime computes in; what it gives is float32."""
TOLERANCES = {"openvino": Tolerance(score=0.001, iou=0.99), "openvino_bf16": Tolerance(score=0.03, iou=0.93)}
"""Of the check on the built-in picture, in the network's own scores. On 792 photographs the released D2's AP
is 0.12 points lower in bfloat16."""

STREAMS = 4
"""Pictures that are computed side by side at most; each takes memory. Threads that share one picture wait for
each other at every layer: twice as slow, once other work wants the cores."""


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
        try:
            compiled, known = self._compiled(converted, runtime)
            detector = OpenVinoDetector(compiled, digest, runtime, converted.suppression, floor)
        except RuntimeError as error:
            raise Unusable(f"OpenVINO cannot run the model ({first_line(error)})") from error
        verdict = converted.folder / self._verdict(runtime)
        if why := _kept(verdict) if known and verdict.is_file() else _judged(detector, model, verdict):
            raise Unusable(f"{runtime} is not as good as TensorFlow here: {why}")
        return detector

    def refused(self, model: Path, digest: str, runtime: str) -> bool:
        """Whether an earlier run found that this runtime cannot serve; nothing is tried."""
        folder = cache.find(model, kept_name(digest))
        if folder is None:
            return False
        verdict = folder / self._verdict(runtime)
        unusable = json.loads((folder / cache.DONE).read_text())["unusable"]
        return bool(unusable or (verdict.is_file() and _kept(verdict)))

    def _compiled(self, converted: Converted, runtime: str) -> tuple[Any, bool]:
        """Compiled before, which saves a second at every start, or now; and whether it was before.

        Compiled now is kept and read again, so that what is checked is what later starts will use.
        """
        settings = {
            "INFERENCE_PRECISION_HINT": PRECISIONS[runtime],
            "PERFORMANCE_HINT": "THROUGHPUT",
            "NUM_STREAMS": min(STREAMS, os.cpu_count() or 1),
        }
        kept = converted.folder / f"compiled-{runtime}-{settings['NUM_STREAMS']}-{self._kind}.blob"
        try:
            return self.core.import_model(kept.read_bytes(), "CPU", settings), True
        except (OSError, RuntimeError):  # not there, or damaged
            compiled = self.core.compile_model(converted.network, "CPU", settings)
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

    def _verdict(self, runtime: str) -> str:
        """Name of what a check found, by what it allowed."""
        allowed = TOLERANCES[runtime]
        return f"checked-{runtime}-{self._kind}-{allowed.score:g}-{allowed.iou:g}.json"


def _kept(verdict: Path) -> str:
    """How the outputs differ, as an earlier check found; empty: they do not."""
    return str(json.loads(verdict.read_text())["differs"])


def _judged(detector: OpenVinoDetector, model: Path, verdict: Path) -> str:
    """Compare with TensorFlow now, and keep what is found: see :func:`_kept`.

    Raises:
        Unusable: nothing could be compared.
    """
    try:
        wanted = reference(model, detector.digest, detector.input_size, verdict.parent)
        found = detector.raw(built_in_square(detector.input_size))
        kept = detector.suppression.keep(found.boxes, found.ranks)
        differs = difference(found, kept, wanted, TOLERANCES[detector.runtime])
    except (OSError, RuntimeError, ValueError) as error:
        message = f"{detector.runtime} cannot be compared with TensorFlow ({first_line(error)})"
        raise Unusable(message) from error
    cache.write(verdict, json.dumps({"differs": differs}).encode())
    return differs
