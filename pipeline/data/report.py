"""The validation report of a version: JSON for machines, Markdown and a terminal table for people."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from pipeline.data.examples import FACE, Problem
from pipeline.data.merge import Counts, targets
from pipeline.data.split import SPLITS

NAMED = 200
"""Findings of one kind that the Markdown names; the JSON has all."""
Maps = dict[str, dict[str, str]]


def document(problems: list[Problem], version: dict[str, Any], maps: Maps) -> dict[str, Any]:
    """The whole report as plain values.

    Args:
        problems: every finding, in any order.
        version: the content of ``version.json``.
        maps: source → label map.
    """
    counted = Counter((p.kind, p.source, p.effect) for p in problems)
    ordered = sorted(problems, key=lambda p: (p.kind, p.source, p.name, p.detail))
    return {
        "name": version["name"],
        "fingerprint": version["fingerprint"],
        "notes": version["notes"],
        "splits": {
            split: {"pictures": version["counts"][split], "faces": version["boxes"][split]}
            for split in SPLITS
        },
        "labels": label_rows(version["labels"]["before"], version["labels"]["after"], maps),
        "summary": [
            {"kind": kind, "source": source, "count": count, "effect": effect}
            for (kind, source, effect), count in sorted(counted.items())
        ],
        "findings": [
            {"kind": p.kind, "source": p.source, "name": p.name, "detail": p.detail, "effect": p.effect}
            for p in ordered
        ],
    }


def label_rows(before: Counts, after: Counts, maps: Maps) -> list[dict[str, Any]]:
    """One row a source label: its target, its boxes as read, and how many of them the version holds."""
    return [
        {
            "source": source,
            "label": label,
            "target": target,
            "read": before.get(source, {}).get(label, 0),
            "in version": after.get(source, {}).get(label, 0),
        }
        for source, label, target in [*targets(maps), *_added(after, maps)]
    ]


def _added(after: Counts, maps: Maps) -> list[tuple[str, str, str]]:
    """Labels that no source wrote: of faces that a consensus of detectors added."""
    return [
        (source, label, FACE)
        for source in maps
        for label in after.get(source, {})
        if label not in maps[source]
    ]


def markdown(report: dict[str, Any]) -> str:
    """The report to read; names at most :data:`NAMED` findings of a kind."""
    lines = [f"# Data set version {report['name']}", "", f"Fingerprint `{report['fingerprint']}`", ""]
    lines += [line for note in report["notes"] for line in (f"**Note:** {note}.", "")]
    lines += _table(["split", "pictures", "faces"], [[s, *c.values()] for s, c in report["splits"].items()])
    lines += ["## Labels before and after the merge", ""]
    lines += _table(
        ["source", "label", "becomes", "boxes read", "boxes in the version"], _label_cells(report)
    )
    lines += ["## Findings", "", "Source files were only read. What each finding did to the version:", ""]
    lines += _table(
        ["finding", "source", "count", "effect"], [list(row.values())[:4] for row in _summary(report)]
    )
    for kind in dict.fromkeys(finding["kind"] for finding in report["findings"]):
        lines += _named(kind, [finding for finding in report["findings"] if finding["kind"] == kind])
    return "\n".join(lines) + "\n"


def show(report: dict[str, Any], folder: Path, console: Console | None = None) -> None:
    """The same on the terminal, by count."""
    console = console or Console()
    splits = ", ".join(f"{s} {c['pictures']} ({c['faces']} faces)" for s, c in report["splits"].items())
    console.print(
        f"Data set [bold]{report['name']}[/bold] {report['fingerprint'][:12]}: {splits}", highlight=False
    )
    for note in report["notes"]:
        console.print(f"Note: {note}.", highlight=False)
    labels = ("source", "label", "becomes", "boxes read", "in the version")
    console.print(_rich("Labels before and after the merge", labels, _label_cells(report)))
    findings = [list(row.values())[:4] for row in _summary(report)]
    console.print(_rich("Validation", ("finding", "source", "count", "effect"), findings))
    console.print(f"By name: {folder / 'report.md'}", soft_wrap=True, highlight=False)


def _label_cells(report: dict[str, Any]) -> list[list[Any]]:
    return [list(row.values()) for row in report["labels"]]


def _summary(report: dict[str, Any]) -> list[dict[str, Any]]:
    return report["summary"] or [{"kind": "nothing found", "source": "", "count": 0, "effect": ""}]


def _table(header: list[str], rows: list[list[Any]]) -> list[str]:
    cells = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in cells] + [""]


def _named(kind: str, findings: list[dict[str, Any]]) -> list[str]:
    rows = [[f["source"], f["name"], f["detail"], f["effect"]] for f in findings[:NAMED]]
    more = [f"… and {len(findings) - NAMED} more, in report.json", ""] if len(findings) > NAMED else []
    return [f"### {kind} ({len(findings)})", "", *_table(["source", "file", "what", "effect"], rows), *more]


def _rich(title: str, header: tuple[str, ...], rows: list[list[Any]]) -> Table:
    table = Table(title=title, title_justify="left")
    for index, column in enumerate(header):
        numeric = bool(rows) and isinstance(rows[0][index], int)
        table.add_column(column, justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    return table
