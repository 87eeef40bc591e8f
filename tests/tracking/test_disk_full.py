"""The disk fills up while a run is tracked: the training goes on, one warning, nothing lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from mlflow import MlflowClient

from pipeline.config.schema import TrackingConfig

# A limit on the size of files does what a full disk does (writes fail), to this process alone.
TRAINING = """
import resource, sys, time
from pathlib import Path
from pipeline.config.schema import TrackingConfig
from pipeline.tracking import Run, sender

sender.FIRST_PAUSE = sender.BATCH_SECONDS = 0.1

def limit(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

with Run.start(TrackingConfig(uri=sys.argv[1]), "r", folder=sys.argv[2]) as run:
    run.log_metrics({"loss": 1.0}, 0)
    assert run.flush()
    limit(int(sys.argv[3]) or Path(sys.argv[1].removeprefix("sqlite:///")).stat().st_size)
    for step in range(1, 3000):
        run.log_metrics({f"metric{index}": step for index in range(5)}, step)
    assert not run.flush(3)
    if sys.argv[4] == "freed":
        limit(resource.RLIM_INFINITY)
    print(run.id, flush=True)
"""


def run(config: TrackingConfig, folder: Path, root: Path, size: int, then: str) -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, "-c", TRAINING, str(config.uri), str(folder), str(size), then],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr


def test_disks_that_are_freed_again_get_everything(
    config: TrackingConfig, tmp_path: Path, root: Path
) -> None:
    """The store's disk and that of the run's own record."""
    run_id, said = run(config, tmp_path / "run", root, 4096, "freed")
    assert said.count("cannot be reached or written") == 1 and said.count("is back after") == 1
    assert said.count("record cannot be written") == 1
    stored = MlflowClient(config.uri).get_run(run_id)
    assert stored.info.status == "FINISHED" and stored.data.metrics["metric4"] == 2999
    assert len(MlflowClient(config.uri).get_metric_history(run_id, "metric4")) == 2999


def test_a_disk_that_stays_full_ends_in_one_line_that_says_what_to_do(
    config: TrackingConfig, tmp_path: Path, root: Path
) -> None:
    _, said = run(config, tmp_path / "run", root, 0, "full")
    assert said.count("cannot be reached or written") == 1 and "is back after" not in said
    assert "entries have not reached the store" in said and "Traceback" not in said
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert sum('"metrics"' in line for line in lines) == 3000
