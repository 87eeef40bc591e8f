"""What anonymize.py does to a folder of pictures."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from omegaconf import MISSING

from pipeline.config.schema.base import value

SCORE_FLOOR = 0.05
"""Scores below this are noise: detectors drop them, so no threshold of Veil's goes lower."""

RUNTIMES = ("auto", "tensorflow", "openvino", "openvino_bf16")


TILES = ("auto", "off", *map(str, range(2, 9)))
MIRRORS = ("auto", "off", "always")


@dataclass
class DetectorConfig:
    model: str = value("models/efficientdet_d2", "the detector", path="savedmodel")
    runtime: str = value(
        "auto",
        "what computes the detector; auto: the fastest here that finds what TensorFlow, the reference, finds",
        choices=RUNTIMES,
        short=True,
    )
    tiles: str = value(
        "auto",
        "overlapping tiles looked at beside the whole picture: auto, as few as show a face of min_face; off, "
        "none; N, N across and N down",
        choices=TILES,
    )
    min_face: float = value(
        40.0,
        "smallest face that tiles=auto looks for, in pixels of the picture; pictures of up to 54 times that "
        "need no tiles (with the released detector)",
        low=8,
        high=4096,
    )
    mirror: str = value(
        "auto",
        "when the detector looks again, at the mirror image: auto, where a score is in doubt (from a fifth "
        "of score_threshold, but 0.05 at least, up to it), at that part and larger; always, at all of every "
        "picture; off, never",
        choices=MIRRORS,
    )
    score_threshold: float = value(
        0.5, "faces at or above this score are redacted", low=SCORE_FLOOR, below=1, short=True
    )
    review_threshold: float = value(
        0.2, "from here to score_threshold: candidates for the review list", low=SCORE_FLOOR, below=1
    )


class Method(Enum):
    blur = "blur"
    pixelate = "pixelate"
    solid = "solid"
    noise = "noise"
    none = "none"


class Shape(Enum):
    box = "box"
    ellipse = "ellipse"


@dataclass
class RedactConfig:
    method: Method = value(Method.blur, "what happens to a face; none only detects")
    shape: Shape = value(Shape.box, "shape of the region")
    top_fraction: float = value(0.7, "share of the face box, from its top, that is redacted", above=0, high=1)
    margin: float = value(
        0.2,
        "how far the box grows on every side first, as a share of its width and height; small ones up to "
        "two and a half times as far",
        low=0,
        high=2,
    )
    feather: float = value(
        0.0, "soft edge inside the region, as a share of its smaller side", low=0, high=0.5
    )
    strength: float = value(
        1.0, "multiplies the default strength, which scales with the face", low=1, high=10
    )
    colour: list[int] = value([0, 0, 0], "red, green and blue of method solid", low=0, high=255)


@dataclass
class LabelsConfig:
    carry: bool = value(True, "carry COCO, YOLO or VOC labels found in DATA along")
    ignore_faces: bool = value(False, "add the redacted regions to the labels as an ignore class")


@dataclass
class VerifyConfig:
    enabled: bool = value(True, "run the detector over the output")
    scales: list[float] = value(
        [0.5],
        "scales at which to look again; below 1, pictures share a canvas: at 0.5 four",
        low=0.1,
        high=4,
        filled=True,
    )
    rotations: list[int] = value(
        [0], "rotations in degrees at which to look again", choices=(0, 90, 180, 270), filled=True
    )
    score_threshold: float = value(
        0.5, "a face at or above this score outside every region is a finding", low=SCORE_FLOOR, below=1
    )


@dataclass
class RecordConfig:
    """What Article 30 GDPR asks of a record of processing; printed in the report."""

    controller: str | None = value(None, "name and contact of the controller")
    purpose: str | None = value(None, "purpose of the processing")
    retention: str | None = value(None, "how long the output is kept")


@dataclass
class LimitsConfig:
    max_megapixels: float = value(250.0, "larger pictures are left out, not decoded", above=0)
    max_total_megapixels: float = value(
        250.0, "pictures with more in all their frames or pages together are left out", above=0
    )


@dataclass
class AnonymizeConfig:
    """anonymize.py"""

    data: str = value(MISSING, "folder of pictures to anonymize; never written to", path="folder")
    out: str | None = value(None, "folder to write; default: <data>-anonymized beside it")
    dry_run: bool = value(False, "say what would happen; write nothing")
    ignore: list[str] = value(
        [".DS_Store", "._*", "Thumbs.db", "desktop.ini", ".git", ".gitignore", ".gitattributes"]
        + ["README", "README.md", "README.txt", "LICENSE", "LICENSE.md", "LICENSE.txt"],
        "names and path patterns of files to leave out on purpose; any other file left out gives exit code 3",
    )
    follow_links: bool = value(False, "also read what links of DATA that leave DATA lead to")
    workers: int = value(
        0, "threads that read, redact and write beside the detector; 0: one a core", low=0, high=64
    )
    detector: DetectorConfig = field(default_factory=DetectorConfig)
    redact: RedactConfig = field(default_factory=RedactConfig)
    labels: LabelsConfig = field(default_factory=LabelsConfig)
    verify: VerifyConfig = field(default_factory=VerifyConfig)
    record: RecordConfig = field(default_factory=RecordConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)


@dataclass
class VerifyOutputConfig:
    """anonymize.py verify"""

    out: str = value(MISSING, "output of an earlier run; never written to", path="folder")
    detector: DetectorConfig = field(default_factory=DetectorConfig)
    verify: VerifyConfig = field(default_factory=lambda: VerifyConfig(scales=[1.0]))
    limits: LimitsConfig = field(default_factory=LimitsConfig)
