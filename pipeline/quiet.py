"""TensorFlow's start without the one line that is no news: that a machine without a GPU has none."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

NO_GPU = b"failed call to cuInit"


def wake_tensorflow() -> None:
    """Import TensorFlow and let it look for devices; everything else that it says is passed on.

    No environment variable silences that line alone: TF_CPP_MIN_LOG_LEVEL would hide real errors too.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    with stderr_without(NO_GPU):
        import tensorflow as tf

        tf.config.list_physical_devices()


@contextmanager
def stderr_without(noise: bytes) -> Iterator[None]:
    """Drop the lines that hold ``noise`` from what this process, C++ included, writes to stderr meanwhile."""
    sys.stderr.flush()
    real = os.dup(2)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(real, 2)
            kept.seek(0)
            for line in kept:
                if noise not in line:
                    os.write(real, line)
            os.close(real)
