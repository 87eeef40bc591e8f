"""Which code a run ran."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

from pipeline.config.plain import without_password
from pipeline.tracking.store import ROOT


def tags() -> dict[str, str]:
    """Which code ran and how; nothing about the machine or its user."""
    script = Path(sys.argv[0]).name or "python"
    found = {"mlflow.source.name": script, "mlflow.source.type": "LOCAL"}
    found["command"] = without_password(shlex.join(["python", script, *sys.argv[1:]]))
    commit = _git("rev-parse", "HEAD")
    if commit:
        found["mlflow.source.git.commit"] = commit
        changed = _git("status", "--porcelain", "--untracked-files=no")
        found["git.uncommitted_changes"] = "true" if changed else "false"
    return found


def _git(*arguments: str) -> str:
    try:
        return subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, timeout=10, check=True
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
