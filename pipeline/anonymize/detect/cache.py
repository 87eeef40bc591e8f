"""Where conversions of a model are kept: beside its folder, by its digest."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

FOLDER = ".converted"
"""Beside the model's folder, never in it: what copies, hashes or logs a model then takes none of it along."""
DONE = "about.json"
"""Written last: a folder that holds it is whole."""


def kept_or_made(model: Path, name: str, make: Callable[[Path], None]) -> Path:
    """The folder of that name, made unless it is there; several processes may ask at once.

    Args:
        model: the SavedModel's folder.
        name: says everything that the content depends on.
        make: fills an empty folder; :data:`DONE` must be among what it writes.

    Raises:
        OSError: there is no place to write to.
    """
    if kept := find(model, name):
        return kept
    building = _scratch(model, name)
    try:
        make(building)
        for path in building.iterdir():
            _sync(path)
        target = building.parent / name
        try:
            building.rename(target)
        except OSError:
            if not (target / DONE).is_file():  # else another process was faster
                raise
        return target
    finally:
        shutil.rmtree(building, ignore_errors=True)


def find(model: Path, name: str) -> Path | None:
    """The folder of that name, if it is there."""
    return next((place / name for place in _places(model) if (place / name / DONE).is_file()), None)


def write(path: Path, data: bytes) -> None:
    """Whole or not at all; where it cannot be written, the next run does the work again."""
    try:
        with tempfile.TemporaryDirectory(prefix=".", dir=path.parent) as folder:
            whole = Path(folder) / path.name
            whole.write_bytes(data)
            _sync(whole)
            whole.replace(path)
    except OSError:
        return


def _sync(path: Path) -> None:
    """A name that stands must not stand for half a file, even after a power cut."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _places(model: Path) -> Iterator[Path]:
    yield model.resolve().parent / FOLDER
    from platformdirs import user_cache_path

    yield user_cache_path("veil") / "converted"


def _scratch(model: Path, name: str) -> Path:
    failed: OSError | None = None
    for place in _places(model):
        try:
            place.mkdir(parents=True, exist_ok=True)
            building = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=place))
            building.chmod(0o755)  # a team shares its models
            return building
        except OSError as error:
            failed = error
    assert failed is not None
    raise failed
