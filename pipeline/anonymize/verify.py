"""A second look: is there a face in the output at a place that was not redacted?

A redacted face often still looks like a face to a detector: hair, neck and outline remain. So what counts is
where: a detection is a finding when more than half of the top of its box lies outside every region that was
redacted. Regions have their margin, the box of the detection has none: what is hidden around a face does not
hide the face. Nor does a place count that only became like a face by what was redacted in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.anonymize import stages
from pipeline.anonymize.detect import Detections, Detector
from pipeline.anonymize.detect.common import OVERSAMPLING
from pipeline.anonymize.entry import Face
from pipeline.anonymize.images import AtLeast, Picture
from pipeline.anonymize.images import View as FrameView
from pipeline.anonymize.images.model import Frame
from pipeline.anonymize.redact import Region, region_of_each
from pipeline.anonymize.tiles import look
from pipeline.anonymize.views import View, detect_small, together, views
from pipeline.boxes import Boxes
from pipeline.config.schema import DetectorConfig, RedactConfig, VerifyConfig

MAX_EXPOSED = 0.5
"""Share of the top of a detection's box that may lie outside what was redacted.

A second detection of a redacted face is seldom the same box: it may be a quarter larger on each side,
which leaves a good half outside of a region without margin. Measured without one, with another detector
(YuNet) on 140 pictures of ``facemask853``: of 651 blurred faces, 133 were detected again, 29 with more than
half exposed; looked at, about half of those were faces with their eyes still to be seen, or had not been
found before.
"""
AROUND = 32
"""Pixels around a region that coding it anew may change: two of the largest blocks."""
TOUCHED = 0.1
"""Share of a detection's box that was redacted, above which it may look like a face for that reason only.

