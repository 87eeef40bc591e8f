"""Where the time of a run goes, stage by stage; nothing is measured unless somebody asks::

    with timings.collected() as times:
        anonymize_folder("photos")
    times.seconds["decode"], times.cpu["decode"], times.count["decode"]

Stages: ``read`` (file to bytes, formats' structure, decoding), ``decode`` (again, at full size, for a picture
with a face), ``wait`` (for the turn with the detector), ``detect`` (all of ``detector.detect``), ``redact``,
``encode`` (new bytes, written, synced and checked), ``hash`` and ``verify`` (the second look, whose
detections also count as ``detect``). Whoever has a stage of its own, such as a detector that resizes, says
``with timings.stage("resize")``; stages may lie within each other.

When off, a stage costs one look at a global. ``cpu`` is of the stage's own thread: what a detector computes
in threads of its own is not in it.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field


@dataclass
class Timings:
    """Sums over all threads, by stage.

    Attributes:
        seconds: by the clock. cpu: of processor time. count: how often.
    """

    seconds: Counter[str] = field(default_factory=Counter)
    cpu: Counter[str] = field(default_factory=Counter)
    count: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        clock, cpu = time.perf_counter(), time.thread_time()
        try:
            yield
        finally:
            clock, cpu = time.perf_counter() - clock, time.thread_time() - cpu
            with self._lock:
                self.seconds[name] += clock  # type: ignore[assignment]
                self.cpu[name] += cpu  # type: ignore[assignment]
                self.count[name] += 1


_active: Timings | None = None
_OFF = nullcontext()


def stage(name: str) -> AbstractContextManager[None]:
    """Measure the block, if anybody collects."""
    return _OFF if _active is None else _active.stage(name)


@contextmanager
def collected() -> Iterator[Timings]:
    """Collect from here to the end of the block, in all threads of the process."""
    global _active
    before, _active = _active, Timings()
    try:
        yield _active
    finally:
        _active = before
