"""Writing a file whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path

from pipeline.anonymize.images.model import PictureError

_PREFIX, _SUFFIX = ".veil-", ".tmp"


def is_leftover(name: str) -> bool:
    """Whether a file of that name is what a killed run left behind, safe to delete."""
    return name.startswith(_PREFIX) and name.endswith(_SUFFIX)


def write_atomically(out: Path, data: bytes | Iterable[bytes], check: Callable[[Path], None]) -> None:
    """Put ``data``, or its parts, at ``out``: a file of the same folder is written, checked, then renamed.

    The temporary name is short and does not hold the picture's: names may be as long as the
    file system allows, and may themselves be private. Nothing remains when anything fails.

    Raises:
        PictureError: ``unwritable``, or whatever ``check`` raises for the written file.
    """
    temporary = out.parent / f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as file:
            file.writelines([data] if isinstance(data, bytes) else data)
            file.flush()
            os.fsync(file.fileno())
        check(temporary)
        temporary.replace(out)
        _sync_folder(out.parent)
    except OSError as error:
        raise PictureError("unwritable", f"{out}: cannot be written ({error.strerror or error})") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    """Make the rename itself durable; file systems that cannot sync a folder are left alone."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