It is then a finding only if the first look saw something there (:data:`KNOWN`), or if none of its top was: a
mouth below blurred eyes, or shoulders below a blurred head, score as a face that was not there. Measured with
the defaults on 333 pictures (the validation split, and a third of WIDER's): of 140 detections that would be
findings 60 are none by this. Of these, 35 touch little but a region's margin; looked at, they were shoulders,
chins and clothes, and no face.
"""
KNOWN = 0.3
"""Overlap (IoU) from which on a box is one that the first look saw, be it as a candidate only."""


@dataclass(frozen=True)
class Redacted:
    """An output, as it was read back, and what its manifest says of it.

    Attributes:
        faces: what was redacted.
        candidates: what the first look saw besides, and left.
    """

    picture: Picture
    faces: Sequence[Face] = ()
    candidates: Sequence[Face] = ()


@dataclass(frozen=True)
class Finding:
    """A face in the output that nothing covers.

    Attributes:
        box: ``xmin, ymin, xmax, ymax`` in pixels of the upright frame.
        exposed: share of the top of its box that was not redacted.
        view: how it was seen: ``scale 1, rotation 0``.
    """

    frame: int
    box: list[float]
    score: float
    exposed: float
    view: str


def look_again(
    detector: Detector,
    outputs: Sequence[Redacted],
    config: VerifyConfig,
    redaction: RedactConfig,
    first: DetectorConfig | None = None,
) -> list[list[Finding]]:
    """Findings in each of some output pictures, the strongest first.

    Args:
        outputs: looked at together, since smaller views share a canvas (:mod:`pipeline.anonymize.views`).
        first: how this detector found the faces. A tile (:mod:`pipeline.anonymize.tiles`) in which nothing
            was redacted would show it the same again, so it is not looked at, unless less now counts as a
            face. Default: whoever found them, everything is looked at.
    """
    repeated = first is not None and config.score_threshold >= first.score_threshold
    small: dict[float, list[tuple[_Frame, View]]] = {scale: [] for scale in config.scales if scale < 1}
    frames = []
    for frame in _frames(detector, outputs, config, redaction):
        frames.append(frame)
        for view in views(np.ascontiguousarray(frame.whole.pixels), config.scales, config.rotations):
            if view.scale >= 1:
                # at twice the scale, faces half as large are looked for, in tiles too
                only = frame.changed if repeated and view.as_it_is else None
                (seen,) = look(detector, [view.pixels], [frame.whole.factor * view.scale], only)
                frame.judge(view, seen, config)
                continue
            small[view.scale].append((frame, view))
            if len(small[view.scale]) == together(view.scale):
                _look_at_small(detector, small[view.scale], config)
        frame.let_go()
    for waiting in small.values():
        _look_at_small(detector, waiting, config)
    found: list[list[Finding]] = [[] for _ in outputs]
    for frame in frames:
        found[frame.output] += _once(frame.found)
    return [sorted(each, key=lambda finding: -finding.score) for each in found]


def _look_at_small(detector: Detector, waiting: list[tuple[_Frame, View]], config: VerifyConfig) -> None:
    """Look at the views that wait, and empty the list."""
    if waiting:
        seen = detect_small(detector, [view for _, view in waiting])
        for (frame, view), detections in zip(waiting, seen, strict=True):
            frame.judge(view, detections, config)
        waiting.clear()


def already_known(candidates: Sequence[Face], faces: Sequence[Face], config: VerifyConfig) -> list[Finding]:
    """Findings among what the first look saw, for a picture whose pixels were not changed.

    The detector would see the same again, so it need not run: this is what makes the second look cheap.
    """
    found = [*candidates, *(face for face in faces if face.region is None)]
    return [
        Finding(face.frame, face.box, face.score, 1.0, "as first seen")
        for face in sorted(found, key=lambda face: -face.score)
        if face.score >= config.score_threshold
    ]


def needs_detector(faces: Sequence[Face], config: VerifyConfig, first: DetectorConfig) -> bool:
    """Whether a second look can see anything that the first did not keep."""
    plain = max(config.scales, default=1.0) <= 1 and set(config.rotations) <= {0}
    lower = config.score_threshold < min(first.review_threshold, first.score_threshold)
    return not plain or lower or any(face.region for face in faces)


def wanted_side(detector: Detector, config: VerifyConfig) -> AtLeast:
    """Pixels that the longer side of a picture must keep for :func:`look_again`; None: all of them."""
    largest = max(config.scales, default=1.0)
    side = getattr(detector, "input_size", None)
    if largest < 1 and side:  # no tiles, and no more than is then shrunk to its part of the canvas
        return int(np.ceil(OVERSAMPLING * side * largest))
    return None if largest > 1 else stages.wanted_side(detector)


def as_records(findings: Sequence[Finding]) -> list[dict[str, object]]:
    return [asdict(finding) for finding in findings]


class _Frame:
    """One frame of an output: what was redacted in it, and what is found."""

    def __init__(
        self, output: int, number: int, frame: Frame, of: Redacted, whole: FrameView, redaction: RedactConfig
    ) -> None:
        self.output, self.number, self.whole, self.redaction = output, number, whole, redaction
        self.found: list[Finding] = []
        self._to_frame, self._size = whole.to_frame, frame.upright_size
        faces = [face for face in of.faces if face.frame == number]
        self._redacted = redacted_regions(faces, redaction, self._size)
        self._regions = Boxes(np.array([region.box for region in self._redacted]))
        seen = [*faces, *(face for face in of.candidates if face.frame == number)]
        self._known = Boxes(np.array([face.box for face in seen]))

    @property
    def changed(self) -> Boxes:
        """Where pixels may differ from what the first look saw, in pixels of the whole view."""
        return Boxes((self._regions.xyxy + [-AROUND, -AROUND, AROUND, AROUND]) / self.whole.factor)

    def judge(self, view: View, seen: Detections, config: VerifyConfig) -> None:
        """Note those detections that are findings. They are in pixels of the view."""
        seen = seen.at_least(config.score_threshold)
        for box, score in zip(self._to_frame(view.back(seen.boxes)), seen.scores, strict=True):
            exposed = exposed_share(box, self._redacted, self.redaction, self._size)
            if exposed > MAX_EXPOSED and not (exposed < 1 and self._made_by_redaction(box)):
                corners = [round(float(value), 2) for value in box]
                self.found.append(
                    Finding(self.number, corners, round(float(score), 4), round(exposed, 3), view.name)
                )

    def let_go(self) -> None:
        """Of the pixels: only views that wait hold them."""
        del self.whole

    def _made_by_redaction(self, box: NDArray[np.float64]) -> bool:
        """A blurred head on its shoulders, or the mouth below, may look like a face that was not there."""
        own = Boxes(box[None])
        if not own.areas[0] or not len(self._regions):
            return False
        touched = own.intersection(self._regions).max() / own.areas[0]
        return bool(touched > TOUCHED and own.iou(self._known).max(initial=0) < KNOWN)


def _frames(
    detector: Detector, outputs: Sequence[Redacted], config: VerifyConfig, redaction: RedactConfig
) -> Iterator[_Frame]:
    at_least = wanted_side(detector, config)
    for output, each in enumerate(outputs):
        for number, frame in enumerate(each.picture.frames):
            yield _Frame(output, number, frame, each, frame.view(at_least), redaction)


def redacted_regions(faces: Sequence[Face], redaction: RedactConfig, size: tuple[int, int]) -> list[Region]:
    """What was redacted for faces of one frame of that width and height, as the manifest has it."""
    hidden = [face for face in faces if face.region]
    again = region_of_each(Boxes(np.array([face.box for face in hidden])), redaction, size)
    return [
        replace(region, box=tuple(face.region))  # type: ignore[arg-type]  # of four numbers
        for face, region in zip(hidden, again, strict=True)
        if region and face.region
    ]


def exposed_share(
    box: NDArray[np.float64], redacted: Sequence[Region], redaction: RedactConfig, size: tuple[int, int]
) -> float:
    """Share of what would be redacted for a face, but for the margin, that no redacted region covers."""
    (own,) = region_of_each(Boxes(box[None]), replace(redaction, margin=0.0), size)
    if own is None:
        return 0.0
    wanted = own.mask(redaction.shape)
    exposed = wanted.copy()
    xmin, ymin, xmax, ymax = own.box
    for region in redacted:
        left, top, right, bottom = region.box
        x0, y0, x1, y1 = max(left, xmin), max(top, ymin), min(right, xmax), min(bottom, ymax)
        if x0 < x1 and y0 < y1:
            mask = region.mask(redaction.shape)[y0 - top : y1 - top, x0 - left : x1 - left]
            exposed[y0 - ymin : y1 - ymin, x0 - xmin : x1 - xmin] &= ~mask
    return float(exposed.sum() / max(wanted.sum(), 1))


def _once(found: list[Finding]) -> list[Finding]:
    """A face that several views see, or of which tiles see parts, is one finding: the largest box."""
    kept: list[Finding] = []
    for finding in sorted(found, key=lambda each: -_area(each)):
        shared = Boxes(np.array([finding.box])).intersection(Boxes(np.array([each.box for each in kept])))[0]
        same = np.flatnonzero(shared > 0.5 * _area(finding))
        if len(same):
            whole = kept[same[0]]
            kept[same[0]] = replace(whole, score=max(whole.score, finding.score))
        else:
            kept.append(finding)
    return kept


def _area(finding: Finding) -> float:
    return float(Boxes(np.array([finding.box])).areas[0])
