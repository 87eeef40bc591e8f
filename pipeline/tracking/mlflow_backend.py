"""MLflow as a tracking backend: events become calls of its client."""

from __future__ import annotations

import errno
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.tracking import store as stores
from pipeline.tracking.journal import Event
from pipeline.tracking.locks import Lock
from pipeline.tracking.model import log_model
from pipeline.tracking.sender import Refused, brief
from pipeline.tracking.store import Store

if TYPE_CHECKING:
    from mlflow import MlflowClient

ENTITIES_A_CALL = 100
ATTEMPTS = 3
FILES = {"text", "artifacts", "model"}

# The UI draws colours from the run's id, and two of a few runs are easily alike.
COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#17becf")

# What the store answers when it is well and the call is wrong.
PERMANENT = {
    "INVALID_PARAMETER_VALUE",
    "RESOURCE_ALREADY_EXISTS",
    "RESOURCE_DOES_NOT_EXIST",
    "PERMISSION_DENIED",
    "INVALID_STATE",
    "FEATURE_DISABLED",
    "NOT_IMPLEMENTED",
}


class RunGone(Exception):
    """The store answers, and has no such run any more."""


class MlflowBackend:
    """One run of one MLflow store. Every method may raise; :class:`Sender` copes."""

    def __init__(self, store: Store, run_id: str) -> None:
        self.where, self.run_id, self._store = store.shown, run_id, store
        self._client: MlflowClient | None = None
        self._failures: Counter[int] = Counter()

    @classmethod
    def create(
        cls, store: Store, experiment: str, name: str, tags: Mapping[str, str], run_id: str | None
    ) -> MlflowBackend:
        """Start a run in ``experiment`` (made when missing), or continue ``run_id``.

        Raises:
            RunGone: ``run_id`` is not, or no longer, in the store.
            Exception: the store cannot be reached or written.
        """
        client = connect(store)
        if run_id is None:
            parent = experiment_id(client, store, experiment)
            colour = COLOURS[len(client.search_runs([parent], max_results=100)) % len(COLOURS)]
            run = client.create_run(parent, run_name=name, tags={"mlflow.runColor": colour, **tags})
            run_id = run.info.run_id
        elif not is_there(client, run_id):
            raise RunGone(run_id)
        backend = cls(store, run_id)
        backend._client = client
        return backend

    @property
    def client(self) -> MlflowClient:
        if self._client is None:
            self._client = connect(self._store)
        return self._client

    def send(self, events: Sequence[Event]) -> None:
        from mlflow.exceptions import MlflowException

        try:
            getattr(self, f"_send_{events[0].kind}")(events)
        except MlflowException as error:
            if error.error_code in PERMANENT or self._is_at_fault(events[0], error):
                raise Refused(brief(error)) from error
            raise
        except Refused:
            raise
        except Exception as error:
            if self._is_at_fault(events[0], error):
                raise Refused(brief(error)) from error
            raise

    def _is_at_fault(self, event: Event, error: Exception) -> bool:
        """Whether files fail again and again while the store takes other things, say because its artifact
        folder cannot be written. They must not hold up all that comes after them; a full disk may.
        """
        if event.kind not in FILES or getattr(error, "errno", None) == errno.ENOSPC:
            return False
        try:
            self.client.set_tag(self.run_id, "tracking.retried", str(time.time()))
        except Exception:
            return False
        self._failures[event.n] += 1
        return self._failures[event.n] >= ATTEMPTS

    def _send_metrics(self, events: Sequence[Event]) -> None:
        from mlflow.entities import Metric

        metrics = [
            Metric(name, value, event.time, event.data["step"])
            for event in events
            for name, value in event.data["values"].items()
        ]
        self.client.log_batch(self.run_id, metrics=metrics)

    def _send_params(self, events: Sequence[Event]) -> None:
        from mlflow.entities import Param

        params = [Param(name, value) for name, value in events[0].data["values"].items()]
        for start in range(0, len(params), ENTITIES_A_CALL):
            self.client.log_batch(self.run_id, params=params[start : start + ENTITIES_A_CALL])

    def _send_tags(self, events: Sequence[Event]) -> None:
        from mlflow.entities import RunTag

        tags = [RunTag(name, value) for name, value in events[0].data["values"].items()]
        self.client.log_batch(self.run_id, tags=tags)

    def _send_dataset(self, events: Sequence[Event]) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag

        data = dict(events[0].data)
        context = InputTag("mlflow.data.context", data.pop("context"))
        self.client.log_inputs(self.run_id, [DatasetInput(Dataset(**data), [context])])

    def _send_text(self, events: Sequence[Event]) -> None:
        self.client.log_text(self.run_id, events[0].data["text"], events[0].data["name"])

    def _send_artifacts(self, events: Sequence[Event]) -> None:
        path, to = Path(events[0].data["path"]), events[0].data["to"]
        if not path.exists():
            raise Refused(f"{path} is not there any more")
        if path.is_dir():
            self.client.log_artifacts(self.run_id, str(path), to)
        else:
            self.client.log_artifact(self.run_id, str(path), to)

    def _send_model(self, events: Sequence[Event]) -> None:
        try:
            log_model(self.client, self.run_id, **events[0].data)
        except FileNotFoundError as error:
            raise Refused(str(error)) from error

    def _send_status(self, events: Sequence[Event]) -> None:
        status = events[0].data["status"]
        if status == "RUNNING":
            self.client.update_run(self.run_id, status)
        else:
            self.client.set_terminated(self.run_id, status, events[0].time)


def connect(store: Store) -> MlflowClient:
    """A client of that store; makes the embedded one when it is not there yet."""
    stores.prepare_environment()
    import mlflow

    stores.silence()
    mlflow.set_tracking_uri(store.uri)  # some of MLflow looks only at the process-wide address
    if store.folder is None:
        return mlflow.MlflowClient(store.uri)
    with Lock(store.folder):
        client = mlflow.MlflowClient(store.uri)
        client.search_experiments(max_results=1)  # the tables are made here; two runs at once would collide
        return client


def experiment_id(client: MlflowClient, store: Store, name: str) -> str:
    from mlflow.exceptions import MlflowException

    if found := client.get_experiment_by_name(name):
        return str(found.experiment_id)
    tags = {"mlflow.experimentKind": "custom_model_development"}  # else the UI offers views for chat bots
    try:
        return str(client.create_experiment(name, store.artifacts, tags))
    except MlflowException:  # another process was quicker
        if found := client.get_experiment_by_name(name):
            return str(found.experiment_id)
        raise


def is_there(client: MlflowClient, run_id: str) -> bool:
    from mlflow.exceptions import MlflowException

    try:
        return bool(client.get_run(run_id).info.lifecycle_stage == "active")
    except MlflowException as error:
        if error.error_code in PERMANENT:
            return False
        raise
