"""Readers of labelled sets: one module a format, each with ``read(source) -> Reading``.

A reader only says what the label files say. Opening pictures, checking boxes and merging labels
come after it and are the same for all formats.
"""

from __future__ import annotations

from collections.abc import Callable

from pipeline.config.schema import Format
from pipeline.data.examples import Reading
from pipeline.data.ingest import coco, humans_in_the_loop, voc, wider, yolo
from pipeline.data.ingest.files import SourceFolder

READERS: dict[Format, Callable[[SourceFolder], Reading]] = {
    Format.voc: voc.read,
    Format.coco: coco.read,
    Format.yolo: yolo.read,
    Format.wider: wider.read,
    Format.humans_in_the_loop: humans_in_the_loop.read,
}


def read(source: SourceFolder, format: Format) -> Reading:
    """Reads one set.

    Raises:
        UserError: a folder is missing, or the format's main file cannot be read at all.
    """
    return READERS[format](source)
