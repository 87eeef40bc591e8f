"""Finding the run that a training continues, or making a new one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pipeline.config.schema import TrackingConfig
from pipeline.errors import UserError
from pipeline.tracking.journal import Journal
from pipeline.tracking.locks import Lock
from pipeline.tracking.mlflow_backend import MlflowBackend, RunGone
from pipeline.tracking.sender import brief, warn
from pipeline.tracking.store import Store

WAIT_SECONDS = 30.0


def lock_run(folder: Path) -> Lock:
    """The right to write ``folder``; waits a little for the watchdog of a run that was just killed.

    Raises:
        UserError: another process is at it, or the folder cannot be written.
    """
    lock = Lock(folder)
    try:
        if lock.take(WAIT_SECONDS):
            return lock
    except OSError as error:
        raise UserError(f"outputs: {folder} cannot be written: {brief(error)}") from error
    raise UserError(f"run={folder.name}: another process is running it; wait for it, or choose another name")


def open_run(
    store: Store,
    config: TrackingConfig,
    name: str,
    tags: Mapping[str, str],
    journal: Journal,
    run_id: str | None,
) -> tuple[MlflowBackend, Exception | None]:
    """The backend of the run to continue, or of a new one; with the failure that a resumed run rides out.

    Raises:
        UserError: the store of a new run cannot be reached or written.
    """
    if run_id is None and journal.state.uri == store.shown:
        run_id = journal.state.run_id
    try:
        return MlflowBackend.create(store, config.experiment, name, tags, run_id), None
    except RunGone:
        warn(f"{store.shown} no longer has run {run_id}; its record continues in a new run.")
    except Exception as error:
        if run_id is not None:
            return MlflowBackend(store, run_id), error
        raise unreachable(store, error) from error
    try:
        return MlflowBackend.create(store, config.experiment, name, tags, None), None
    except Exception as error:
        raise unreachable(store, error) from error


def unreachable(store: Store, error: Exception) -> UserError:
    return UserError(
        f"tracking.uri: {store.shown} cannot be reached or written: {brief(error)}. Allowed: an MLflow "
        "server (http://…) or sqlite:///file that can be written. tracking.enabled=false works without."
    )
