"""From a path to a picture, and back to a path."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.anonymize.images.atomic import write_atomically
from pipeline.anonymize.images.check import check_clean
from pipeline.anonymize.images.model import (
    AtLeast,
    MismatchError,
    Picture,
    PictureError,
    Pixels,
    WriteResult,
)
from pipeline.anonymize.images.registry import SCALING, codec
from pipeline.anonymize.images.sniff import HEAD, sniff
from pipeline.config.schema import LimitsConfig

T = TypeVar("T")
_MAX_BYTES = 4 << 30  # a file is read whole; no supported format needs more


def open_picture(path: Path, limits: LimitsConfig, at_least: AtLeast = None) -> Picture:
    """Read a picture by its content, whatever its name.

    Args:
        at_least: pixels that the longer side of :meth:`Frame.view` must have; where the format can, no more
            is decoded yet. Damage is found all the same. See
            :data:`AtLeast`.

    Raises:
        PictureError: with ``reason`` and a message; nothing else, whatever the bytes are.
    """
    data, format = _read_file(path)
    scaling = {"at_least": at_least} if format in SCALING else {}
    return _guarded(path, lambda: codec(format, path).read(data, path, limits, **scaling))


def write_picture(
    picture: Picture,
    redacted: Mapping[int, NDArray[np.generic]],
    out: Path,
) -> WriteResult:
    """Write the picture with some frames' pixels replaced, metadata reduced to the allow-list.

    Args:
        redacted: frame index to an array of the shape and type of that frame's ``pixels``; a frame
            not named, or unchanged, is copied as it was coded where the format allows.
        out: written atomically and checked by :func:`check_clean` before it gets its name.

    Raises:
        PictureError: ``unwritable``, ``unclean``, or what decoding a later frame raised.
        MismatchError: redacted pixels of another shape or type.
    """
    frames: Mapping[int, Pixels] = redacted
    data, reencoded = _guarded(
        picture.path, lambda: codec(picture.format, picture.path).encode(picture, frames)
    )
    write_atomically(out, data, lambda temporary: _refuse_unclean(temporary, out))
    return WriteResult(sorted(set(picture.metadata)), reencoded)


def _refuse_unclean(temporary: Path, out: Path) -> None:
    findings = check_clean(temporary)
    if findings:
        raise PictureError("unclean", f"{out}: not written, it would still carry {', '.join(findings)}")


def _read_file(path: Path) -> tuple[bytes, str]:
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
            format = sniff(head)
            if not head:
                raise PictureError("empty", f"{path}: zero bytes")
            if format is None:
                raise PictureError("not_a_picture", f"{path}: no picture format that Veil knows")
            if path.stat().st_size > _MAX_BYTES:
                raise PictureError("too_large", f"{path}: more than {_MAX_BYTES >> 30} GiB")
            return head + file.read(), format
    except FileNotFoundError as error:
        raise PictureError("missing", f"{path}: does not exist") from error
    except OSError as error:
        raise PictureError("unreadable", f"{path}: cannot be read ({error.strerror or error})") from error


def _guarded(path: Path, work: Callable[[], T]) -> T:
    """Decoders raise what damaged bytes provoke; all of it means the same here."""
    try:
        return work()
    except (PictureError, MismatchError):
        raise
    except MemoryError as error:
        raise PictureError("too_large", f"{path}: does not fit in memory") from error
    except Exception as error:
        raise PictureError("corrupt", f"{path}: {type(error).__name__}: {error}") from error
