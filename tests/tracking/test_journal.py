from __future__ import annotations

import json
from pathlib import Path

from pipeline.tracking.journal import Journal


def metrics(journal: Journal, step: int, **values: float) -> None:
    journal.append("metrics", step=step, values=values)


def test_what_was_not_sent_is_pending_again_after_a_restart(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.bind("run", "http://server")
    for step in range(5):
        metrics(journal, step, loss=1.0)
    journal.sent(journal.next_batch(2)[-1])
    assert [event.data["step"] for event in Journal(tmp_path).pending] == [2, 3, 4]


def test_another_store_is_owed_everything(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.bind("run", "http://one")
    metrics(journal, 1, loss=1.0)
    journal.sent(journal.next_batch(10)[-1])
    assert not journal.pending
    journal.bind("other", "http://two")
    assert len(journal.pending) == 1


def test_a_torn_last_line_is_skipped_and_not_glued_to_the_next(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    metrics(journal, 1, loss=1.0)
    metrics(journal, 2, loss=0.5)
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    again = Journal(tmp_path)
    metrics(again, 2, loss=0.5)
    assert [event.data["step"] for event in Journal(tmp_path).pending] == [1, 2]


def test_metrics_are_batched_and_other_events_stand_alone(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    metrics(journal, 1, a=1.0, b=1.0)
    metrics(journal, 2, a=1.0, b=1.0)
    metrics(journal, 3, a=1.0, b=1.0)
    journal.append("tags", values={"x": "1"})
    journal.append("tags", values={"y": "1"})
    sizes = []
    while batch := journal.next_batch(limit=4):
        sizes.append(len(batch))
        journal.sent(batch[-1])
    assert sizes == [2, 1, 1, 1]


def test_a_metric_knows_the_steps_it_has(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    metrics(journal, 20, loss=1.0)
    metrics(journal, 40, loss=0.9)
    metrics(journal, 0, AP=float("nan"))
    loss, figure = Journal(tmp_path).curves["loss"], Journal(tmp_path).curves["AP"]
    assert loss.covers(20, 0.7) and loss.covers(40, 0.7) and not loss.covers(60, 0.7)
    assert figure.covers(0, float("nan")) and not figure.covers(0, 0.5)


def test_a_folder_that_cannot_be_written_is_reported_and_loses_nothing(tmp_path: Path) -> None:
    errors: list[OSError] = []
    journal = Journal(tmp_path / "run", on_error=errors.append)
    (tmp_path / "run").rmdir()
    metrics(journal, 1, loss=1.0)
    assert errors and len(journal.pending) == 1


def test_the_record_is_plain_json_lines(tmp_path: Path) -> None:
    metrics(Journal(tmp_path), 7, loss=0.25)
    line = json.loads((tmp_path / "metrics.jsonl").read_text())
    assert (line["kind"], line["step"], line["values"]) == ("metrics", 7, {"loss": 0.25})
