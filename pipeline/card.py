"""The model card: what a detector is, what it was made from, how well it does and what it does not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from pipeline.calibration.score_map import CALIBRATION
from pipeline.card_text import RELIABILITY, Verdict, card_text
from pipeline.config.schema import TrainConfig
from pipeline.data.version import DatasetVersion
from pipeline.evaluation.report import Evaluation
from pipeline.history import CARD, StageRecord

OF_THE_WEIGHTS = ("input_size", "nms_iou", "max_detections", "data", "training", "stages")
"""What stays true when a detector's scores are calibrated anew; figures and gates do not."""


def copy_card(source: Path, folder: Path, name: str) -> None:
    """Writes into a copy with other scores what of the detector's ``model_card.json`` is true of it, too.

    Args:
        name: of the detector: without it nobody can tell what network the copy is.
    """
    card = json.loads((source / CARD).read_text(encoding="utf-8")) if (source / CARD).is_file() else {}
    kept = {"name": name} | {each: card[each] for each in OF_THE_WEIGHTS if each in card}
    (folder / CARD).write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def write_card(
    config: TrainConfig,
    version: DatasetVersion,
    stages: Sequence[StageRecord],
    evaluation: Evaluation,
    folder: Path,
    gates: Sequence[Verdict] = (),
) -> str:
    """Writes ``model_card.json`` (for programs) and ``README.md`` (for people) beside a SavedModel.

    Args:
        config: what the detector was exported with.
        stages: the trainings behind it, first one first.
        evaluation: of the SavedModel in ``folder``; its plot of reliability is copied.
        gates: of the release, if it is one.

    Returns:
        The README's text.
    """
    kept = folder / CALIBRATION
    model = config.model
    card = {
        "name": model.name,
        "input_size": model.input_size,
        "nms_iou": model.nms_iou,
        "max_detections": model.max_detections,
        "score_threshold": config.evaluation.score_threshold,
        "calibration": json.loads(kept.read_text()) if kept.is_file() else None,
        "made": datetime.now(UTC).date().isoformat(),
        "data": {"version": version.name, "fingerprint": version.fingerprint, "pictures": version.counts},
        "training": asdict(stages[-1]),
        "stages": [asdict(stage) for stage in stages],
        "metrics": {name: round(value, 5) for name, value in evaluation.metrics.items()},
        "intervals": evaluation.intervals,
        "gates": [asdict(gate) for gate in gates],
    }
    (folder / CARD).write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
    if evaluation.folder and (evaluation.folder / RELIABILITY).is_file():
        shutil.copy(evaluation.folder / RELIABILITY, folder)
    text = card_text(config, version, stages, evaluation, gates, card)
    (folder / "README.md").write_text(text, encoding="utf-8")
    return text
