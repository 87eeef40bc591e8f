"""The exported detector as an MLflow model and a version in the model registry."""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.models import ModelSignature

FAMILY = "Veil's face detectors: one version for each training that was exported."
ALIAS = "latest-trained"
RESULT_STEP = 0  # the UI compares a figure as bars over the runs when it stands at step 0, else as a lone dot
LOADER = Path(__file__).with_name("detector_flavor.py")


def log_model(
    client: MlflowClient,
    run_id: str,
    *,
    folder: str,
    registered_model: str,
    name: str,
    description: str,
    tags: Mapping[str, str],
    metrics: Mapping[str, float],
    dataset: Sequence[str | None],
    step: int,
    aliases: Sequence[str] = (),
) -> str:
    """Log the SavedModel in ``folder`` to the run and register it; the new version's number.

    It loads again as ``mlflow.pyfunc.load_model(f"models:/{registered_model}/{version}")``.
    """
    from mlflow.entities import LoggedModelOutput, Metric

    if not (Path(folder) / "saved_model.pb").is_file():
        raise FileNotFoundError(f"{folder} holds no saved_model.pb")
    run = client.get_run(run_id)
    model_id = _upload(client, run, Path(folder), name, tags)
    client.log_outputs(run_id, [LoggedModelOutput(model_id, step)])
    data_name, digest = dataset
    logged = [
        Metric(key, value, run.info.start_time, RESULT_STEP, model_id, data_name, digest, run_id)
        for key, value in metrics.items()
    ]
    client.log_batch(run_id, metrics=logged)
    made = _register(client, registered_model, model_id, run_id, description, tags)
    for alias in (ALIAS, *aliases):
        client.set_registered_model_alias(registered_model, alias, made)
    return made


def _upload(client: MlflowClient, run: Run, saved_model: Path, name: str, tags: Mapping[str, str]) -> str:
    """A new logged model of the run, its files included; its id."""
    from mlflow.entities import LoggedModelStatus

    model_id = client.create_logged_model(
        run.info.experiment_id, name, run.info.run_id, dict(tags), run.data.params, "face-detector"
    ).model_id
    try:
        with tempfile.TemporaryDirectory() as scratch:
            local = Path(scratch) / "model"
            _save(local, saved_model, model_id, run.info.run_id)
            client.log_model_artifacts(model_id, str(local))
    except BaseException:
        client.delete_logged_model(model_id)  # it will be tried again; no half model stays behind
        raise
    client.finalize_logged_model(model_id, LoggedModelStatus.READY)
    return model_id


def _save(target: Path, saved_model: Path, model_id: str, run_id: str) -> None:
    import mlflow

    mlflow_model = mlflow.models.Model(model_uuid=model_id, model_id=model_id, run_id=run_id)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it asks for an input example, on which it would run the model
        mlflow.pyfunc.save_model(
            path=str(target),
            mlflow_model=mlflow_model,
            python_model=str(LOADER),
            artifacts={"saved_model": str(saved_model)},
            signature=signature(),
            pip_requirements=[f"{package}=={version(package)}" for package in ("mlflow", "tensorflow")],
        )
    _forget_paths(target)


def _forget_paths(target: Path) -> None:
    """Where things lay on this machine is nobody's business on a shared server."""
    import mlflow

    model = mlflow.models.Model.load(str(target))
    flavor = model.flavors["python_function"]
    flavor["model_code_path"] = LOADER.name
    flavor["artifacts"]["saved_model"]["uri"] = flavor["artifacts"]["saved_model"]["path"]
    model.save(str(target / "MLmodel"))


def signature() -> ModelSignature:
    """The Object Detection API's convention, as MLflow writes it down."""
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec

    inputs: list[ColSpec | TensorSpec] = [TensorSpec(np.dtype("uint8"), (1, -1, -1, 3))]
    shapes: dict[str, tuple[int, ...]] = {
        "detection_boxes": (1, -1, 4),
        "detection_scores": (1, -1),
        "detection_raw_scores": (1, -1),
        "detection_classes": (1, -1),
        "num_detections": (1,),
    }
    outputs: list[ColSpec | TensorSpec] = [
        TensorSpec(np.dtype("float32"), shape, key) for key, shape in shapes.items()
    ]
    return ModelSignature(Schema(inputs), Schema(outputs))


def _register(
    client: MlflowClient,
    registered: str,
    model_id: str,
    run_id: str,
    description: str,
    tags: Mapping[str, str],
) -> str:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(
            registered, description="Veil's face detectors, one version a training."
        )
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    made = client.create_model_version(
        registered, f"models:/{model_id}", run_id, dict(tags), None, description, model_id=model_id
    )
    shown = json.dumps([{"name": registered, "version": str(made.version)}])
    client.set_logged_model_tags(
        model_id, {"mlflow.modelVersions": shown}
    )  # the UI's list of models reads it
    return str(made.version)
