"""Recall by face size with and without tiles, and what each costs. See ``--help``."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.compare import selection
from benchmarks.mosaics import enlarged, mosaics
from benchmarks.tiles_report import EDGES, Row, report, settings, write
from benchmarks.warming import warmed
from pipeline.anonymize import stages
from pipeline.anonymize.detect import Detections, Detector, Picture, load_detector
from pipeline.anonymize.looks import looking
from pipeline.config import cli
from pipeline.config.paths import locate
from pipeline.config.schema import DetectorConfig, LimitsConfig
from pipeline.config.schema.tiling import TilesConfig
from pipeline.data.prepare import prepare
from pipeline.errors import UserError
from pipeline.evaluation.exposure import measure_exposure
from pipeline.evaluation.labelled import LabelledFaces, read_labelled
from pipeline.evaluation.matching import match_all
from pipeline.evaluation.operating import precision_at
from pipeline.evaluation.predict import FLOOR
from pipeline.evaluation.progress import progress_bar
from pipeline.evaluation.redaction import redacted
from pipeline.evaluation.run import split_files
from pipeline.evaluation.wider import wider_ap


class Counting:
    """A detector that counts the views it is shown, and the parts."""

    def __init__(self, detector: Detector) -> None:
        self.detector, self.views, self.parts = detector, 0, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.detector, name)

    @property
    def digest(self) -> str:
        return self.detector.digest

    def detect(self, pictures: Sequence[Picture]) -> list[Detections]:
        self.views += len(pictures)
        return self.detector.detect(pictures)

    def detect_parts(self, parts: Sequence[Picture]) -> list[Detections]:
        self.parts += len(parts)
        return self.detector.detect_parts(parts)  # type: ignore[attr-defined]  # it says its part_size


def main(config: TilesConfig) -> None:
    """Measures every set in every way, prints the tables and writes them."""
    looks = {
        look: DetectorConfig(tiles=tiles, min_face=min_face, score_threshold=config.score_threshold)
        for look, (tiles, min_face) in ((each, settings(each)) for each in config.looks)
    }
    version = prepare(config.dataset)
    everything = read_labelled(split_files(version, config.split))
    outputs = Path(config.outputs)
    sets = {
        f"{version.name}, as it is": selection(everything, config.pictures),
        "mosaics of 12 megapixels": mosaics(everything, config.mosaics, outputs / "pictures"),
        "enlarged to 12 megapixels": enlarged(everything, config.enlarged, outputs / "pictures"),
    }
    loaded = load_detector(locate(config.detector), runtime=config.computed_by, floor=FLOOR)
    detector = Counting(warmed(loaded))  # or the first way to look, which costs are told against, would pay
    results = {
        name: [
            measured(look, pictures, looking(detector, asked), detector, config)
            for look, asked in looks.items()
        ]
        for name, pictures in sets.items()
        if pictures
    }
    text = report(results, {name: len(pictures) for name, pictures in sets.items()}, detector, config)
    print(text)
    write(text, results, config)


def measured(
    look: str, pictures: Sequence[LabelledFaces], detector: Detector, count: Counting, config: TilesConfig
) -> Row:
    views, parts, began = count.views, count.parts, time.process_time()
    with progress_bar(f"{look}") as progress:
        found = list(_found(pictures, detector, progress))
    cpu, views, parts = time.process_time() - began, count.views - views, count.parts - parts
    matches = match_all(pictures, found, config.iou)
    counted = ~np.concatenate([picture.ignored for picture in pictures])
    hit = np.concatenate([each.score_of for each in matches]) >= config.score_threshold
    sizes = np.concatenate([picture.boxes.face_sizes for picture in pictures])
    side = getattr(count, "input_size", 768)
    shrunk = np.concatenate(
        [np.full(len(picture.boxes), side / max(picture.width, picture.height)) for picture in pictures]
    )
    masks = (
        redacted(each.at_least(config.score_threshold).boxes, config.redact, (picture.width, picture.height))
        for picture, each in zip(pictures, found, strict=True)
    )
    exposure = measure_exposure(pictures, masks)
    return Row(
        look=look,
        views=views / len(pictures),
        parts=parts / len(pictures),
        cpu=cpu / len(pictures),
        precision=precision_at(found, matches, config.score_threshold).share,
        exposed=exposure.by_slice["all"].share,
        needless=exposure.needless_pixels,
        found=_by_size(sizes[counted & hit]),
        faces=_by_size(sizes[counted]),
        seen=_by_size((sizes * shrunk)[counted & hit]),
        shown=_by_size((sizes * shrunk)[counted]),
        wider=wider_ap(pictures, found),
    )


def _found(pictures: Sequence[LabelledFaces], detector: Detector, progress: Any) -> Iterator[Detections]:
    """As the tool does it: decoded no larger than the detector wants."""
    for number, picture in enumerate(pictures):
        opened = stages.decode(picture.path, LimitsConfig(), stages.wanted_side(detector))
        (found,) = stages.detect(detector, [opened])
        if isinstance(found, Exception):
            raise UserError(f"{picture.path}: {found}")
        yield found[0]
        progress(number + 1, len(pictures))


def _by_size(sizes: np.ndarray) -> list[int]:
    return np.histogram(sizes, EDGES)[0].tolist()


if __name__ == "__main__":
    sys.exit(cli.run(main, TilesConfig, "tiles"))
