"""Prepare: labelled sets in, a data set version out. ``prepare(config) -> DatasetVersion``."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pipeline.config.schema import DatasetConfig
from pipeline.data import coco, consensus, ingest, label_plot, merge, report, split
from pipeline.data.assemble import Assembled, assemble
from pipeline.data.examples import LabelledPicture, Reading
from pipeline.data.ingest.files import SourceFolder
from pipeline.data.pictures import sha256
from pipeline.data.sources import locate
from pipeline.data.version import VERSION_FILE, DatasetVersion
from pipeline.errors import UserError

LAYOUT = 1
"""Part of every fingerprint: raised when the same input would give another version."""

CONSENSUS_NOTE = (
    "faces that nobody labelled but other detectors agree on are {} in the training split (the less certain "
    "ones are ignored) and ignored in the others; see the findings"
)

log = logging.getLogger(__name__)


def prepare(config: DatasetConfig) -> DatasetVersion:
    """The version that this configuration describes: found if it is there, else made.

    The folder is written beside its place and renamed, so a version is whole or absent.

    Raises:
        UserError: a folder is missing, a label is not in the map, a share is out of range, or no
            usable picture is left.
    """
    _check(config)
    folders = {name: locate(name, source, config) for name, source in config.sources.items()}
    readings = {name: ingest.read(folder, config.sources[name].format) for name, folder in folders.items()}
    before = {name: merge.count_raw(reading.labels) for name, reading in readings.items()}
    merge.check_labels(before, _maps(config))
    agreed = consensus.read(config.consensus) if config.consensus else None
    fingerprint = _fingerprint(config, readings, agreed)
    target = Path(config.versions) / f"{'-'.join(config.sources)}-{fingerprint[:12]}"
    if (target / VERSION_FILE).is_file():
        return _found(target, folders)
    return _write(target, fingerprint, config, folders, assemble(config, readings, agreed), before)


def _check(config: DatasetConfig) -> None:
    if not config.sources:
        raise UserError("dataset.sources is empty; allowed: at least one set, e.g. dataset=sample")
    split.check_shares(config.split)
    for name, source in config.sources.items():
        merge.check_map(name, source.label_map)
        merge.check_grow(name, source.grow, source.label_map)
    merge.check_repeat(config.repeat, _maps(config))


def _maps(config: DatasetConfig) -> report.Maps:
    return {name: source.label_map for name, source in config.sources.items()}


def _fingerprint(
    config: DatasetConfig, readings: dict[str, Reading], agreed: consensus.Consensus | None
) -> str:
    """Over what shapes the version: values, label content, the bytes of every picture; no paths."""
    values: dict[str, Any] = {
        "layout": LAYOUT,
        "split": vars(config.split),
        "shards": config.shards,
        "maps": {n: [sorted(s.label_map.items()), s.test_only] for n, s in config.sources.items()},
    }
    # Only where they are used, so that a version without them keeps its name.
    if agreed:
        values["consensus"] = [agreed.digest, config.consensus_as.name]
    if config.exclude:
        values["exclude"] = sorted(set(config.exclude))
    grown = [
        [name, label, sorted(vars(sides).items())]
        for name, source in config.sources.items()
        for label, sides in source.grow.items()
    ]
    if grown:
        values["grown"] = sorted(grown)
    if config.repeat:
        values["repeated"] = sorted(config.repeat.items())
    with ThreadPoolExecutor() as pool:
        for name, reading in readings.items():
            digests = pool.map(_digest, [raw.path for raw in reading.labels])
            values[f"labels of {name}"] = [
                [raw.name, digest, raw.frame, raw.boxes.xyxy.tolist(), raw.labels, raw.attributes]
                for raw, digest in zip(reading.labels, digests, strict=True)
            ]
            values[f"problems of {name}"] = [[p.kind, p.name, p.detail] for p in reading.problems]
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()


def _digest(path: Path) -> str:
    try:
        return sha256(path)
    except OSError as error:  # the validation reports it
        return str(error)


def _found(target: Path, folders: dict[str, SourceFolder]) -> DatasetVersion:
    """The version as it is; only where the sources lie may have changed since."""
    stored = json.loads((target / VERSION_FILE).read_text())
    roots = {name: str(folder.folder) for name, folder in folders.items()}
    if stored["roots"] != roots:
        _write_json(target / VERSION_FILE, stored | {"roots": roots})
    log.info("data set version %s is up to date", target)
    return DatasetVersion.load(target)


def _write(
    target: Path,
    fingerprint: str,
    config: DatasetConfig,
    folders: dict[str, SourceFolder],
    made: Assembled,
    before: merge.Counts,
) -> DatasetVersion:
    partial = _partial(target)
    try:
        counts, boxes = _write_splits(partial, made, config)
        version = {
            "name": "-".join(config.sources),
            "fingerprint": fingerprint,
            "counts": counts,
            "boxes": boxes,
            "labels": {"before": before, "after": merge.count_pictures(_counted(made))},
            "roots": {name: str(folder.folder) for name, folder in folders.items()},
            "notes": _notes(config),
            "consensus": consensus.counts(made.pictures, made.sides) if config.consensus else {},
        }
        findings = report.document(made.problems, version, _maps(config))
        _write_report(partial, findings)
        _write_json(partial / VERSION_FILE, version)
        partial.chmod(0o755)
        if not (target / VERSION_FILE).is_file():  # another process may have been as quick
            shutil.rmtree(target, ignore_errors=True)
            partial.rename(target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    report.show(findings, target)
    return DatasetVersion.load(target)


def _partial(target: Path) -> Path:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise UserError(
            f"dataset.versions={target.parent}: cannot be written to ({error.strerror})"
        ) from error


def _counted(made: Assembled) -> list[LabelledPicture]:
    """The pictures that are in some split, with the boxes that count as faces."""
    return [
        picture.keep([i for i, mark in enumerate(picture.attributes) if not consensus.is_ignored(mark)])
        for picture, side in zip(made.pictures, made.sides, strict=True)
        if side in split.SPLITS
    ]


def _notes(config: DatasetConfig) -> list[str]:
    """What whoever reads a figure measured on the version has to know."""
    made = "is made on this machine, from the same two people in every split: it is no benchmark"
    measuring = "is for measuring only: its pictures, and what looks like them, are in the test split"
    return (
        [f"{name} {made}" for name, source in config.sources.items() if source.generate]
        + [f"{name} {measuring}" for name, source in config.sources.items() if source.test_only]
        + ([CONSENSUS_NOTE.format(config.consensus_as.name)] if config.consensus else [])
        + [note for name, source in config.sources.items() for note in merge.growth(name, source.grow)]
        + [
            f"training sees pictures with {label} {times} times as often as others"
            for label, times in config.repeat.items()
        ]
    )


def _write_report(folder: Path, findings: dict[str, Any]) -> None:
    _write_json(folder / "report.json", findings)
    (folder / "report.md").write_text(report.markdown(findings), errors="backslashreplace")
    label_plot.save(folder / "labels.png", findings)


def _write_splits(
    folder: Path, made: Assembled, config: DatasetConfig
) -> tuple[dict[str, int], dict[str, int]]:
    from pipeline.data import records  # TensorFlow, only needed when a version is made

    counts, boxes = {}, {}
    for side in split.SPLITS:
        chosen = [index for index, name in enumerate(made.sides) if name == side]
        ids = [index + 1 for index in chosen]
        labelled = [made.pictures[index] for index in chosen]
        document = coco.document(ids, labelled, [made.groups[index] for index in chosen])
        _write_json(folder / f"{side}.json", document)
        repeat = config.repeat if side == "train" else {}
        times = [max((repeat.get(label, 1) for label in picture.labels), default=1) for picture in labelled]
        records.write(folder, side, ids, labelled, times, config.shards)
        counts[side] = len(chosen)
        boxes[side] = sum(
            not consensus.is_ignored(each) for picture in labelled for each in picture.attributes
        )
    return counts, boxes


def _write_json(path: Path, document: Any) -> None:
    temporary = path.with_suffix(".tmp")
    text = json.dumps(document, indent=1, ensure_ascii=False)
    temporary.write_text(text, errors="backslashreplace")  # findings name files that are no UTF-8
    temporary.replace(path)
