"""Writes the reports, unless they stand already."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

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
    files = {
        DETECTIONS: _json(coco(summary)),
        REPORT_HTML: page(summary, content, config).encode("utf-8", "replace"),
        REPORT_JSON: _json(content),  # last: it vouches for the others
    }
    for name, data in files.items():
        try:
            write_atomically(summary.out / name, data, lambda _: None)
        except PictureError as error:
            raise_if_broken(error)
            raise OutputFails(error.message) from error


def _json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=1) + "\n").encode()


def _made_from(summary: Summary, config: AnonymizeConfig) -> str:
    """Digest of all that the reports tell of."""
    told = {"config": plain(config), "removed": summary.removed, "foreign": summary.foreign}
    manifest = (summary.out / MANIFEST).read_bytes() if (summary.out / MANIFEST).exists() else b""
    return hashlib.sha256(manifest + json.dumps(told, sort_keys=True).encode()).hexdigest()


def _stands(out: Path, made_from: str) -> bool:
    if not all((out / name).is_file() for name in (DETECTIONS, REPORT_HTML, REPORT_JSON)):
        return False
    try:
        return bool(json.loads((out / REPORT_JSON).read_bytes())["made_from"] == made_from)
    except (ValueError, KeyError, TypeError):
        return False
