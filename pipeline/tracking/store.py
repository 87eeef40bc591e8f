"""Where runs are kept: one rule for training and for the UI, and how MLflow is kept quiet."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from pipeline.config.paths import ROOT
from pipeline.config.plain import without_password

EMBEDDED = Path("outputs") / "mlflow"

# MLflow's own default is 7 retries with a growing pause and 120 s each: minutes for one lost call. Ours
# goes on with the work and tries again by itself, so one attempt may be short. A user's value wins.
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # no data leaves the machine
    "DO_NOT_TRACK": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # it prints the address with its password
    "GIT_PYTHON_REFRESH": "quiet",
}


@dataclass(frozen=True)
class Store:
    """An MLflow store.

    Attributes:
        uri: what MLflow is given; may hold a password, so print :attr:`shown` instead.
        folder: of a store in an SQLite file; None when a server or database of somebody else's keeps it.
    """

    uri: str
    folder: Path | None = None

    @property
    def shown(self) -> str:
        """The address without user name and password."""
        return without_password(self.uri)

    @property
    def artifacts(self) -> str | None:
        """Where a store in an SQLite file keeps files, as a URI; a server decides for itself."""
        return None if self.folder is None else (self.folder / "artifacts").as_uri()


def locate(uri: str | None = None) -> Store:
    """The store that ``tracking.uri`` names, else ``$MLFLOW_TRACKING_URI``, else the embedded one.

    The embedded store is an SQLite file with a folder beside it in the project's ``outputs/mlflow``,
    whatever the working directory is: training and UI must never look at two different places.
    """
    given = uri or os.environ.get("MLFLOW_TRACKING_URI")
    if given and given.startswith("sqlite:///") and not given.startswith("sqlite:///:"):
        path = Path(given.removeprefix("sqlite:///")).absolute()
        return Store(f"sqlite:///{path}", path.parent)
    if given:
        return Store(given)
    folder = (ROOT if (ROOT / "pyproject.toml").is_file() else Path.cwd()) / EMBEDDED
    return Store(f"sqlite:///{folder / 'mlflow.db'}", folder)


def prepare_environment() -> None:
    """Telemetry off, short time-outs. Before MLflow is imported; also inherited by its server."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)


def silence() -> None:
    """MLflow's chatter and stack traces stay out of the progress bar: we report failures ourselves."""
    logging.getLogger("mlflow").setLevel(logging.CRITICAL)
    for name in ("alembic", "urllib3", "git", "sqlalchemy"):
        logging.getLogger(name).setLevel(logging.ERROR)
