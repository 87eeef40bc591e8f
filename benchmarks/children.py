"""Measurements in processes of their own: the memory and the threads of one do not meet those of another."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from pipeline.config.paths import ROOT


def figures_of(module: str, *arguments: str) -> dict[str, Any]:
    """Run ``python -m module FIGURES.json arguments…`` and read what it wrote there.

    Raises:
        RuntimeError: it failed; says how.
    """
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder) / "figures.json"
        command = [sys.executable, "-m", module, str(figures), *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace")
        if done.returncode:
            raise RuntimeError(f"{module}: exit code {done.returncode}: {done.stderr.strip()[-800:]}")
        found: dict[str, Any] = json.loads(figures.read_text(encoding="utf-8"))
    return found
