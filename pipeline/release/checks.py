"""Whether a SavedModel is what it should be: its signatures, its parity with what was trained, its scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.anonymize.detect import Detections, Picture, letterbox, load_detector
from pipeline.anonymize.detect.convert import Unusable
from pipeline.anonymize.detect.engine import OpenVino
from pipeline.anonymize.detect.graph import SavedModelFile
from pipeline.calibration.fit import OPERATING, lower_bound
from pipeline.calibration.score_map import ScoreMap
from pipeline.calibration.scored import Scored
from pipeline.config.schema import CalibrationConfig, ModelConfig
from pipeline.errors import UserError

SCORES_APART, PIXELS_APART, MAPPED_APART = 1e-4, 0.05, 1e-5
"""What the exported graph may differ from the one that was trained: the order of sums in float32."""
MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
"""ImageNet's, with which pictures are normalized in training."""
FAINT = 0.05
"""Raw scores up to here say nothing of where a box is."""
SEEN = 0.2
"""Detections from this score on must be there in every runtime: redacted, or on the review list."""
RUNTIME_APART = 0.02


def signatures(offered: Mapping[str, Any], side: int) -> str:
    """What is wrong with the signatures of a loaded SavedModel; empty if nothing is."""
    import tensorflow as tf

    found = {"detection_boxes": 3, "detection_scores": 2, "detection_raw_scores": 2, "num_detections": 1}
    wanted: dict[str, tuple[dict[str, list[int | None]], dict[str, int]]] = {
        "serving_default": ({"input_tensor": [1, None, None, 3]}, found | {"detection_classes": 2}),
        "batched": ({"images": [None, side, side, 3]}, found),
        "raw": ({"images": [None, None, None, 3]}, {"boxes": 3, "scores": 2, "raw_scores": 2}),
    }
    problems = []
    for name, (inputs, outputs) in wanted.items():
        if name not in offered:
            problems.append(f"{name} is missing")
            continue
        specs = offered[name].structured_input_signature[1]
        takes = {key: spec.shape.as_list() for key, spec in specs.items()}
        gives = {key: spec.shape.rank for key, spec in offered[name].structured_outputs.items()}
        if takes != inputs or {spec.dtype for spec in specs.values()} != {tf.uint8}:
            problems.append(f"{name} takes {takes}, expected {inputs}, uint8")
        if gives != outputs:
            problems.append(f"{name} gives {gives}, expected {outputs}")
    return "; ".join(problems)


def parity(
    model: ModelConfig, checkpoint: str, saved_model: Path, score_map: ScoreMap, pictures: Sequence[Picture]
) -> tuple[bool, str]:
    """Whether the exported graph answers as the trained network does with Model Garden's own suppression, and
    with the voting after it that the file names.
    """
    import tensorflow as tf

    from pipeline.detector.experiment import model_config
    from pipeline.detector.task import build_efficientdet
    from pipeline.export import load_trained_weights, votes

    config, suppression = model_config(model), SavedModelFile.read(saved_model).suppression()
    if suppression is None:
        return False, "the graph does not say how it suppresses overlapping boxes"
    if not votes(saved_model):
        return False, "the graph's boxes do not vote as they should"
    config.detection_generator.return_decoded = True
    network = build_efficientdet(config)
    load_trained_weights(network, model, checkpoint)
    exported, worst = tf.saved_model.load(str(saved_model)).signatures["serving_default"], np.zeros(3)
    for picture in pictures:  # one by one: a batch of them takes gigabytes
        canvas = letterbox(picture, model.input_size, oblong=True)[0][None]  # which is left as it is
        size = np.array([canvas.shape[1:3]], np.float32)
        corners = np.tile(size, 2)
        normalized = tf.constant((canvas / 255.0 - MEAN) / DEVIATION, tf.float32)
        expected = network(normalized, image_shape=tf.constant(size), training=False)
        trained, boxes = expected["detection_scores"].numpy(), expected["detection_boxes"].numpy()
        every, scores = (expected[name].numpy()[0, :, 0] for name in ("decoded_boxes", "decoded_box_scores"))
        boxes[0] = corners * suppression.vote(boxes[0] / corners, trained[0], every / corners, scores)
        actual = {name: value.numpy() for name, value in exported(input_tensor=tf.constant(canvas)).items()}
        moved = actual["detection_boxes"] * corners - boxes
        gaps = -np.diff(trained, axis=1, prepend=2, append=-1)
        ranked = np.minimum(gaps[:, :-1], gaps[:, 1:]) > SCORES_APART  # the order of the others is luck
        differ = [
            np.abs(actual["detection_raw_scores"] - trained).max(),
            np.abs(moved[ranked & (trained > FAINT)]).max(initial=0),
            np.abs(score_map(actual["detection_raw_scores"]) - actual["detection_scores"]).max(),
        ]
        worst = np.maximum(worst, differ)
    good = bool((worst < [SCORES_APART, PIXELS_APART, MAPPED_APART]).all())
    says = "{} pictures: scores differ by {:.1e} at most, boxes by {:.3f} px, the map of scores by {:.1e}"
    return good, says.format(len(pictures), *worst)


def runtimes(saved_model: Path, pictures: Sequence[Picture], runtime: str = "openvino") -> tuple[bool, str]:
    """Whether the fast runtime sees what TensorFlow sees; True where this machine has no OpenVINO."""
    try:
        OpenVino()
    except Unusable as error:
        return True, _cell(f"not checked: {error}")
    try:
        fast = load_detector(saved_model, runtime=runtime, floor=SEEN / 2)
    except UserError as error:
        return False, _cell(str(error))
    reference = load_detector(saved_model, runtime="tensorflow", floor=SEEN / 2)
    lost, apart = 0, 0.0
    seen = [*zip(reference.detect(pictures), fast.detect(pictures), strict=True)]
    if getattr(fast, "part_size", None):
        seen += zip(reference.detect_parts(pictures), fast.detect_parts(pictures), strict=True)  # type: ignore[attr-defined]
    for one, other in seen:
        for left, right in ((one, other), (other, one)):
            gaps = _gaps(left.at_least(SEEN), right)
            lost += int(np.isinf(gaps).sum())
            apart = max(apart, float(gaps[np.isfinite(gaps)].max(initial=0)))
    says = f"{len(pictures)} pictures on {runtime}: {lost} detections are not there"
    return lost == 0 and apart < RUNTIME_APART, f"{says}, scores differ by {apart:.4f} at most"


def _cell(text: str) -> str:
    """Its first line, for a Markdown table."""
    return text.splitlines()[0].replace("|", "/")


def _gaps(found: Detections, other: Detections) -> np.ndarray:
    """``[N]`` difference of score to the same detection among the others; infinite where there is none."""
    same = found.boxes.iou(other.boxes) >= 0.9
    gaps = np.abs(found.scores[:, None] - other.scores[None])
    return np.asarray(np.where(same, gaps, np.inf).min(axis=1, initial=np.inf))


def calibrated(scored: Scored, config: CalibrationConfig, score_map: ScoreMap) -> tuple[bool, str]:
    """Whether 0.5 means what it should in the detector as it is, on the pictures it was calibrated on."""
    right, found = scored.counts(OPERATING)
    if score_map.is_identity or not found:
        return False, "the detector is not calibrated"
    bound = lower_bound(scored, OPERATING, config.confidence)
    says = f"precision {right / found:.4f} at {OPERATING:g} on validation, at least {bound:.4f} with a "
    says += f"confidence of {config.confidence:g}; wanted {config.precision:g}"
    return bound >= config.precision - 1e-9, says
