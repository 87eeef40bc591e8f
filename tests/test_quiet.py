"""Only the line about an absent GPU is dropped."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.quiet import stderr_without


def test_other_lines_are_passed_on(capfd: pytest.CaptureFixture[str]) -> None:
    with stderr_without(b"noise"):
        os.write(2, b"a warning\nsome noise here\n")
    os.write(2, b"afterwards\n")
    assert capfd.readouterr().err == "a warning\nafterwards\n"


def test_an_exception_still_passes_on_what_was_said(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError), stderr_without(b"noise"):
        os.write(2, b"the reason\n")
        raise RuntimeError
    assert capfd.readouterr().err == "the reason\n"


def test_tensorflow_wakes_in_silence(root: Path) -> None:
    code = (
        "from pipeline.config.cli import quiet_tensorflow; quiet_tensorflow()\n"
        "from pipeline.quiet import wake_tensorflow; wake_tensorflow()\n"
        "import tensorflow as tf; print(int(tf.constant(1) + 1))"
    )
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    done = subprocess.run([sys.executable, "-c", code], cwd=root, env=clean, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("2\n", "")
