"""The plot of label counts before and after the merge, as MLflow shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from pipeline.data.examples import FACE
from pipeline.data.split import SPLITS

KEPT, DROPPED = "#2a6f97", "#b0b0b0"


def save(path: Path, report: dict[str, Any]) -> None:
    """Left, boxes as read by source label, coloured by what they become; right, faces in each split."""
    rows = report["labels"]
    figure = Figure(figsize=(11, max(3.0, 0.35 * len(rows) + 1.5)), layout="constrained")
    before, after = figure.subplots(1, 2, width_ratios=(3, 2))
    names = [f"{row['source']} / {row['label']}" for row in rows]
    colours = [KEPT if row["target"] == FACE else DROPPED for row in rows]
    bars = before.barh(names, [row["read"] for row in rows], color=colours)
    before.bar_label(bars, padding=3)
    before.invert_yaxis()
    before.margins(x=0.15)
    before.set(title="Before: the sources' labels (grey: dropped)", xlabel="boxes read")
    faces = [report["splits"][split]["faces"] for split in SPLITS]
    pictures = [report["splits"][split]["pictures"] for split in SPLITS]
    bars = after.bar(SPLITS, faces, color=KEPT)
    after.bar_label(bars, [f"{f}\n({p} pictures)" for f, p in zip(faces, pictures, strict=True)], padding=3)
    after.margins(y=0.2)
    after.set(title=f"After: {FACE}", ylabel="boxes in the version")
    figure.savefig(path, dpi=110, metadata={"Software": None})
