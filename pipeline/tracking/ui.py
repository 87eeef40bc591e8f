"""MLflow's UI, on the store that training writes to."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from pipeline.errors import UserError
from pipeline.tracking.mlflow_backend import connect, experiment_id
from pipeline.tracking.opening import unreachable
from pipeline.tracking.store import Store, locate, prepare_environment

HOST = "127.0.0.1"  # the UI has no password: it is for this machine only
PORT = 5000
START_SECONDS = 90.0


def serve(uri: str | None, port: int | None, experiment: str) -> int:
    """Serve the UI until Ctrl-C; for a shared server only say where it is. The exit code.

    Raises:
        UserError: ``port`` is taken, or the store cannot be opened.
    """
    store = locate(uri)
    if store.uri.startswith(("http://", "https://")):
        print(f"The runs are on a shared server: open {store.shown}")
        return 0
    prepare_environment()
    try:  # makes an empty store, so that the UI can be opened before the first training
        page = experiment_id(connect(store), store, experiment)
    except Exception as error:
        raise unreachable(store, error) from error
    address = f"http://{HOST}:{choose_port(port)}"
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command(store, address),
            env=environment(store),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # the server is two processes: they are ended together
        )
        try:
            if not _ready(process, address):
                log.seek(0)
                raise UserError(f"MLflow's server did not start at {address}:\n{log.read().decode()[-2000:]}")
            print(
                f"\n    {address}/#/experiments/{page}\n\nMLflow UI of {store.shown}. Ctrl-C ends it.",
                flush=True,
            )
            return process.wait()
        except KeyboardInterrupt:
            return 0
        finally:
            _end(process)


def command(store: Store, address: str) -> list[str]:
    """Starts MLflow's server, for this machine only.

    By gunicorn, which serves the plain tracking UI. MLflow's default, uvicorn, adds an assistant that
    may run commands here and hand experiments to language models: not beside pictures of people.
    """
    host, port = address.removeprefix("http://").split(":")
    artifacts = ["--default-artifact-root", store.artifacts] if store.artifacts else []
    return [
        *(sys.executable, "-m", "mlflow", "server", "--host", host, "--port", port, "--workers", "1"),
        *artifacts,
        *("--gunicorn-opts", "--threads 8 --timeout 120 --log-level warning"),
    ]


def environment(store: Store) -> dict[str, str]:
    """The address of the store goes here, not on the command line, since it may hold a password."""
    return {
        **os.environ,
        "MLFLOW_BACKEND_STORE_URI": store.uri,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # workers for language model judges
    }


def choose_port(wanted: int | None) -> int:
    """``wanted`` if it is free; without a wish 5000, or the next free one after it.

    Raises:
        UserError: ``wanted`` is taken.
    """
    candidates = [wanted] if wanted is not None else [*range(PORT, PORT + 50), 0]
    for port in candidates:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise UserError(f"--port {wanted}: taken by another program; allowed: a free one from 1024 to 65535")


def _ready(process: subprocess.Popen[bytes], address: str) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=2):
                return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    for signum in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, signum)
            process.wait(timeout=10)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
