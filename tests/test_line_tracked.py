"""What MLflow holds of a detector that is evaluated again: the real line, but for its training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from pipeline.config.compose import compose
from pipeline.config.schema import TrainConfig
from pipeline.data.sample import generate
from pipeline.line import run_line
from pipeline.tracking import Run
from tests.anonymize.tiny import build_tiny

TRAINING = {"checkpoint": "none", "step": 8, "best_step": 8, "best_metric": 0.5, "stopped_early": False}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("line")


@pytest.fixture(scope="module")
def client(place: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{place / 'mlflow.db'}")


@pytest.fixture(scope="module")
def run(place: Path, client: MlflowClient) -> Any:
    """MLflow's, of a detector that was evaluated in three ways, the last one on the validation split."""
    sample = generate(place / "sample", pictures=12)
    detector = ["run=mine", "model=efficientdet_d0", "model.init=random", "stages=[evaluate]"]
    data = [f"dataset.sources.sample.root={sample}", "dataset.split.val=0.3"]
    places = [f"outputs={place}", f"dataset.versions={place / 'versions'}"]
    store = [f"tracking.uri=sqlite:///{place / 'mlflow.db'}"]
    config = compose(TrainConfig, "train", [*detector, *data, *places, *store])
    build_tiny(place / "mine" / "efficientdet_d0")
    (place / "mine" / "training.json").write_text(json.dumps(TRAINING))
    with Run.start(config.tracking, "mine", folder=place / "mine") as run:
        run.log_metrics({"val/AP50": 0.5}, 8)
    run_line(config)
    config.evaluation.contact_sheets = True
    run_line(config)
    config.evaluation.split = "val"
    run_line(config)
    return client.get_run(str(run.id))


def test_figures_on_the_validation_split_stand_beside_the_curves_of_the_training(
    run: Any, place: Path, client: MlflowClient
) -> None:
    figures = json.loads((place / "mine" / "release.json").read_text())["metrics"]
    names = {f"evaluation/val/{name}" for name in figures}
    assert (
        {"evaluation/val/AP", "evaluation/val/AP50", "evaluation/val/AP75"} <= names <= set(run.data.metrics)
    )
    assert {"test/AP50", "test/recall_at_threshold"} <= set(run.data.metrics)
    assert [name for name in run.data.metrics if name.startswith("val/")] == ["val/AP50"]
    curve = client.get_metric_history(run.info.run_id, "val/AP50")
    assert [(point.step, point.value) for point in curve] == [(8, 0.5)]


def test_a_detector_is_registered_once_however_often_it_is_evaluated(run: Any, client: MlflowClient) -> None:
    (version,) = client.search_model_versions()
    assert version.run_id == run.info.run_id
    metrics = client.get_logged_model(version.source.removeprefix("models:/")).metrics
    assert {(metric.key.split("/")[0], metric.dataset_name) for metric in metrics} == {
        ("test", "sample-test")
    }
