"""A crash that leaves no time for a last word (out of memory, ``kill -9``) must say FAILED too.

A tiny process waits for the training's death at the other end of a pipe. After an orderly end it is told
so and goes; otherwise it turns into ``python -m pipeline.tracking sync``, which closes the run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from pipeline.tracking.store import ROOT

# Small on purpose: it sits beside a whole training, and must not import MLflow before it has to.
WAIT = """
import os, sys
if sys.stdin.read() != "ended":
    os.execv(sys.executable, [sys.executable, "-m", "pipeline.tracking", "sync", sys.argv[1]])
"""


class Watchdog:
    """Watches this process for the run in ``folder``, whose store is ``uri``."""

    def __init__(self, folder: Path, uri: str) -> None:
        search = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        self._process = subprocess.Popen(
            [sys.executable, "-c", WAIT, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # The address travels in the environment: it may hold a password, which `ps` would show.
            env={**os.environ, "PYTHONPATH": search, "MLFLOW_TRACKING_URI": uri},
            start_new_session=True,  # Ctrl-C is for the training
            text=True,
        )

    def dismiss(self) -> None:
        try:
            self._process.communicate("ended", timeout=10)
        except (OSError, ValueError, subprocess.TimeoutExpired):
            self._process.kill()
