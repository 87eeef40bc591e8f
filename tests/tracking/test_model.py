"""The exported detector in MLflow's registry."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient

from pipeline.config.schema import TrackingConfig
from pipeline.data.version import DatasetVersion
from pipeline.tracking import Run


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SavedModel of the detector's signature whose answer depends on the picture."""
    import tensorflow as tf

    class Module(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bias = tf.Variable(0.25)

        @tf.function
        def serve(self, input_tensor: Any) -> dict[str, Any]:
            mean = tf.reduce_mean(tf.cast(input_tensor, tf.float32)) / 255 + self.bias
            return {
                "detection_boxes": tf.reshape(tf.stack([0.0, 0.0, mean, 1.0]), [1, 1, 4]),
                "detection_scores": tf.reshape(mean, [1, 1]),
                "detection_raw_scores": tf.reshape(mean, [1, 1]),
                "detection_classes": tf.ones([1, 1]),
                "num_detections": tf.ones([1]),
            }

    folder = tmp_path_factory.mktemp("export") / "saved_model"
    module = Module()
    spec = tf.TensorSpec([1, None, None, 3], tf.uint8, name="input_tensor")
    tf.saved_model.save(module, str(folder), {"serving_default": module.serve.get_concrete_function(spec)})
    return folder


def log(config: TrackingConfig, folder: Path, saved_model: Path, recall: float) -> Run:
    version = DatasetVersion(folder, "facemask", "9f3b", {"test": 20}, {"test": 90}, {}, {})
    with Run.start(config, f"d2-{folder.name}.v1", folder=folder, params={"model": "d2"}) as run:
        run.log_dataset(version)
        run.log_model(
            saved_model,
            step=500,
            metrics={"test/recall": recall},
            split="test",
            description="# Card\nApache-2.0",
            tags={"dataset": "facemask", "fingerprint": "9f3b"},
        )
    return run


def test_the_registered_version_loads_and_answers_as_the_savedmodel(
    config: TrackingConfig, tmp_path: Path, saved_model: Path
) -> None:
    import mlflow
    import tensorflow as tf
    from skimage.data import astronaut

    run = log(config, tmp_path / "run", saved_model, recall=0.9)
    picture = astronaut()[None]
    mlflow.set_tracking_uri(config.uri)
    model = mlflow.pyfunc.load_model("models:/veil-face-detector/1")
    answer = model.predict(picture)
    direct = tf.saved_model.load(str(saved_model)).signatures["serving_default"](tf.constant(picture))
    assert set(answer) == set(direct)
    for name, value in direct.items():
        np.testing.assert_array_equal(answer[name], value.numpy())
    assert str(model.metadata.signature.inputs) == "[Tensor('uint8', (1, -1, -1, 3))]"
    assert {spec.name for spec in model.metadata.signature.outputs} == set(direct)
    with pytest.raises(mlflow.exceptions.MlflowException):
        model.predict(picture[0])  # the signature is enforced: no batch axis
    mlmodel = next((tmp_path / "store").rglob("MLmodel")).read_text()
    assert str(saved_model) not in mlmodel and "tracking/detector_flavor" not in mlmodel
    client = MlflowClient(config.uri)
    version = client.get_model_version_by_alias("veil-face-detector", "latest-trained")
    assert (int(version.version), version.run_id, version.description) == (1, run.id, "# Card\nApache-2.0")
    assert version.tags == {"dataset": "facemask", "fingerprint": "9f3b"}
    logged = client.get_logged_model(version.source.removeprefix("models:/"))
    assert logged.name == "d2-run-v1" and logged.params == {"model": "d2"}
    (metric,) = logged.metrics
    assert (metric.key, metric.value, metric.dataset_name) == ("test/recall", 0.9, "facemask-test")
    assert client.get_run(str(run.id)).outputs.model_outputs[0].model_id == logged.model_id


def test_the_next_training_is_the_next_version(
    config: TrackingConfig, tmp_path: Path, saved_model: Path
) -> None:
    log(config, tmp_path / "one", saved_model, recall=0.8)
    second = log(config, tmp_path / "two", saved_model, recall=0.9)
    version = MlflowClient(config.uri).get_model_version_by_alias("veil-face-detector", "latest-trained")
    assert (int(version.version), version.run_id) == (2, second.id)


def test_a_folder_without_a_savedmodel_is_a_warning(
    config: TrackingConfig, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    start = time.monotonic()
    run = log(config, tmp_path / "run", tmp_path, recall=0.0)
    assert "holds no saved_model.pb" in capfd.readouterr().err and time.monotonic() - start < 30
    client = MlflowClient(config.uri)
    assert client.search_registered_models() == []
    assert client.get_run(str(run.id)).info.status == "FINISHED"
