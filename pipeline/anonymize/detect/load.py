"""Which runtime serves a model on this machine."""

from __future__ import annotations

import logging
from pathlib import Path

from pipeline.anonymize.detect.common import Detector, model_digest
from pipeline.anonymize.detect.convert import Unusable
from pipeline.anonymize.detect.engine import OpenVino
from pipeline.config.schema.anonymization import SCORE_FLOOR
from pipeline.errors import UserError

log = logging.getLogger(__name__)
REFERENCE = "tensorflow"


def load_detector(
    model: str | Path, *, batch_size: int = 4, runtime: str = "auto", floor: float = SCORE_FLOOR
) -> Detector:
    """Load a SavedModel into a runtime.

    Args:
        model: the SavedModel's folder.
        batch_size: square canvases in one call, of TensorFlow; all others come one by one.
        runtime: ``tensorflow``, ``openvino``, ``openvino_bf16`` (float32 on a processor without bfloat16), or
            ``auto``: the fastest that is as good as TensorFlow here. The detector's ``runtime`` says which.
        floor: detections below this score are dropped.

    Raises:
        UserError: there is no SavedModel, it is damaged, it lacks a signature, or the runtime that was asked
            for cannot serve it.
    """
    folder = Path(model)
    digest = model_digest(folder)
    for name in _candidates(runtime):
        try:
            return OpenVino().load(folder, digest, name, floor)
        except Unusable as error:
            _slower(runtime, error)
    from pipeline.anonymize.detect.saved_model import load_saved_model

    return load_saved_model(folder, batch_size=batch_size, floor=floor, digest=digest)


def expected_runtime(model: Path, digest: str, runtime: str) -> str:
    """What :func:`load_detector` would choose, as far as that is known without converting or loading.

    Args:
        digest: of the model.
    """
    names = [
        name for name in _candidates(runtime, quietly=True) if not OpenVino().refused(model, digest, name)
    ]
    return names[0] if names else REFERENCE


def serving(detector: Detector, runtime: str) -> str:
    """What computes a detector; ``runtime``, what was asked for, where the detector does not say."""
    return str(getattr(detector, "runtime", runtime))


def _candidates(runtime: str, quietly: bool = False) -> list[str]:
    """Faster runtimes than the reference, in the order in which they are tried."""
    if runtime == REFERENCE:
        return []
    try:
        native = OpenVino().runtimes
    except Unusable as error:
        if not quietly:
            _slower(runtime, error)
        return []
    return native if runtime == "auto" else [runtime if runtime in native else native[-1]]


def _slower(runtime: str, error: Unusable) -> None:
    """Say why something slower serves, which only ``auto`` allows."""
    if runtime != "auto":
        raise UserError(f"detector.runtime: {runtime}: {error}; allowed here: auto, {REFERENCE}") from error
    log.warning("detector.runtime: a slower one serves: %s", error)
