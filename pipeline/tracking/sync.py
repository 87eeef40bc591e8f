"""Gives the store what an ended run could not deliver."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import UserError
from pipeline.tracking.journal import ENDED, STATE_FILE, Journal
from pipeline.tracking.locks import Lock
from pipeline.tracking.mlflow_backend import MlflowBackend
from pipeline.tracking.sender import Sender
from pipeline.tracking.store import locate

SECONDS = 120.0


def sync(folder: Path, uri: str | None = None, seconds: float = SECONDS) -> int:
    """Deliver what ``folder`` holds; a run that broke off without a word is closed as FAILED.

    Returns:
        How many entries are still undelivered.

    Raises:
        UserError: the folder is no run's, is in use, or belongs to another store.
    """
    if not (folder / STATE_FILE).is_file():
        raise UserError(f"{folder}: no {STATE_FILE}; expected the folder of a tracked run")
    lock = Lock(folder)
    if not lock.take(seconds=0):
        raise UserError(f"{folder}: a process is writing this run; it delivers by itself")
    try:
        journal = Journal(folder)
        store = locate(uri)
        if uri is None and store.shown != journal.state.uri:
            store = locate(journal.state.uri)
        if journal.state.run_id is None or store.shown != journal.state.uri:
            raise UserError(f"--uri: {store.shown}; allowed: {journal.state.uri}, where this run began")
        if journal.status not in ENDED:
            journal.append("status", status="FAILED")
        Sender.deliver(journal, MlflowBackend(store, journal.state.run_id), seconds)
        return len(journal.pending)
    finally:
        lock.release()
