"""A run on the embedded kind of store: what MLflow holds in the end."""

from __future__ import annotations

import json
import sqlite3
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipeline.config.schema import TrackingConfig, TrainConfig
from pipeline.data.version import DatasetVersion
from pipeline.errors import UserError
from pipeline.tracking import Run
from pipeline.tracking.ending import Terminated


class StoppedBySignal(Exception):
    signum = 15


def version(folder: Path) -> DatasetVersion:
    return DatasetVersion(
        folder=folder,
        name="facemask",
        fingerprint="9f3b1c7e" * 8,
        counts={"train": 70, "val": 10, "test": 20},
        boxes={"train": 300, "val": 40, "test": 90},
        labels={},
        roots={},
    )


def history(config: TrackingConfig, run: Run, name: str) -> list[tuple[int, float]]:
    assert run.id
    points = MlflowClient(config.uri).get_metric_history(run.id, name)
    return sorted((point.step, point.value) for point in points)


def test_everything_of_a_run_reaches_mlflow(config: TrackingConfig, tmp_path: Path) -> None:
    plots = tmp_path / "plots"
    plots.mkdir()
    (plots / "pr.png").write_bytes(b"png")
    settings = TrainConfig()
    with Run.start(
        config, "d2", folder=tmp_path / "run", params=settings, tags={"team": "a"}, description="# A note"
    ) as run:
        for step in (20, 40):
            run.log_metrics({"train": {"loss": 1 / step}, "picture": "no number"}, step)
        run.log_dataset(version(tmp_path))
        run.log_artifacts(plots, "evaluation")
    client = MlflowClient(config.uri)
    stored = client.get_run(str(run.id))
    assert stored.info.status == "FINISHED" and stored.info.run_name == "d2"
    assert stored.data.params["trainer.batch_size"] == "8"
    assert stored.data.params["trainer.optimizer"] == "adamw"
    assert stored.data.tags["mlflow.note.content"] == "# A note" and stored.data.tags["team"] == "a"
    assert len(stored.data.tags["mlflow.source.git.commit"]) == 40
    assert stored.data.tags["command"].startswith("python ")
    assert history(config, run, "train/loss") == [(20, 0.05), (40, 0.025)]
    datasets = {entry.tags[0].value: entry.dataset for entry in stored.inputs.dataset_inputs}
    assert set(datasets) == {"train", "val", "test"}
    assert datasets["test"].digest == "9f3b1c7e" * 4 + "9f3b"
    assert json.loads(datasets["test"].profile) == {"pictures": 20, "faces": 90}
    assert {item.path for item in client.list_artifacts(str(run.id))} == {"config.yaml", "evaluation"}
    assert [item.path for item in client.list_artifacts(str(run.id), "evaluation")] == ["evaluation/pr.png"]


def test_nothing_of_the_machine_is_told(config: TrackingConfig, tmp_path: Path) -> None:
    with Run.start(config, "r", folder=tmp_path / "run") as run:
        run.log_dataset(version(tmp_path))
    stored = MlflowClient(config.uri).get_run(str(run.id))
    assert str(tmp_path) not in str(stored.inputs)
    assert "mlflow.user" not in stored.data.tags


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (None, "FINISHED"),
        (SystemExit(0), "FINISHED"),
        (RuntimeError("no memory"), "FAILED"),
        (SystemExit(1), "FAILED"),
        (KeyboardInterrupt(), "KILLED"),
        (Terminated(), "KILLED"),
        (StoppedBySignal(), "KILLED"),
    ],
)
def test_how_a_run_ended(
    config: TrackingConfig, tmp_path: Path, error: BaseException | None, status: str
) -> None:
    run = Run.start(config, "r", folder=tmp_path / "run")
    try:
        with run:
            if error is not None:
                raise error
    except BaseException as caught:
        assert caught is error
    assert MlflowClient(config.uri).get_run(str(run.id)).info.status == status


def test_resuming_continues_the_run_and_draws_nothing_twice(config: TrackingConfig, tmp_path: Path) -> None:
    client = MlflowClient(config.uri)
    with pytest.raises(KeyboardInterrupt), Run.start(config, "r", folder=tmp_path, params={"a": 1}) as first:
        for step in (20, 40, 60):
            first.log_metrics({"loss": 100 + step}, step)
        raise KeyboardInterrupt
    second = Run.start(config, "r", folder=tmp_path, params={"a": 2, "b": 3})
    assert second.resumed and second.id == first.id
    second.flush()
    assert client.get_run(str(first.id)).info.status == "RUNNING"
    for step in (40, 60, 80):  # from the checkpoint at 20
        second.log_metrics({"loss": 200 + step}, step)
    second.finish()
    assert history(config, second, "loss") == [(20, 120), (40, 140), (60, 160), (80, 280)]
    stored = client.get_run(str(first.id))
    assert stored.info.status == "FINISHED"
    assert stored.data.params == {"a": "1", "b": "3"} and stored.data.tags["changed.a"] == "2"
    assert len(client.search_runs([stored.info.experiment_id])) == 1


