"""The report as data."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np

from pipeline.anonymize.entry import Entry
from pipeline.anonymize.outcome import Summary, stands
from pipeline.anonymize.redact.region import MOST
from pipeline.boxes import Boxes
from pipeline.config.plain import plain
from pipeline.config.schema import AnonymizeConfig

SIZES = {"below 16 px": 16.0, "16 to 32 px": 32.0, "32 to 96 px": 96.0, "96 px and more": np.inf}


def document(summary: Summary, config: AnonymizeConfig, made_from: str) -> dict[str, Any]:
    """What report.json holds; report.html shows it, of long lists the beginning."""
    read = _Read()
    for entry in summary.current():
        read.add(entry)
    return {
        "made_from": made_from,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "record": _record(summary, config, read.first, read.last),
        "totals": summary.totals(),
        "faces_by_size": by_size(read.sizes),
        "faces_by_score": by_score(read.scores, config.detector.score_threshold),
        "left_out": read.left_out,
        "ignored": read.ignored,
        "findings": read.findings,
        "review": sorted(read.review, key=lambda each: (-each["candidates"][0]["score"], each["path"])),
        "without_face": read.without_face,
        "labels": [_label(summary.entries[path]) for path in summary.labels],
        "removed_from_data": summary.removed,
        "not_of_veil": summary.foreign,
        "model": summary.model,
        "runtime": summary.runtime,
        "config": plain(config) | {"data": summary.data.name, "out": summary.out.name},
    }


@dataclass
class _Read:
    """What is told of single files. Entries are read one at a time, and no more is held of them than this."""

    sizes: array[float] = field(default_factory=lambda: array("d"))
    scores: array[float] = field(default_factory=lambda: array("d"))
    left_out: list[dict[str, Any]] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    findings: list[dict[str, Any]] = field(default_factory=list)
    review: list[dict[str, Any]] = field(default_factory=list)
    without_face: list[str] = field(default_factory=list)
    first: str | None = None
    last: str | None = None

    def add(self, entry: Entry) -> None:
        if entry.status == "left_out":
            self.left_out.append(_reason(entry))
        elif entry.status == "ignored":
            self.ignored.append(entry.path)
        elif stands(entry):
            self._add_picture(entry)

    def _add_picture(self, entry: Entry) -> None:
        self.sizes.extend(Boxes(np.array([face.box for face in entry.faces])).face_sizes)
        self.scores.extend(face.score for face in entry.faces)
        self.findings += [{"path": entry.path, **each} for each in (entry.verified or {}).get("findings", [])]
        if entry.candidates:
            self.review.append(_review(entry))
        if not entry.faces:
            self.without_face.append(entry.path)
        if entry.time:
            self.first = min(self.first or entry.time, entry.time)
            self.last = max(self.last or entry.time, entry.time)


def _record(
    summary: Summary, config: AnonymizeConfig, first: str | None, last: str | None
) -> dict[str, str | None]:
    """A record of processing activities (Article 30 GDPR), as far as a tool can know it."""
    redaction = config.redact
    return {
        "controller": config.record.controller,
        "purpose": config.record.purpose,
        "retention": config.record.retention,
        "data": summary.data.name,
        "output": summary.out.name,
        "data_subjects": "people whose faces are in the pictures",
        "categories_of_data": "photographs; places of faces (detections.json, manifest.jsonl)",
        "measures": (
            f"faces scoring {config.detector.score_threshold:g} or more redacted by method "
            f"{redaction.method.name}, the top {redaction.top_fraction:.0%} of each box after it grew "
            f"by {redaction.margin:.0%} on every side (small ones by up to {MOST * redaction.margin:.0%}); "
            "metadata reduced to orientation, colour profile and resolution"
        ),
        "from": first,
        "to": last,
    }


def by_size(sizes: Sequence[float]) -> dict[str, int]:
    """Faces by the geometric mean of their box's sides, in pixels."""
    bins = np.digitize(sizes, list(SIZES.values()))
    return {name: int((bins == i).sum()) for i, name in enumerate(SIZES)}


def by_score(scores: Sequence[float], threshold: float) -> dict[str, int]:
    """Faces by score, in tenths from the threshold up."""
    found = np.asarray(scores)
    edges = [threshold, *(edge for edge in np.arange(1, 10) / 10 if edge > threshold + 1e-9), 1.0]
    return {
        f"{low:.2g} to {high:.2g}": int(((found >= low) & ((found < high) | (high == 1.0))).sum())
        for low, high in pairwise(edges)
    }


def _reason(entry: Entry) -> dict[str, Any]:
    return {"path": entry.path, "kind": entry.kind, "reason": entry.reason, "message": entry.message}


def _label(entry: Entry) -> dict[str, str]:
    return {"path": entry.path, "changed": entry.message}


def _review(entry: Entry) -> dict[str, Any]:
    candidates = [{"frame": each.frame, "box": each.box, "score": each.score} for each in entry.doubtful]
    return {"path": entry.path, "candidates": candidates}
