"""The reference runtime: the SavedModel on plain TensorFlow, imported when it is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.anonymize.detect.canvas import Letterboxed, letterbox, part_side
from pipeline.anonymize.detect.common import (
    ALLOWED,
    OVERSAMPLING,
    Detections,
    Picture,
    check_picture,
    model_digest,
)
from pipeline.anonymize.detect.graph import SavedModelFile
from pipeline.anonymize.detect.suppress import Suppression
from pipeline.config.schema.anonymization import SCORE_FLOOR
from pipeline.errors import UserError
from pipeline.quiet import wake_tensorflow

Floats = NDArray[np.float32]
OUTPUTS = ("detection_boxes", "detection_scores", "num_detections")
"""What the ``batched`` signature returns."""


@dataclass(frozen=True)
class SavedModelDetector:
    """A SavedModel with the ``batched`` signature (see the model card of ``models/``). Thread-safe.

    Attributes:
        model: the loaded SavedModel; it owns the variables, so it must live as long as its signature.
        digest: SHA-256 of the graph and the weights.
        input_size: longer side in pixels of the canvas that the network sees.
        oblong: it also takes canvases that are no squares.
        batch_size: square canvases in one call.
        floor: detections below this score are dropped.
        suppression: as the graph does it; None: it does not say.
    """

    model: Any
    digest: str
    input_size: int
    oblong: bool = False
    batch_size: int = 4
    floor: float = SCORE_FLOOR
    runtime: str = "tensorflow"
    suppression: Suppression | None = None

    @property
    def wanted_side(self) -> int:
        return OVERSAMPLING * self.input_size

    @property
    def part_size(self) -> int | None:
        return part_side(self.input_size, self.oblong) if self.suppression else None

    def detect(self, pictures: Sequence[Picture]) -> list[Detections]:
        """See :class:`pipeline.anonymize.detect.common.Detector`."""
        return self._detect(pictures, self.input_size, self.oblong)

    def detect_parts(self, parts: Sequence[Picture]) -> list[Detections]:
        """As :meth:`detect`, on squares of ``part_size``."""
        if self.part_size is None:
            raise ValueError("the network takes no smaller canvases")
        return self._detect(parts, self.part_size, oblong=False)

    def _detect(self, pictures: Sequence[Picture], side: int, oblong: bool) -> list[Detections]:
        found: list[Detections] = []
        for start in range(0, len(pictures), self.batch_size):
            found += self._detect_batch(pictures[start : start + self.batch_size], side, oblong)
        return found

    def _detect_batch(self, pictures: Sequence[Picture], side: int, oblong: bool) -> list[Detections]:
        for picture in pictures:
            check_picture(picture)
        boxed = [letterbox(picture, side, oblong) for picture in pictures]
        found = self.outputs([canvas for canvas, _ in boxed])
        return [
            Letterboxed(picture.shape[:2], inner, canvas.shape[:2], self.floor).detections(*each)
            for picture, (canvas, inner), each in zip(pictures, boxed, found, strict=True)
        ]

    def outputs(self, canvases: Sequence[Picture]) -> list[tuple[Floats, Floats]]:
        """Boxes in fractions of each canvas, and their scores.

        Squares are computed together; another canvas is a picture to ``serving_default``, which has nothing
        to do to it. That would enlarge the canvas of a part, so the network alone sees those.
        """
        import tensorflow as tf

        if {canvas.shape[:2] for canvas in canvases} == {(self.part_size, self.part_size)}:
            return [self._part(canvas) for canvas in canvases]
        square = [canvas.shape[0] == canvas.shape[1] for canvas in canvases]
        found: list[tuple[Floats, Floats]] = []
        if any(square):
            together = np.stack([canvas for canvas, one in zip(canvases, square, strict=True) if one])
            found = _kept(self.model.signatures["batched"](images=tf.constant(together)))
        return [
            found.pop(0)
            if one
            else _kept(self.model.signatures["serving_default"](input_tensor=tf.constant(canvas[None])))[0]
            for canvas, one in zip(canvases, square, strict=True)
        ]

    def _part(self, canvas: Picture) -> tuple[Floats, Floats]:
        import tensorflow as tf

        assert self.suppression is not None
        every = self.model.signatures["raw"](images=tf.constant(canvas[None]))
        every = {name: each.numpy()[0] for name, each in every.items()}
        ranks = every.get("raw_scores", every["scores"])
        return self.suppression.faces(every["boxes"], every["scores"], ranks, self.floor)


def _kept(found: dict[str, Any]) -> list[tuple[Floats, Floats]]:
    """Boxes and scores of each picture of a batch."""
    boxes, scores, counts = (found[name].numpy() for name in OUTPUTS)
    return [(boxes[i, : int(n)], scores[i, : int(n)]) for i, n in enumerate(counts)]


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
    return SavedModelDetector(
        loaded,
        digest,
        _side(loaded, folder),
        _oblong(loaded),
        batch_size,
        floor,
        suppression=SavedModelFile.read(folder).suppression(),
    )


def _oblong(loaded: Any) -> bool:
    """Whether a model's network takes any canvas; ``raw`` says so, the network as it is.

    ``serving_default`` must be there to compute such canvases; converting a model asks the same of its file.
    """
    raw = loaded.signatures.get("raw") if "serving_default" in loaded.signatures else None
    images = raw.structured_input_signature[1].get("images") if raw is not None else None
    return images is not None and images.shape[1:3].as_list() == [None, None]


def _side(loaded: Any, folder: Path) -> int:
    """Side in pixels of the squares that a model's ``batched`` signature takes."""
    signature = loaded.signatures.get("batched")
    if signature is None:
        given = sorted(loaded.signatures)
        raise UserError(f"detector.model: {str(folder)!r} has the signatures {given}; needed: 'batched'")
    images = signature.structured_input_signature[1].get("images")
    side = images.shape[1] if images is not None and images.shape.rank == 4 else None
    if side is None or not set(signature.structured_outputs) >= set(OUTPUTS):
        raise UserError(
            f"detector.model: 'batched' of {str(folder)!r} takes or gives something else; {ALLOWED}"
        )
    return int(side)
