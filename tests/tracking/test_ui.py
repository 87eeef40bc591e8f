"""``python -m pipeline.tracking ui``: what ``make ui`` runs."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from pipeline.config.schema import TrackingConfig
from pipeline.errors import UserError
from pipeline.tracking import Run, locate
from pipeline.tracking.__main__ import main
from pipeline.tracking.store import ROOT
from pipeline.tracking.ui import choose_port, command, serve


def post(url: str, data: dict[str, Any]) -> Any:
    request = urllib.request.Request(url, json.dumps(data).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def test_it_shows_what_training_wrote_and_ends_cleanly(config: TrackingConfig, tmp_path: Path) -> None:
    with Run.start(config, "shown", folder=tmp_path / "run") as run:
        run.log_metrics({"loss": 1.0}, 1)
    ui = subprocess.Popen(
        [sys.executable, "-m", "pipeline.tracking", "--uri", str(config.uri), "ui"],
        cwd=ROOT,
        env={**os.environ},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert ui.stdout
        line = next(line for line in ui.stdout if "http" in line).strip()
        address, page = line.split("/#/experiments/")
        assert address.startswith("http://127.0.0.1:")
        found = post(f"{address}/api/2.0/mlflow/runs/search", {"experiment_ids": [page]})
        assert [entry["info"]["run_id"] for entry in found["runs"]] == [run.id]
        with pytest.raises(urllib.error.HTTPError, match="404"):  # no assistant that runs commands
            post(f"{address}/ajax-api/3.0/mlflow/assistant/message", {})
    finally:
        ui.send_signal(signal.SIGINT)
    assert ui.wait(timeout=30) == 0
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{address}/health", timeout=2)


def test_a_shared_server_is_only_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert serve("https://me:secret@mlflow.example.org", None, "veil") == 0
    said = capsys.readouterr().out
    assert "https://mlflow.example.org" in said and "secret" not in said


def test_a_taken_port_is_passed_over_or_refused_by_name() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        with pytest.raises(UserError, match=f"--port {taken}: taken"):
            choose_port(taken)
    assert choose_port(None) >= 1024


@pytest.mark.parametrize("port", ["70000", "80", "0", "-1", "http", ""])
def test_a_port_that_there_is_not_is_refused_by_name(
    port: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pipeline.tracking.ui.serve", lambda *_: pytest.fail("it served"))
    with pytest.raises(SystemExit, match="2"):
        main(["ui", "--port", port])
    assert f"--port: {port!r}; allowed: a whole number from 1024 to 65535" in capsys.readouterr().err


def test_it_listens_on_this_machine_only() -> None:
    started = command(locate("sqlite:///x.db"), "http://127.0.0.1:5000")
    assert started[started.index("--host") + 1] == "127.0.0.1"


def test_training_and_ui_agree_on_the_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert locate().uri == f"sqlite:///{ROOT / 'outputs' / 'mlflow' / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server:5000")
    assert locate().uri == "http://server:5000"
    assert locate("sqlite:///own.db").uri == f"sqlite:///{tmp_path / 'own.db'}"


def test_importing_the_tracker_does_not_import_mlflow() -> None:
    code = "import sys, pipeline.tracking; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
