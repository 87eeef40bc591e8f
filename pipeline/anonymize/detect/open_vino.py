"""A detector on OpenVINO; imports no TensorFlow."""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.anonymize import timings
from pipeline.anonymize.detect.check import Raw
from pipeline.anonymize.detect.common import (
    OVERSAMPLING,
    Detections,
    Letterboxed,
    Picture,
    check_picture,
    letterbox,
)
from pipeline.anonymize.detect.suppress import Suppression
from pipeline.config.schema.anonymization import SCORE_FLOOR


class OpenVinoDetector:
    """A converted SavedModel. Threads may come at once; computing releases the GIL.

    Args:
        compiled: takes uint8 ``[1, S, S, 3]``.
        suppression: as the SavedModel does it.
        floor: detections below this score are dropped.
    """

    concurrent = True

    def __init__(
        self, compiled: Any, digest: str, runtime: str, suppression: Suppression, floor: float = SCORE_FLOOR
    ) -> None:
        self.digest, self.runtime, self.floor = digest, runtime, floor
        self.input_size = int(compiled.input(0).shape[1])
        self.wanted_side = OVERSAMPLING * self.input_size
        self.suppression = suppression
        self._names = {name for output in compiled.outputs for name in output.names}
        self._compiled = compiled  # owns what the requests compute with
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for _ in range(compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")):
            self._idle.put(compiled.create_infer_request())

    def detect(self, pictures: Sequence[Picture]) -> list[Detections]:
        """See :class:`pipeline.anonymize.detect.common.Detector`; the next picture is resized meanwhile."""
        for picture in pictures:
            check_picture(picture)
        running: deque[tuple[Any, Letterboxed, Picture]] = deque()
        found: list[Detections] = []
        try:
            for picture in pictures:
                with timings.stage("resize"):
                    square, inner = letterbox(picture, self.input_size)
                place = Letterboxed(picture.shape[:2], inner, self.input_size, self.floor)
                request = self._take(running, found)
                running.append((request, place, square))  # which also keeps the pixels: they are not copied
                request.start_async({0: square[None]}, share_inputs=True)
            while running:
                found.append(self._finish(running))
        finally:
            for request, *_ in running:  # only after a failure
                request.cancel()
                self._idle.put(request)
        return found

    def raw(self, square: Picture) -> Raw:
        """Every anchor of one square, uint8 ``[S, S, 3]``."""
        request = self._idle.get()
        try:
            request.infer({0: square[None]})
            raw = self._outputs(request)
            return Raw(raw.boxes.copy(), raw.scores.copy(), raw.ranks.copy())
        finally:
            self._idle.put(request)

    def _take(self, running: deque[Any], found: list[Detections]) -> Any:
        """An idle request. Who holds one finishes it before waiting for another: no two wait in a circle."""
        while True:
            try:
                with timings.stage("wait"):
                    return self._idle.get(block=not running)
            except queue.Empty:
                found.append(self._finish(running))

    def _finish(self, running: deque[tuple[Any, Letterboxed, Picture]]) -> Detections:
        request, place, _ = running[0]
        with timings.stage("infer"):
            request.wait()
        raw = self._outputs(request)
        # what is dropped in the end suppresses nothing that stays (scores rise with ranks), and is nearly all
        shown = np.flatnonzero(~(raw.scores < self.floor))
        boxes, scores, ranks = raw.boxes[shown], raw.scores[shown], raw.ranks[shown]
        running.popleft()
        self._idle.put(request)
        with timings.stage("suppress"):
            kept = self.suppression.keep(boxes, ranks)
            return place.detections(boxes[kept], scores[kept])

    def _outputs(self, request: Any) -> Raw:
        """Views of the request's memory: gone with its next picture."""
        names = self._names & {"boxes", "scores", "raw_scores"}
        out = {name: request.get_tensor(name).data[0] for name in names}
        return Raw(out["boxes"], out["scores"], out.get("raw_scores", out["scores"]))
