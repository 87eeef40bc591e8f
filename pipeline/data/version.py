"""A prepared data set version: a folder whose content its fingerprint names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import UserError

VERSION_FILE = "version.json"


@dataclass(frozen=True)
class DatasetVersion:
    """What training and evaluation read.

    Attributes:
        folder: holds ``{train,val,test}.json`` (COCO), the TFRecord shards, ``report.{json,md}``,
            ``labels.png`` and ``version.json``.
        name: the sources, joined by ``-``.
        fingerprint: digest of every picture, every label file and every value that shaped it.
        counts: pictures in each split.
        boxes: faces in each split.
        labels: ``{"before": {source: {label: boxes}}, "after": …}``.
        roots: each source's folder on this machine.
        notes: what whoever reads a figure measured on the version has to know.
    """

    folder: Path
    name: str
    fingerprint: str
    counts: dict[str, int]
    boxes: dict[str, int]
    labels: dict[str, dict[str, dict[str, int]]]
    roots: dict[str, str]
    notes: tuple[str, ...] = ()

    def records(self, split: str) -> str:
        """Glob pattern of the split's TFRecord shards."""
        return str(self.folder / f"{self._known(split)}-*.tfrecord")

    def coco(self, split: str) -> Path:
        """The split's COCO file; boxes are in pixels of the upright picture."""
        return self.folder / f"{self._known(split)}.json"

    def picture_path(self, image: Mapping[str, Any]) -> Path:
        """The source file of an entry of a COCO file's ``images``; may carry an EXIF orientation."""
        return Path(self.roots[image["source"]]) / image["name"]

    def _known(self, split: str) -> str:
        if split not in self.counts:
            raise UserError(f"split={split}; allowed: {', '.join(self.counts)}")
        return split

    @classmethod
    def load(cls, folder: Path | str) -> DatasetVersion:
        """Raises UserError if the folder holds no prepared version."""
        path = Path(folder) / VERSION_FILE
        if not path.is_file():
            raise UserError(f"{folder}: no {VERSION_FILE}; expected a folder made by the prepare stage")
        stored = json.loads(path.read_text())
        keys = ("name", "fingerprint", "counts", "boxes", "labels", "roots")
        values = {key: stored[key] for key in keys}
        return cls(folder=Path(folder), notes=tuple(stored.get("notes", [])), **values)


def picture_path(coco_file: Path, image: Mapping[str, Any]) -> Path:
    """Where the picture of any COCO file lies: of a prepared version, or of one's own set.

    Args:
        coco_file: the COCO JSON that ``image`` comes from.
        image: an entry of its ``images``.

    Raises:
        UserError: the picture is not where the file says.
    """
    if (coco_file.parent / VERSION_FILE).is_file() and "source" in image:
        candidates = [DatasetVersion.load(coco_file.parent).picture_path(image)]
    else:
        parents = (coco_file.parent, coco_file.parent.parent)
        candidates = [parent / sub / image["file_name"] for parent in parents for sub in ("", "images")]
    for path in candidates:
        if path.is_file():
            return path
    raise UserError(f"{coco_file}: picture {image['file_name']} not found; looked at {candidates[0]}")
