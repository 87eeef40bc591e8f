"""Several batches at once, each in a thread, in order, within bounds of memory.

One batch goes through all its stages in one thread; the stages of different batches overlap, since decoders,
encoders, NumPy and detectors release the interpreter's lock. What a batch holds follows from the files alone,
never from timing: the detector is always shown the same pictures together, so that the output does not depend
on how many threads there are.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from PIL import Image

from pipeline.anonymize.images import AtLeast
from pipeline.anonymize.images.jpeg import factor
from pipeline.anonymize.images.pillow import unlimited
from pipeline.anonymize.plan import Task

T = TypeVar("T")


class Stopped(Exception):
    """What a batch raises that does not go on because the run ends."""


TOGETHER = 4
"""Pictures in a batch, unless they are large."""
TOGETHER_BYTES = 48 << 20
"""Of memory, that the opened pictures of a batch may take, unless it is of one."""
OPENED_BYTES = 384 << 20
"""Of memory, that the opened pictures of all batches may take, unless it is one batch."""
_UNKNOWN = 24  # bytes of memory for one of a file whose header tells nothing
_HEADERS = ("JPEG", "PNG", "TIFF", "GIF", "BMP")
"""Formats of which Pillow reads no more than the header, in Python. Others it opens whole, in C: a crash
there must not come before the journal knows of the file."""


@dataclass(frozen=True)
class Batch:
    """Files that are worked on together.

    Attributes:
        held: bytes of memory that they take when opened.
        alone: nothing else is worked on at the same time.
        suspects: paths of those that may be what ended an earlier run.
    """

    tasks: Sequence[Task]
    held: int
    alone: bool = False
    suspects: frozenset[str] = frozenset()


def batches(
    tasks: Sequence[Task], starts: Callable[[str], int], at_least: AtLeast, probe_after: int
) -> Iterator[Batch]:
    """Few and small enough; a file at which an earlier run ended comes alone.

    Args:
        starts: how often a file was started without an end.
        at_least: side in pixels at which pictures are opened where their format can.
        probe_after: starts that make a file a suspect.
    """
    together: list[Task] = []
    held = 0
    for task in tasks:
        begun = starts(task.path)
        size = opened_bytes(task.source, at_least)
        if together and (begun or len(together) == TOGETHER or held + size > TOGETHER_BYTES):
            yield Batch(together, held)
            together, held = [], 0
        if begun:
            suspects = frozenset({task.path} if begun >= probe_after else ())
            yield Batch([task], size, alone=True, suspects=suspects)
        else:
            together.append(task)
            held += size
    if together:
        yield Batch(together, held)


def opened_bytes(path: Path, at_least: AtLeast) -> int:
    """Memory that a picture takes once it is opened: an estimate by its header, for planning only."""
    try:
        size = path.stat().st_size
        with unlimited.at(None), Image.open(path, formats=_HEADERS) as image:
            width, height = image.size
            scale = factor(width, height, at_least) if image.format in ("JPEG", "MPO") else 1
    except Exception:  # whatever a damaged header provokes: opening it in earnest will say
        return _UNKNOWN * _size(path)
    return size + 4 * -(-width // scale) * -(-height // scale)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def threads(workers: int) -> int:
    """How many batches are worked on at once: one more than computes, since one waits for the detector."""
    return (workers or os.cpu_count() or 1) + 1


def in_order(
    waiting: Iterable[Batch],
    work: Callable[[Batch], T],
    begin: Callable[[Batch], None],
    at_once: int,
    stopped: threading.Event,
) -> Generator[T, None, None]:
    """What ``work`` makes of each batch, in their order.

    Args:
        work: called in a thread; what it raises is raised here.
        begin: called here, before a batch is worked on.
        at_once: threads.
        stopped: is set when the iterator is closed or left by an exception; closing waits for the threads, so
            that nothing writes any more when it returns.
    """
    pool = ThreadPoolExecutor(at_once, thread_name_prefix="veil")
    begun: deque[tuple[Batch, Future[T]]] = deque()
    try:
        for batch in waiting:
            while begun and _full(batch, [each for each, _ in begun], 2 * at_once):
                yield begun.popleft()[1].result()
            begin(batch)
            begun.append((batch, pool.submit(work, batch)))
        while begun:
            yield begun.popleft()[1].result()
    finally:
        stopped.set()
        pool.shutdown(wait=True, cancel_futures=True)


def _full(batch: Batch, begun: Sequence[Batch], most: int) -> bool:
    held = sum(each.held for each in begun)
    return batch.alone or begun[-1].alone or len(begun) >= most or held + batch.held > OPENED_BYTES


class Room:
    """Memory that threads share; who asks for more than there is gets it alone."""

    def __init__(self, size: int) -> None:
        self._size = self._free = size
        self._changed = threading.Condition()

    @contextmanager
    def take(self, wanted: int) -> Iterator[None]:
        """Wait for that many bytes to be free, and hold them."""
        wanted = min(wanted, self._size)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= wanted)
            self._free -= wanted
        try:
            yield
        finally:
            with self._changed:
                self._free += wanted
                self._changed.notify_all()
