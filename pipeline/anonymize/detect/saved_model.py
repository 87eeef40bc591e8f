"""The reference runtime: the SavedModel on plain TensorFlow, imported when it is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.anonymize.detect.common import (
    ALLOWED,
    OVERSAMPLING,
    Detections,
    Letterboxed,
    Picture,
    check_picture,
    letterbox,
    model_digest,
)
from pipeline.config.schema.anonymization import SCORE_FLOOR
from pipeline.errors import UserError
from pipeline.quiet import wake_tensorflow

OUTPUTS = {"detection_boxes", "detection_scores", "num_detections"}
"""What the ``batched`` signature returns."""


@dataclass(frozen=True)
class SavedModelDetector:
    """A SavedModel with the ``batched`` signature (see the model card of ``models/``). Thread-safe.

    Attributes:
        model: the loaded SavedModel; it owns the variables, so it must live as long as its signature.
        digest: SHA-256 of the graph and the weights.
        input_size: side in pixels of the square that the network sees.
        batch_size: pictures in one call.
        floor: detections below this score are dropped.
    """

    model: Any
    digest: str
    input_size: int
    batch_size: int = 4
    floor: float = SCORE_FLOOR
    runtime: str = "tensorflow"

    @property
    def wanted_side(self) -> int:
        return OVERSAMPLING * self.input_size

    def detect(self, pictures: Sequence[Picture]) -> list[Detections]:
        found: list[Detections] = []
        for start in range(0, len(pictures), self.batch_size):
            found += self._detect_batch(pictures[start : start + self.batch_size])
        return found

    def _detect_batch(self, pictures: Sequence[Picture]) -> list[Detections]:
        import tensorflow as tf

        for picture in pictures:
            check_picture(picture)
        squares, inner = zip(*(letterbox(picture, self.input_size) for picture in pictures), strict=True)
        found = self.model.signatures["batched"](images=tf.constant(np.stack(squares)))
        out = {name: tensor.numpy() for name, tensor in found.items()}
        return [
            self._to_picture(picture, inner[i], {name: array[i] for name, array in out.items()})
            for i, picture in enumerate(pictures)
        ]

    def _to_picture(self, picture: Picture, inner: tuple[int, int], out: dict[str, Any]) -> Detections:
        count = int(out["num_detections"])
        place = Letterboxed(picture.shape[:2], inner, self.input_size, self.floor)
        return place.detections(out["detection_boxes"][:count], out["detection_scores"][:count])


def load_saved_model(
    folder: Path, *, batch_size: int = 4, floor: float = SCORE_FLOOR, digest: str | None = None
) -> SavedModelDetector:
    """Load a SavedModel; this imports TensorFlow.

    Raises:
        UserError: there is no SavedModel, it is damaged, or it lacks the ``batched`` signature.
    """
    digest = digest or model_digest(folder)
    wake_tensorflow()
    import tensorflow as tf

    try:
        loaded = tf.saved_model.load(str(folder))
    except Exception as error:  # of many types, by what is damaged
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise UserError(f"detector.model: {str(folder)!r} cannot be loaded ({reason}); {ALLOWED}") from error
    return SavedModelDetector(loaded, digest, _side(loaded, folder), batch_size, floor)


def _side(loaded: Any, folder: Path) -> int:
    """Side in pixels of the squares that a model's ``batched`` signature takes."""
    signature = loaded.signatures.get("batched")
    if signature is None:
        given = sorted(loaded.signatures)
        raise UserError(f"detector.model: {str(folder)!r} has the signatures {given}; needed: 'batched'")
    images = signature.structured_input_signature[1].get("images")
    side = images.shape[1] if images is not None and images.shape.rank == 4 else None
    if side is None or not set(signature.structured_outputs) >= OUTPUTS:
        raise UserError(
            f"detector.model: 'batched' of {str(folder)!r} takes or gives something else; {ALLOWED}"
        )
    return int(side)
