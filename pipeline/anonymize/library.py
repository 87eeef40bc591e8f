"""One function for an array, one for a file, one for a folder."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.anonymize import folder, stages
from pipeline.anonymize.detect import Detections, Detector, serving
from pipeline.anonymize.entry import Entry, FileState, digest
from pipeline.anonymize.images.raster import to_rgb8
from pipeline.anonymize.looks import looking
from pipeline.anonymize.outcome import Summary, Watch, unwatched
from pipeline.anonymize.redact import Region, redact, regions
from pipeline.anonymize.settings import as_it_looks, of_pictures, served_by
from pipeline.config.schema import AnonymizeConfig, DetectorConfig, RedactConfig
from pipeline.config.validate import validate
from pipeline.errors import UserError

PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class Anonymized:
    """An array, anonymized.

    Attributes:
        pixels: a new array of the same shape and type; every pixel outside the regions is the same.
        faces: what was seen at or above the threshold, in pixels of the array.
        regions: what was redacted, one a face.
    """

    pixels: NDArray[Any]
    faces: Detections
    regions: list[Region]


def anonymize_array(
    pixels: NDArray[Any],
    detector: Detector,
    redaction: RedactConfig | None = None,
    score_threshold: float = 0.5,
    tiles: str = DetectorConfig.tiles,
    min_face: float = DetectorConfig.min_face,
    mirror: str = DetectorConfig.mirror,
) -> Anonymized:
    """Redact the faces of one picture in memory.

    Args:
        pixels: ``[H, W]`` grey or ``[H, W, 3]`` RGB, uint8 or uint16, upright.
        detector: from :func:`load_detector`.
        redaction: default: blur, the top 70 % of each face.
        score_threshold: faces at or above it are redacted.
        tiles: what the detector is shown beside the whole picture; see :class:`DetectorConfig`.
        min_face: smallest face that ``tiles="auto"`` looks for, in pixels.
        mirror: when the detector looks again, at the mirror image; see :class:`DetectorConfig`.

    Raises:
        ValueError: the array has another shape or type.
        UserError: one of these values, or of ``redaction``, is not allowed.
    """
    redaction = redaction or RedactConfig()
    asked = DetectorConfig(score_threshold=score_threshold, tiles=tiles, min_face=min_face, mirror=mirror)
    validate(AnonymizeConfig(redact=redaction, detector=asked), unasked=("data", "detector.model"))
    detector = looking(detector, asked)
    faces = detector.detect([_as_rgb8(pixels)])[0].at_least(score_threshold)
    found = regions(faces.boxes, redaction, (pixels.shape[1], pixels.shape[0]))
    return Anonymized(redact(pixels, found, redaction), faces, found)


def anonymize_file(
    source: PathLike, target: PathLike, detector: Detector, config: AnonymizeConfig | None = None
) -> Entry:
    """Anonymize one picture file; metadata is reduced, layout, depth and format stay.

    Args:
        source: a picture of any supported format.
        target: where the output goes; its folder is made, an existing file is refused.
        config: thresholds, redaction and limits; ``data`` and ``out`` in it are not asked.

    Returns:
        What a manifest would say of it.

    Raises:
        PictureError: the picture cannot be read whole or written; then there is no output.
        UserError: ``target`` exists, or a value of ``config`` is not allowed.
    """
    config = config or AnonymizeConfig()
    validate(config, unasked=("data", "out", "detector.model"))
    read, written = Path(source), Path(target)
    if os.path.lexists(written):
        raise UserError(f"target: {str(target)!r} exists; allowed: a name not yet taken")
    status = read.stat() if read.exists() else None
    detector = looking(detector, config.detector)
    config = as_it_looks(config, detector)
    picture = stages.decode(read, config.limits, stages.wanted_side(detector))
    (found,) = stages.detect(detector, [picture])
    if isinstance(found, Exception):
        raise found
    painted = stages.paint(picture, found, config.redact, config.detector)
    result = stages.encode(picture, painted, written)
    made = of_pictures(served_by(config, serving(detector, config.detector.runtime)), detector.digest)
    return Entry(
        path=written.name,
        kind="picture",
        status="done",
        source=FileState.of(read, picture.data, status),
        output=FileState.of(written),
        picture=stages.describe(picture),
        faces=painted.faces,
        candidates=painted.candidates,
        settings=made,
        config=digest(made),
        metadata_removed=result.metadata_removed,
    )


def anonymize_folder(
    data: PathLike,
    out: PathLike | None = None,
    *,
    detector: Detector | None = None,
    config: AnonymizeConfig | None = None,
    watch: Watch = unwatched,
) -> Summary:
    """Anonymize a folder, or go on with it, exactly as ``python anonymize.py`` does.

    Args:
        data: the folder of pictures; never written to.
        out: default: ``<data>-anonymized`` beside it.
        detector: default: the SavedModel that ``config.detector.model`` names, loaded when needed.
        config: everything else; ``data`` and ``out`` in it are replaced.
        watch: is told of each file as it is done.

    Returns:
        What was done, what was left out and why; ``exit_code`` is 0 when nothing was.

    Raises:
        UserError: DATA, OUT, the detector or a value of ``config`` cannot be used.
    """
    config = replace(config or AnonymizeConfig(), data=os.fspath(data), out=os.fspath(out) if out else None)
    validate(config, unasked=("detector.model",) if detector else ())
    return folder.anonymize_folder(config, detector, watch)


def _as_rgb8(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    if pixels.dtype not in (np.uint8, np.uint16) or pixels.ndim not in (2, 3) or not pixels.size:
        raise ValueError(
            f"pixels: expected uint8 or uint16 [H, W] or [H, W, 3], got {pixels.dtype} {pixels.shape}"
        )
    if pixels.ndim == 3 and pixels.shape[2] != 3:
        raise ValueError(f"pixels: expected [H, W] or [H, W, 3], got {list(pixels.shape)}")
    return np.ascontiguousarray(to_rgb8(pixels))