def test_a_run_deleted_from_the_store_begins_anew_with_its_whole_record(
    config: TrackingConfig, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with Run.start(config, "r", folder=tmp_path, params={"a": 1}) as first:
        first.log_metrics({"loss": 1.0}, 20)
    MlflowClient(config.uri).delete_run(str(first.id))
    with Run.start(config, "r", folder=tmp_path, params={"a": 1}) as second:
        second.log_metrics({"loss": 0.5}, 40)
    assert second.id != first.id and "no longer has run" in capfd.readouterr().err
    assert history(config, second, "loss") == [(20, 1.0), (40, 0.5)]
    assert MlflowClient(config.uri).get_run(str(second.id)).data.params == {"a": "1"}


def test_switched_off_it_keeps_the_record_and_touches_no_store(tmp_path: Path) -> None:
    off = TrackingConfig(enabled=False, uri=f"sqlite:///{tmp_path / 'store' / 'mlflow.db'}")
    with Run.start(off, "r", folder=tmp_path / "run", params={"a": 1}) as run:
        run.log_metrics({"loss": 1.0}, 20)
    assert run.id is None and not (tmp_path / "store").exists()
    assert '"loss": 1.0' in (tmp_path / "run" / "metrics.jsonl").read_text()


def test_more_parameters_and_metrics_than_one_call_takes(config: TrackingConfig, tmp_path: Path) -> None:
    many = {f"p{index}": "x" * 7000 for index in range(230)}
    with Run.start(config, "r", folder=tmp_path, params=many) as run:
        run.log_metrics({f"m{index}": index for index in range(1200)}, 1)
        for step in range(1500):
            run.log_metrics({"loss": step}, step)
    stored = MlflowClient(config.uri).get_run(str(run.id))
    assert len(stored.data.params) == 230 and len(stored.data.params["p0"]) == 6000
    assert len(stored.data.metrics) == 1201 and len(history(config, run, "loss")) == 1500


def test_logging_a_metric_costs_the_training_nothing_even_when_the_database_is_locked(
    config: TrackingConfig, tmp_path: Path
) -> None:
    with Run.start(config, "r", folder=tmp_path) as run:
        run.flush()
        other = sqlite3.connect(str(config.uri).removeprefix("sqlite:///"), isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        start = time.perf_counter()
        for step in range(200):
            run.log_metrics({"train/loss": step}, step)
        seconds = (time.perf_counter() - start) / 200
        time.sleep(0.5)
        other.execute("COMMIT")
        other.close()
    assert seconds < 0.005
    assert len(history(config, run, "train/loss")) == 200


def test_an_artifact_that_is_gone_is_named_and_holds_up_nothing(
    config: TrackingConfig, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with Run.start(config, "r", folder=tmp_path) as run:
        run.log_artifacts(tmp_path / "absent.png")
        run.log_metrics({"loss": 1.0}, 1)
    assert "absent.png is not there any more" in capfd.readouterr().err
    assert history(config, run, "loss") == [(1, 1.0)]


def test_artifacts_that_cannot_be_stored_hold_up_nothing(
    config: TrackingConfig, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "store" / "artifacts").write_text("a file where the folder should be")
    (tmp_path / "plot.png").write_bytes(b"png")
    with Run.start(config, "r", folder=tmp_path / "run") as run:
        run.log_artifacts(tmp_path / "plot.png")
        run.log_metrics({"loss": 1.0}, 1)
    assert "refuses artifacts" in capfd.readouterr().err
    assert history(config, run, "loss") == [(1, 1.0)]
    assert MlflowClient(config.uri).get_run(str(run.id)).info.status == "FINISHED"


@pytest.mark.parametrize("uri", ["sqlite:////proc/none/mlflow.db", "http://127.0.0.1:9", "nonsense://x"])
def test_a_store_that_cannot_be_reached_stops_a_new_run_with_one_message(tmp_path: Path, uri: str) -> None:
    start = time.monotonic()
    with pytest.raises(UserError, match=r"tracking\.uri: .*cannot be reached or written"):
        Run.start(TrackingConfig(uri=uri), "r", folder=tmp_path)
    assert time.monotonic() - start < 20
    Run.start(TrackingConfig(enabled=False), "r", folder=tmp_path).finish()  # the folder is free again


def test_a_password_in_an_address_that_fails_is_never_shown(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        Run.start(TrackingConfig(uri="http://me:secret@127.0.0.1:9"), "r", folder=tmp_path)
    assert "secret" not in str(caught.value) and "127.0.0.1:9" in str(caught.value)
    assert not any("secret" in path.read_text() for path in tmp_path.iterdir())
