"""Tools that Veil itself does not need, each in an environment of its own."""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

from pipeline.errors import UserError


def environment(folder: Path, packages: Sequence[str]) -> Path:
    """The Python of an environment with these packages, made from PyPI if it is not there yet.

    Raises:
        UserError: they cannot be installed (no network?).
    """
    folder = folder.absolute()
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    ready = folder / "ready"
    if ready.is_file() and ready.read_text().split() == list(packages):
        return python
    print(f"Installing {', '.join(packages)} into {folder}", file=sys.stderr)
    venv.create(folder, with_pip=True, clear=True)
    install = [str(python), "-m", "pip", "install", "--quiet", *packages]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"{', '.join(packages)}: cannot be installed: {done.stderr.strip()[-400:]}")
    ready.write_text("\n".join(packages))
    return python
