"""Real processes that die in the middle of a run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipeline.config.schema import TrackingConfig
from pipeline.errors import UserError
from pipeline.tracking import Run

TRAINING = """
import sys, time
from pipeline.config.schema import TrackingConfig
from pipeline.tracking import Run
with Run.start(TrackingConfig(uri=sys.argv[1]), "r", folder=sys.argv[2]) as run:
    run.log_metrics({"loss": 1.0}, 20)
    print(run.id, flush=True)
    time.sleep(600)
"""


def start(config: TrackingConfig, folder: Path, root: Path) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, "-c", TRAINING, str(config.uri), str(folder)],
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    return process, process.stdout.readline().strip()


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.2)
    return condition()


@pytest.mark.parametrize(
    ("signum", "status", "code"),
    [(signal.SIGTERM, "KILLED", 143), (signal.SIGKILL, "FAILED", -9)],
)
def test_a_run_says_how_its_process_died(
    config: TrackingConfig, tmp_path: Path, root: Path, signum: signal.Signals, status: str, code: int
) -> None:
    process, run_id = start(config, tmp_path, root)
    process.send_signal(signum)
    assert process.wait(timeout=60) == code
    client = MlflowClient(config.uri)
    assert wait_for(lambda: client.get_run(run_id).info.status == status), client.get_run(run_id).info.status
    assert client.get_run(run_id).data.metrics == {"loss": 1.0}


def test_two_processes_never_write_one_run_and_a_killed_one_resumes(
    config: TrackingConfig, tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.tracking import opening

    process, run_id = start(config, tmp_path, root)
    monkeypatch.setattr(opening, "WAIT_SECONDS", 0.1)
    with pytest.raises(UserError, match="another process is running it"):
        Run.start(config, "r", folder=tmp_path)
    monkeypatch.setattr(opening, "WAIT_SECONDS", 60)
    process.kill()
    process.wait()
    with Run.start(config, "r", folder=tmp_path) as run:  # at once, while the watchdog wakes up
        run.log_metrics({"loss": 0.5}, 40)
    assert run.id == run_id
    stored = MlflowClient(config.uri).get_run(run_id)
    assert (stored.info.status, stored.data.metrics) == ("FINISHED", {"loss": 0.5})
