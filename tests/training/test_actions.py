"""What hangs on the training loop: progress and metrics."""

from __future__ import annotations

from pathlib import Path

import pytest
import tensorflow as tf

from pipeline.training.actions import MetricsManager, ProgressBar


def test_metrics_go_to_the_tracker_at_the_global_step_with_their_group(tmp_path: Path) -> None:
    logged = []
    step = tf.Variable(40, dtype=tf.int64)
    manager = MetricsManager(str(tmp_path), step, "val", lambda metrics, at: logged.append((metrics, at)))
    manager.write_summaries({"AP50": tf.constant(0.5), "nested": {"loss": 2.0}})
    assert logged == [({"val/AP50": 0.5, "val/nested/loss": 2.0}, 40)]


def test_progress_says_loss_speed_and_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    step = tf.Variable(0)
    with ProgressBar(100, 8, step) as bar:
        step.assign(10)
        bar({"total_loss": 1.25})
    line = capsys.readouterr().err
    assert "step 10/100" in line
    assert "loss 1.250" in line
    assert "pictures/s" in line
    assert "left" in line
