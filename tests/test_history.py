"""What run folders tell of the trainings behind a detector."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import yaml

from pipeline.history import history, hours

MINUTE = 60_000


def run(folder: Path, init: str, steps: int, minutes: int = 30) -> Path:
    folder.mkdir(parents=True)
    trainer = {"batch_size": 8, "image_size": 384, "optimizer": "adamw", "ema_decay": 0.998, "seed": 0}
    config = {"model": {"init": init}, "trainer": trainer | {"learning_rate": 6e-4}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    result = {"step": steps, "best_step": steps - 1, "best_metric": 0.8}
    (folder / "training.json").write_text(json.dumps(result))
    entries = [
        {"kind": "params", "time": 0, "values": {"trainer.steps": "9"}},
        {"kind": "metrics", "time": minutes * MINUTE, "step": steps, "values": {"train/total_loss": 1}},
    ]
    write(folder / "metrics.jsonl", entries)
    return folder


def write(path: Path, entries: list[dict]) -> Path:
    path.write_text("".join(json.dumps({"n": n, **entry}) + "\n" for n, entry in enumerate(entries, 1)))
    return path


def test_the_trainings_that_led_to_a_run_in_order(tmp_path: Path) -> None:
    first = run(tmp_path / "first", "weights/backbone.h5", 100)
    run(tmp_path / "second", str(first / "efficientdet_d2"), 50, minutes=15)
    one, two = history(tmp_path / "second")
    assert (one.run, one.started_from, one.steps, one.hours) == ("first", "backbone.h5", 100, 0.5)
    assert (two.run, two.started_from, two.kept_step, two.hours) == ("second", "first", 49, 0.25)


def test_a_release_is_a_start_without_a_run(tmp_path: Path) -> None:
    (record,) = history(run(tmp_path / "d0", "sliced:models/efficientdet_d2", 10))
    assert record.started_from == "efficientdet_d2, sliced"


def test_the_card_of_a_start_tells_of_the_trainings_before(tmp_path: Path) -> None:
    """Also when the release has since replaced its own start, whose card then names the last one, too."""
    released = tmp_path / "models" / "d2"
    released.mkdir(parents=True)
    first = history(run(tmp_path / "first", "weights/backbone.h5", 100))
    last = run(tmp_path / "last", str(released), 50)
    for known in (first, [*first, *history(last)]):
        (released / "model_card.json").write_text(json.dumps({"stages": [asdict(each) for each in known]}))
        assert [each.run for each in history(last)] == ["first", "last"]


@pytest.mark.parametrize(
    ("between", "expected"),
    [
        ([], 0.5),
        ([("status", "FINISHED"), ("status", "RUNNING")], 0.25),  # paused from minute 10 to 25
        ([("status", "RUNNING")], 0.25),  # it had crashed without a word
        ([("metrics", "test/AP")], 0.5),  # an evaluation is no training, and no pause either
    ],
)
def test_hours_leave_pauses_out(tmp_path: Path, between: list[tuple[str, str]], expected: float) -> None:
    entries: list[dict] = [{"kind": "tags", "time": 0, "values": {}}]
    entries.append({"kind": "metrics", "time": 10 * MINUTE, "values": {"train/total_loss": 2}})
    for minute, (kind, word) in zip((12, 25) if len(between) > 1 else (25,), between, strict=False):
        rest = {"status": word} if kind == "status" else {"values": {word: 1.0}}
        entries.append({"kind": kind, "time": minute * MINUTE, **rest})
    entries.append({"kind": "metrics", "time": 30 * MINUTE, "values": {"val/AP50": 0.5}})
    assert hours(write(tmp_path / "metrics.jsonl", entries)) == pytest.approx(expected)


@pytest.mark.parametrize("torn", ['{"n": 2, "kind": "metr', "", "\0\0\0"])
def test_hours_of_a_record_with_a_torn_line(tmp_path: Path, torn: str) -> None:
    """As a kill, a full disk or a power cut leaves it."""
    record = run(tmp_path / "run", "weights/backbone.h5", 100) / "metrics.jsonl"
    first, rest = record.read_text().split("\n", 1)
    record.write_text(f"{first}\n{torn}\n{rest}")
    assert [each.hours for each in history(tmp_path / "run")] == [0.5]


def test_a_night_without_a_line_is_no_training(tmp_path: Path) -> None:
    entries = [
        {"kind": "metrics", "time": hour * 60 * MINUTE, "values": {"train/total_loss": 1}} for hour in (0, 9)
    ]
    assert hours(write(tmp_path / "metrics.jsonl", entries)) == 0
    assert hours(tmp_path / "nowhere.jsonl") is None
