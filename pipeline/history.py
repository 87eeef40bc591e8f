"""How a detector came to be: the trainings behind it, as their run folders and cards tell."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline.tracking.journal import JOURNAL_FILE, read_events

CARD = "model_card.json"
"""Beside a SavedModel's graph: what it is and how it was made, for programs."""
LONGEST_PAUSE = 3600.0
"""Seconds. In a longer gap between two lines of the record nothing was trained: the run had stopped."""


@dataclass(frozen=True)
class StageRecord:
    """One training.

    Attributes:
        run: its name. started_from: the run, release or weights file that its weights came from.
        steps: trained in all. kept_step: whose weights were kept, for their validation AP.
        validation_AP50: of the weights that were kept.
        start_share: of the start's weights in those that were exported.
        hours: of training and validating by the clock, pauses left out; None where no record says so.
    """

    run: str
    started_from: str
    steps: int
    kept_step: int
    validation_AP50: float
    batch_size: int
    image_size: int
    learning_rate: float
    optimizer: str
    ema_decay: float
    seed: int
    hours: float | None = None
    start_share: float = 0.0


def history(folder: Path) -> list[StageRecord]:
    """The trainings that led to a finished run, first one first.

    Of a start whose run folder is there, that one tells; else its card does, as far as it has one.
    """
    config = _config(folder)
    start = Path(config["model"]["init"])
    before = start.parent
    earlier = history(before) if (before / "training.json").is_file() and before != folder else _told(start)
    # a release that has since replaced its own start tells of this run, too
    return [*(each for each in earlier if each.run != folder.name), _record(folder, config)]


def _told(detector: Path) -> list[StageRecord]:
    """What the card of a detector says of its trainings."""
    card = detector / CARD
    stages = json.loads(card.read_text(encoding="utf-8")).get("stages", []) if card.is_file() else []
    return [StageRecord(**each) for each in stages]


def _record(folder: Path, config: dict[str, Any]) -> StageRecord:
    result, trainer = json.loads((folder / "training.json").read_text()), config["trainer"]
    same = {name: trainer[name] for name in ("batch_size", "image_size", "optimizer", "ema_decay", "seed")}
    return StageRecord(
        run=folder.name,
        started_from=_start(config["model"]["init"]),
        steps=result["step"],
        kept_step=result["best_step"],
        validation_AP50=result["best_metric"],
        learning_rate=float(trainer["learning_rate"]),
        hours=hours(folder / JOURNAL_FILE),
        start_share=config["model"].get("start_share", 0.0),
        **same,
    )


def _config(folder: Path) -> dict[str, Any]:
    return dict(yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8")))


def _start(init: str) -> str:
    """Without folders: of ``sliced:models/efficientdet_d2`` it makes ``efficientdet_d2, sliced``."""
    path = Path(init.removeprefix("sliced:"))
    run = path.parent.name if (path.parent / "training.json").is_file() else path.name
    return run + ", sliced" * init.startswith("sliced:")


def hours(journal: Path) -> float | None:
    """By the clock, from each start to the last line that a training wrote of itself."""
    if not journal.is_file():
        return None
    total, last = 0.0, None
    for number, event in enumerate(read_events(journal)):
        if number == 0 or event.kind == "status":
            last = event.time if event.data.get("status", "RUNNING") == "RUNNING" else None
        elif any(name.startswith(("train/", "val/")) for name in event.data.get("values", {})):
            if last is not None and event.time - last <= LONGEST_PAUSE * 1000:
                total += event.time - last
            last = event.time
    return total / 3.6e6
