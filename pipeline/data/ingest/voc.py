"""Pascal VOC: one XML a picture.

Corners are taken as they are, as edges in pixels: ``xmax`` equal to the width is the right edge.
The original VOC counted pixels from 1 and included the last; the tools that write today's files
(labelImg and its heirs) write edges, and only move a 0 to 1. The difference is one pixel at most.
"""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from pipeline.boxes import Boxes
from pipeline.data.examples import Attributes, Problem, RawLabels, Reading
from pipeline.data.ingest.files import SourceFolder, label_files

CORNERS = ("xmin", "ymin", "xmax", "ymax")
FLAGS = ("difficult", "truncated", "occluded")


def read(source: SourceFolder) -> Reading:
    labels: list[RawLabels] = []
    problems: list[Problem] = []
    used: set[str] = set()
    for stem, path in label_files(source, ".xml"):
        try:
            root = ElementTree.parse(path).getroot()
        except (ElementTree.ParseError, OSError) as error:
            problems.append(source.unreadable_label(path, error))
            used.update(filter(None, [source.find(stem)]))
            continue
        tag = root.findtext("filename")
        name = source.find(stem, tag)
        if name is None:
            problems.append(source.orphan(path, tag or f"{stem}.*"))
            continue
        if name in used:
            problems.append(source.second_label(path, name))
            continue
        used.add(name)
        try:
            labels.append(_parse(root, source.pictures[name], source))
        except (ValueError, TypeError) as error:
            problems.append(source.unreadable_label(path, error))
    return Reading(labels, problems + source.unlabelled(used))


def _parse(root: ElementTree.Element, picture: Path, source: SourceFolder) -> RawLabels:
    objects = root.findall("object")
    corners = [[float(item.findtext(f"bndbox/{key}") or "") for key in CORNERS] for item in objects]
    return RawLabels(
        name=source.relative(picture),
        path=picture,
        frame=_size(root),
        boxes=Boxes(corners),  # type: ignore[arg-type]
        labels=tuple((item.findtext("name") or "").strip() for item in objects),
        attributes=tuple(_flags(item) for item in objects),
    )


def _size(root: ElementTree.Element) -> tuple[float, float] | None:
    """The stated size; None where the file says nothing, or 0 as some tools do."""
    width, height = (float(root.findtext(f"size/{key}") or 0) for key in ("width", "height"))
    return (width, height) if width > 0 and height > 0 else None


def _flags(item: ElementTree.Element) -> Attributes:
    return {flag: True for flag in FLAGS if (item.findtext(flag) or "0").strip() not in ("0", "")}
