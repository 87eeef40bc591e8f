"""Running a detector over a labelled set: ours, or any SavedModel of the Object Detection API."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.anonymize.detect import Detections, Detector, Picture, load_detector, model_digest
from pipeline.boxes import Boxes
from pipeline.data.pictures import UNREADABLE, read_upright
from pipeline.errors import UserError
from pipeline.evaluation.labelled import LabelledFaces

FLOOR = 0.01
"""AP wants the tail of the scores too; below this it changes nothing that is printed."""
BATCH = 4

Progress = Callable[[int, int], None]
"""Called with pictures done and pictures in all."""


@dataclass(frozen=True)
class Predictions:
    """What a detector found in each picture of a set.

    Attributes:
        detections: one a picture, in the set's order.
        seconds: one a picture: the detector's own time, reading the file left out; none if it says that it
            is not ``timed``, since its answers were kept.
    """

    detections: list[Detections]
    seconds: list[float]


def predict(
    detector: Detector, pictures: Sequence[LabelledFaces], progress: Progress | None = None
) -> Predictions:
    """Runs the detector over every picture, a few at a time.

    Raises:
        UserError: a picture cannot be read, or is not of the size that its labels were made for.
    """
    detections: list[Detections] = []
    seconds: list[float] = []
    if pictures:  # the first call builds and compiles: not what a picture costs
        detector.detect([read_picture(picture) for picture in pictures[:BATCH]])
    for start in range(0, len(pictures), BATCH):
        batch = [read_picture(picture) for picture in pictures[start : start + BATCH]]
        began = time.perf_counter()
        detections += detector.detect(batch)
        seconds += [(time.perf_counter() - began) / len(batch)] * len(batch)
        if progress:
            progress(len(detections), len(pictures))
    return Predictions(detections, seconds if getattr(detector, "timed", True) else [])


def read_picture(picture: LabelledFaces) -> Picture:
    """uint8 ``[H, W, 3]`` RGB, upright.

    Raises:
        UserError: see :func:`predict`.
    """
    try:
        pixels = np.asarray(read_upright(picture.path))
    except UNREADABLE as error:
        raise UserError(f"{picture.path}: cannot be read ({error}); prepare the data set again") from error
    if pixels.shape[:2] != (picture.height, picture.width):
        raise UserError(
            f"{picture.path}: is {pixels.shape[1]}x{pixels.shape[0]} pixels, its labels are made for "
            f"{picture.width}x{picture.height}; prepare the data set again"
        )
    return pixels


def load_any(model: Path, class_id: int | None = None, runtime: str = "tensorflow") -> Detector:
    """Loads any SavedModel that finds faces.

    Args:
        model: with our ``batched`` signature, or with the Object Detection API's ``serving_default``.
        class_id: keep only this class of a model that knows several; None keeps all.
        runtime: of a model with our ``batched`` signature; any other runs on TensorFlow.

    Raises:
        UserError: the folder holds no SavedModel, or one of neither signature.
    """
    names = signatures(model)
    if "batched" in names and class_id is None:
        return load_detector(model, runtime=runtime, floor=FLOOR)
    if "serving_default" not in names:
        raise UserError(
            f"{model}: has the signatures {names or 'none'}; allowed: 'batched' or 'serving_default' of the "
            "TensorFlow Object Detection API"
        )
    return ObjectDetectionApi(model, class_id)


def signatures(model: Path) -> list[str]:
    """Names of a SavedModel's signatures, read without loading it.

    Raises:
        UserError: the folder holds no SavedModel.
    """
    path = model / "saved_model.pb"
    if not path.is_file():
        raise UserError(f"{model}: holds no saved_model.pb; allowed: a SavedModel folder")
    from tensorflow.core.protobuf import saved_model_pb2

    graph = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    names = {name for meta in graph.meta_graphs for name in meta.signature_def}
    return sorted(name for name in names if not name.startswith("__"))


class ObjectDetectionApi:
    """A SavedModel that takes one picture as ``[1, H, W, 3]`` uint8 and speaks the Object Detection API.

    Args:
        model: its folder.
        class_id: keep only detections of this class; None keeps all.

    Raises:
        UserError: ``serving_default`` lacks an input or output of the convention.
    """

    OUTPUTS = frozenset({"detection_boxes", "detection_scores", "num_detections"})

    def __init__(self, model: Path, class_id: int | None = None) -> None:
        import tensorflow as tf

        self._keep_alive = tf.saved_model.load(str(model))
        self._call = self._keep_alive.signatures["serving_default"]
        self._class_id = class_id
        self.digest, self.runtime = model_digest(model), "tensorflow"
        inputs = list(self._call.structured_input_signature[1])
        needed = self.OUTPUTS | ({"detection_classes"} if class_id is not None else set())
        lacking = sorted(needed - set(self._call.structured_outputs))
        if lacking or len(inputs) != 1:
            raise UserError(
                f"{model}: serving_default takes {inputs} and lacks {lacking}; allowed: one picture in, "
                f"{sorted(needed)} out"
            )
        self._input = inputs[0]

    def detect(self, pictures: Sequence[Picture]) -> list[Detections]:
        """One call a picture; see :class:`Detector`."""
        return [self._detect(picture) for picture in pictures]

    def _detect(self, picture: Picture) -> Detections:
        import tensorflow as tf

        out = self._call(**{self._input: tf.constant(picture[None])})
        return self._read({name: tensor.numpy()[0] for name, tensor in out.items()}, picture.shape)

    def _read(self, out: dict[str, Any], shape: tuple[int, ...]) -> Detections:
        count = int(out["num_detections"])
        scores = out["detection_scores"][:count].astype(np.float64)
        kept = scores >= FLOOR
        if self._class_id is not None:
            kept &= np.round(out["detection_classes"][:count]).astype(int) == self._class_id
        boxes = Boxes.from_normalized_yxyx(out["detection_boxes"][:count][kept], shape[1], shape[0])
        boxes = boxes.clip(shape[1], shape[0])
        return Detections(boxes[boxes.valid], scores[kept][boxes.valid])
