"""A detector on OpenVINO; imports no TensorFlow."""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.anonymize import timings
from pipeline.anonymize.detect.canvas import Letterboxed, Size, letterbox, part_side
from pipeline.anonymize.detect.check import Raw
from pipeline.anonymize.detect.common import OVERSAMPLING, Detections, Picture, check_picture
from pipeline.anonymize.detect.convert import Converted
from pipeline.config.schema.anonymization import SCORE_FLOOR

Idle = queue.SimpleQueue[Any]
"""Requests that compute nothing just now."""


class OpenVinoDetector:
    """A converted SavedModel. Threads may come at once; computing releases the GIL.

    Args:
        networks: gives what is compiled for canvases of one size, uint8 ``[1, h, w, 3]``; called when the
            first such canvas comes.
        converted: says how large canvases are, and how overlapping boxes are suppressed.
        floor: detections below this score are dropped.
    """

    concurrent = True

    def __init__(
        self,
        networks: Callable[[Size], Any],
        converted: Converted,
        digest: str,
        runtime: str,
        floor: float = SCORE_FLOOR,
    ) -> None:
        self.digest, self.runtime, self.floor = digest, runtime, floor
        self.input_size, self.oblong = converted.side, converted.oblong
        self.part_size = part_side(converted.side, converted.oblong)
        self.wanted_side = OVERSAMPLING * self.input_size
        self.suppression = converted.suppression
        self._networks = networks
        self._compiled: dict[Size, tuple[Any, Idle]] = {}
        self._compiling = threading.Lock()

    def detect(self, pictures: Sequence[Picture]) -> list[Detections]:
        """See :class:`pipeline.anonymize.detect.common.Detector`; the next picture is resized meanwhile."""
        return self._detect(pictures, self.input_size, self.oblong)

    def detect_parts(self, parts: Sequence[Picture]) -> list[Detections]:
        """As :meth:`detect`, on squares of ``part_size``."""
        if self.part_size is None:
            raise ValueError("the network takes no smaller canvases")
        return self._detect(parts, self.part_size, oblong=False)

    def _detect(self, pictures: Sequence[Picture], side: int, oblong: bool) -> list[Detections]:
        for picture in pictures:
            check_picture(picture)
        running: deque[_Running] = deque()
        found: list[Detections] = []
        try:
            for picture in pictures:
                with timings.stage("resize"):
                    canvas, inner = letterbox(picture, side, oblong)
                place = Letterboxed(picture.shape[:2], inner, canvas.shape[:2], self.floor)
                idle = self._idle(place.canvas)
                running.append(_Running(self._take(idle, running, found), idle, place, canvas))
                running[-1].request.start_async({0: canvas[None]}, share_inputs=True)
            while running:
                found.append(self._finish(running))
        finally:
            for each in running:  # only after a failure
                each.request.cancel()
                each.idle.put(each.request)
        return found

    def raw(self, canvas: Picture) -> Raw:
        """Every anchor of one canvas, uint8 ``[h, w, 3]``."""
        idle = self._idle(canvas.shape[:2])
        request = idle.get()
        try:
            return every_anchor(request, canvas)
        finally:
            idle.put(request)

    def _idle(self, size: Size) -> Idle:
        """Requests for canvases of a size."""
        if known := self._compiled.get(size):
            return known[1]
        with self._compiling:
            if size not in self._compiled:
                compiled, idle = self._networks(size), Idle()
                for _ in range(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")):
                    idle.put(compiled.create_infer_request())
                self._compiled[size] = compiled, idle  # the first owns what the requests compute with
            return self._compiled[size][1]

    def _take(self, idle: Idle, running: deque[_Running], found: list[Detections]) -> Any:
        """An idle request. Who holds one finishes it before waiting for another: no two wait in a circle."""
        while True:
            try:
                with timings.stage("wait"):
                    return idle.get(block=not running)
            except queue.Empty:
                found.append(self._finish(running))

    def _finish(self, running: deque[_Running]) -> Detections:
        now = running[0]
        with timings.stage("infer"):
            now.request.wait()
        raw = _outputs(now.request)
        # what is dropped in the end suppresses nothing that stays (scores rise with ranks), and is nearly all
        least = raw.ranks[~(raw.scores < self.floor)].min(initial=np.inf)
        near = np.flatnonzero(~(raw.ranks < self.suppression.vote_share * least))
        boxes, scores, ranks = raw.boxes[near], raw.scores[near], raw.ranks[near]
        running.popleft()
        now.idle.put(now.request)
        with timings.stage("suppress"):
            return now.place.detections(*self.suppression.faces(boxes, scores, ranks, self.floor))


@dataclass(frozen=True)
class _Running:
    """A canvas that is computed now; its pixels are kept here, since the request does not copy them."""

    request: Any
    idle: Idle
    place: Letterboxed
    canvas: Picture


def every_anchor(request: Any, canvas: Picture) -> Raw:
    """What the network says of one canvas, uint8 ``[h, w, 3]``."""
    request.infer({0: canvas[None]})
    raw = _outputs(request)
    return Raw(raw.boxes.copy(), raw.scores.copy(), raw.ranks.copy())


def _outputs(request: Any) -> Raw:
    """Views of the request's memory: gone with its next picture."""
    given = {name for output in request.model_outputs for name in output.names}
    out = {name: request.get_tensor(name).data[0] for name in given & {"boxes", "scores", "raw_scores"}}
    return Raw(out["boxes"], out["scores"], out.get("raw_scores", out["scores"]))
