"""The report as data."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np

from pipeline.anonymize.entry import Entry, Face
from pipeline.anonymize.outcome import Summary
from pipeline.boxes import Boxes
from pipeline.config.plain import plain
from pipeline.config.schema import AnonymizeConfig

SIZES = {"below 16 px": 16.0, "16 to 32 px": 32.0, "32 to 96 px": 96.0, "96 px and more": np.inf}


def document(summary: Summary, config: AnonymizeConfig, made_from: str) -> dict[str, Any]:
    """What report.json holds; report.html shows the same."""
    faces = [face for entry in summary.pictures for face in entry.faces]
    return {
        "made_from": made_from,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "record": _record(summary, config),
        "totals": summary.totals(),
        "faces_by_size": by_size(faces),
        "faces_by_score": by_score(faces, config.detector.score_threshold),
        "left_out": [_reason(entry) for entry in summary.left_out],
        "ignored": [entry.path for entry in summary.ignored],
        "findings": [{"path": entry.path, **finding} for entry, finding in summary.findings],
        "review": [_review(entry) for entry in summary.review],
        "without_face": [entry.path for entry in summary.without_face],
        "labels": [_label(summary.entries[path]) for path in summary.labels],
        "removed_from_data": summary.removed,
        "not_of_veil": summary.foreign,
        "model": summary.model,
        "runtime": summary.runtime,
        "config": plain(config) | {"data": summary.data.name, "out": summary.out.name},
    }


def _record(summary: Summary, config: AnonymizeConfig) -> dict[str, str | None]:
    """A record of processing activities (Article 30 GDPR), as far as a tool can know it."""
    redaction = config.redact
    times = sorted(entry.time for entry in summary.pictures if entry.time)
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
            f"by {redaction.margin:.0%} on every side; metadata reduced to "
            "orientation, colour profile and resolution"
        ),
        "from": times[0] if times else None,
        "to": times[-1] if times else None,
    }


def by_size(faces: Sequence[Face]) -> dict[str, int]:
    """Faces by the geometric mean of their box's sides."""
    sizes = Boxes(np.array([face.box for face in faces]).reshape(-1, 4)).face_sizes
    bins = np.digitize(sizes, list(SIZES.values()))
    return {name: int((bins == i).sum()) for i, name in enumerate(SIZES)}


def by_score(faces: Sequence[Face], threshold: float) -> dict[str, int]:
    """Faces by score, in tenths from the threshold up."""
    scores = np.array([face.score for face in faces])
    edges = [threshold, *(edge for edge in np.arange(1, 10) / 10 if edge > threshold + 1e-9), 1.0]
    return {
        f"{low:.2g} to {high:.2g}": int(((scores >= low) & ((scores < high) | (high == 1.0))).sum())
        for low, high in pairwise(edges)
    }


def _reason(entry: Entry) -> dict[str, Any]:
    return {"path": entry.path, "kind": entry.kind, "reason": entry.reason, "message": entry.message}


def _label(entry: Entry) -> dict[str, str]:
    return {"path": entry.path, "changed": entry.message}


def _review(entry: Entry) -> dict[str, Any]:
    candidates = [{"frame": each.frame, "box": each.box, "score": each.score} for each in entry.candidates]
    return {"path": entry.path, "candidates": candidates}
