"""Writes the reports, unless they stand already."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

from pipeline.anonymize.images.atomic import write_atomically
from pipeline.anonymize.images.model import PictureError
from pipeline.anonymize.outcome import Summary
from pipeline.anonymize.output import OutputFails, raise_if_broken
from pipeline.anonymize.paths import DETECTIONS, MANIFEST, REPORT_HTML, REPORT_JSON
from pipeline.anonymize.report.detections import coco
from pipeline.anonymize.report.document import document
from pipeline.anonymize.report.page import page
from pipeline.config.plain import plain
from pipeline.config.schema import AnonymizeConfig


def write(summary: Summary, config: AnonymizeConfig) -> None:
    """Write what OUT does not hold yet; a run in which nothing changed writes nothing.

    Raises:
        OutputFails: OUT takes no more.
    """
    made_from = _made_from(summary, config)
    if _stands(summary.out, made_from):
        return
    content = document(summary, config, made_from)
    _put(summary.out / DETECTIONS, coco(summary))
    _put(summary.out / REPORT_HTML, [page(summary, content, config)])
    told = json.JSONEncoder(indent=1).iterencode(content)
    _put(summary.out / REPORT_JSON, chain(told, "\n"))  # last: it vouches for the others


def _put(path: Path, text: Iterable[str]) -> None:
    try:
        write_atomically(path, (part.encode("utf-8", "replace") for part in text), lambda _: None)
    except PictureError as error:
        raise_if_broken(error)
        raise OutputFails(error.message) from error


def _made_from(summary: Summary, config: AnonymizeConfig) -> str:
    """Digest of all that the reports tell of."""
    told = {"config": plain(config), "removed": summary.removed, "foreign": summary.foreign}
    made_from = hashlib.sha256()
    if (summary.out / MANIFEST).exists():
        with (summary.out / MANIFEST).open("rb") as file:
            made_from = hashlib.file_digest(file, "sha256")
    made_from.update(json.dumps(told, sort_keys=True).encode())
    return made_from.hexdigest()


def _stands(out: Path, made_from: str) -> bool:
    if not all((out / name).is_file() for name in (DETECTIONS, REPORT_HTML, REPORT_JSON)):
        return False
    try:
        return bool(json.loads((out / REPORT_JSON).read_bytes())["made_from"] == made_from)
    except (ValueError, KeyError, TypeError):
        return False
