"""Where each set lies: given, downloaded, or made here."""

from __future__ import annotations

import logging
from pathlib import Path

from pipeline.config.paths import at_home
from pipeline.config.schema import DatasetConfig, SourceConfig
from pipeline.data.ingest.files import SourceFolder
from pipeline.errors import UserError

NO_DOWNLOAD = """\
dataset.sources.{name}.kaggle={handle}: the download failed ({cause}).
Three ways to go on:
  1. Download it in a browser from https://www.kaggle.com/datasets/{handle}, unpack it, and give its
     folder: dataset={name} dataset.root=<folder>
  2. Mend the connection (behind a proxy: HTTPS_PROXY=…; for a Kaggle account: KAGGLE_USERNAME=…
     KAGGLE_KEY=…) and run the same command again.
  3. Train on what needs no network: the built-in sample (dataset=sample), or pictures of your own
     (dataset=custom dataset.root=<folder>, see conf/dataset/custom.yaml)."""

log = logging.getLogger(__name__)


def locate(name: str, source: SourceConfig, config: DatasetConfig) -> SourceFolder:
    """The set's folder on this machine.

    In this order: ``sources.<name>.root``; ``root/<folder>`` or ``root/<name>`` if it exists; ``root`` itself
    for a single set; the Kaggle download or the generator, where the set has one.

    Raises:
        UserError: names the field, its value, and what to do.
    """
    return SourceFolder(name, _folder(name, source, config), source.images, source.labels)


def _folder(name: str, source: SourceConfig, config: DatasetConfig) -> Path:
    if source.root is not None:
        return _existing(f"dataset.sources.{name}.root", source.root)
    if config.root is not None:
        root = _existing("dataset.root", config.root)
        below = [source.folder, name] if source.folder else []  # a set of one's own may be anything inside
        if found := next((root / each for each in below if (root / each).is_dir()), None):
            return found
        if len(config.sources) == 1:
            return _whole_root(name, source, root)
        if not (source.kaggle or source.generate):
            wanted = source.folder or name
            raise UserError(
                f"dataset.root={config.root}: it holds no folder '{wanted}' for the set '{name}'; "
                f"allowed: a folder that does, or dataset.sources.{name}.root=<the set's own folder>"
            )
    if source.generate:
        return _generated(Path(config.versions).parent / name / "raw")
    if source.kaggle is not None:
        if config.root is not None:
            log.warning(
                "dataset.root=%s holds no folder '%s' for %s", config.root, source.folder or name, name
            )
        return _downloaded(name, source)
    raise UserError(
        f"dataset.sources.{name}.root is not set; allowed: the folder of the set "
        f"(dataset.sources.{name}.root=…), or dataset.root=<a folder that holds '{source.folder or name}'>"
    )


def _whole_root(name: str, source: SourceConfig, root: Path) -> Path:
    if source.generate:
        raise UserError(
            f"dataset.root={root}: the set '{name}' is made here and is read from nowhere; allowed: no root, "
            "or the set that lies there (dataset=custom, dataset=facemask, …)"
        )
    return root


def _generated(folder: Path) -> Path:
    from pipeline.data.sample import generate  # OpenCV and scikit-image, only needed to make it

    return generate(folder.absolute())


def _downloaded(name: str, source: SourceConfig) -> Path:
    import kagglehub

    log.info("downloading %s from Kaggle, once; it is kept in kagglehub's cache", source.kaggle)
    try:
        return Path(kagglehub.dataset_download(source.kaggle))
    except Exception as error:  # kagglehub raises what requests, zipfile or the file system raised
        raise UserError(NO_DOWNLOAD.format(name=name, handle=source.kaggle, cause=_cause(error))) from error


def _cause(error: Exception) -> str:
    from requests import ConnectionError, Timeout

    if isinstance(error, (ConnectionError, Timeout)):
        return "Kaggle cannot be reached from here"
    return f"{type(error).__name__}: {str(error)[:160]}"


def _existing(field: str, value: str) -> Path:
    path = at_home(value)
    if not path.is_dir():
        raise UserError(f"{field}={value}: no such folder; allowed: an existing folder")
    return path.resolve()
