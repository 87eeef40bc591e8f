"""A shared MLflow server that is there, dies in the middle, and comes back."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from pipeline.config.schema import TrackingConfig, TrainConfig
from pipeline.tracking import Run
from pipeline.tracking.__main__ import main


def steps(uri: str, run: Run, name: str = "loss") -> list[int]:
    return sorted(point.step for point in MlflowClient(uri).get_metric_history(str(run.id), name))


def status(uri: str, run: Run) -> str:
    return str(MlflowClient(uri).get_run(str(run.id)).info.status)


def test_the_environment_points_at_a_shared_server_and_files_travel_by_http(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    (tmp_path / "plot.png").write_bytes(b"png")
    with Run.start(TrackingConfig(), "remote", folder=tmp_path / "run", params={"a": 1}) as run:
        run.log_metrics({"loss": 1.0}, 20)
        run.log_artifacts(tmp_path / "plot.png", "evaluation")
    client = MlflowClient(server.uri)
    stored = client.get_run(str(run.id))
    assert stored.info.status == "FINISHED" and stored.data.params == {"a": "1"}
    assert stored.info.artifact_uri.startswith("mlflow-artifacts:")
    copy = client.download_artifacts(str(run.id), "evaluation/plot.png", str(tmp_path))
    assert Path(copy).read_bytes() == b"png"
    assert client.get_experiment_by_name("veil").tags["mlflow.experimentKind"] == "custom_model_development"


def test_a_password_in_the_address_reaches_neither_file_nor_store_nor_screen(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    uri = server.uri.replace("//", "//admin:s3cr3t@w0rd@")
    monkeypatch.setattr(sys, "argv", ["train.py", f"tracking.uri={uri}"])
    config = TrainConfig(tracking=TrackingConfig(uri=uri))
    for _ in range(2):  # the second time it is resumed
        with Run.start(config.tracking, "secret", folder=tmp_path, params=config) as run:
            run.log_metrics({"loss": 1.0}, 20)
    stored = MlflowClient(server.uri).get_run(str(run.id))
    assert stored.info.status == "FINISHED" and len(steps(server.uri, run)) == 1
    assert stored.data.params["tracking.uri"] == server.uri
    assert stored.data.tags["command"] == f"python train.py tracking.uri={server.uri}"
    assert not [name for name in stored.data.tags if name.startswith("changed.")]
    written = [path for folder in (tmp_path, server.folder) for path in folder.rglob("*") if path.is_file()]
    assert {"metrics.jsonl", "tracking.json", "config.yaml", "server.db"} <= {path.name for path in written}
    said = "".join(capfd.readouterr()).encode()
    for secret in (b"s3cr3t", b"w0rd"):
        assert secret not in said
        assert not [path for path in written if secret in path.read_bytes()]


def test_a_server_killed_in_the_middle_neither_stalls_nor_loses_the_run(
    server: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """One server for all three ways back: by itself, by `sync`, and by resuming; starting one is slow."""
    config = TrackingConfig(uri=server.uri)
    run = Run.start(config, "r", folder=tmp_path / "lives")
    ends = Run.start(config, "r", folder=tmp_path / "ends")
    breaks = Run.start(config, "r", folder=tmp_path / "breaks")
    for each in (run, ends, breaks):
        each.log_metrics({"loss": 1.0}, 20)
        assert each.flush()
    server.kill()
    try:
        start = time.monotonic()
        for step in range(40, 440, 20):
            for each in (run, ends, breaks):
                each.log_metrics({"loss": 0.5}, step)
        assert time.monotonic() - start < 1
        with pytest.raises(RuntimeError), breaks:
            raise RuntimeError("training failed, too")
        start = time.monotonic()
        ends.finish(seconds=1)
        assert time.monotonic() - start < 20
        said = capfd.readouterr().err
        assert said.count("cannot be reached or written") == 3, said  # once a run, not once a call
        assert server.uri in said and str(tmp_path / "lives" / "metrics.jsonl") in said
        assert f"python -m pipeline.tracking sync {tmp_path / 'ends'}" in said
    finally:
        server.start()
    assert run.flush(60)
    expected = list(range(20, 440, 20))
    assert steps(server.uri, run) == expected and "is back after" in capfd.readouterr().err
    run.finish()
    assert steps(server.uri, ends) == [20] and status(server.uri, ends) == "RUNNING"
    assert main(["sync", str(tmp_path / "ends")]) == 0
    assert steps(server.uri, ends) == expected and status(server.uri, ends) == "FINISHED"
    again = Run.start(config, "r", folder=tmp_path / "breaks")
    assert again.flush() and again.id == breaks.id
    assert steps(server.uri, again) == expected and status(server.uri, again) == "RUNNING"
    again.finish()


def test_resuming_while_the_server_is_away_goes_on_and_warns(
    tmp_path: Path, config: TrackingConfig, capfd: pytest.CaptureFixture[str]
) -> None:
    database = Path(str(config.uri).removeprefix("sqlite:///"))
    with Run.start(config, "r", folder=tmp_path / "run") as first:
        first.log_metrics({"loss": 1.0}, 20)
    content = database.read_bytes()
    database.write_bytes(b"this is no database" * 100)
    second = Run.start(TrackingConfig(uri=config.uri), "r", folder=tmp_path / "run")
    second.log_metrics({"loss": 0.5}, 40)
    assert not second.flush(0.5) and second.id == first.id
    assert "cannot be reached or written" in capfd.readouterr().err
    database.write_bytes(content)
    second.finish(seconds=30)
    assert steps(str(config.uri), second) == [20, 40] and status(str(config.uri), second) == "FINISHED"
