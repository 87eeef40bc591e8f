"""Drives the stages over files, and writes what became of each into the journal."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.anonymize import settings, stages, timings, verify
from pipeline.anonymize.detect import Detections, Detector
from pipeline.anonymize.entry import Entry, FileState, digest
from pipeline.anonymize.flow import Batch, Room, Stopped, batches, in_order, threads
from pipeline.anonymize.images import Picture, PictureError, WriteResult
from pipeline.anonymize.manifest import Journal
from pipeline.anonymize.output import raise_if_broken
from pipeline.anonymize.plan import Action, Task, refused
from pipeline.config.paths import ROOT
from pipeline.config.schema import AnonymizeConfig, LimitsConfig, Method

PROBE_AFTER = 2
"""Starts without an end after which a file may be what ended Veil: it is tried in a process of its own."""
GIVE_UP_AFTER = PROBE_AFTER + 2
"""Starts without an end after which a file is left out: decoding it did no harm, what follows does."""
PROBE_SECONDS = 300

ROOM_BYTES = 880 << 20
"""Of memory, that pictures may take while they are redacted and coded anew, unless it is one picture: enough
for two JPEGs of 45 megapixels, as cameras write them."""

Outcome = Entry | PictureError


@dataclass(frozen=True)
class _Source:
    task: Task
    picture: Picture
    status: os.stat_result


@dataclass
class Worker:
    """Makes outputs, several batches at once (see flow.py); the journal is written by the caller's thread."""

    config: AnonymizeConfig
    detector: Detector
    journal: Journal
    _room: Room = field(default_factory=lambda: Room(ROOM_BYTES))
    _stopped: threading.Event = field(default_factory=threading.Event)
    _refused: dict[str, PictureError] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.detector = stages.Shared(self.detector)
        self._at_least = stages.wanted_side(self.detector)

    def run(self, tasks: Sequence[Task]) -> Generator[tuple[Task, Entry], None, None]:
        """Every file, done or left out, in order. Close the iterator when leaving it early.

        Raises:
            OutputFails: the disk is full, or OUT cannot be written.
        """
        waiting = batches(tasks, self.journal.started.__getitem__, self._at_least, PROBE_AFTER)
        at_once = threads(self.config.workers)
        with closing(in_order(waiting, self._outcomes, self._begin, at_once, self._stopped)) as done:
            for outcomes in done:
                for task, outcome in outcomes:
                    yield task, self._close(task, outcome)

    def _begin(self, batch: Batch) -> None:
        for task in batch.tasks:
            if task.path in batch.suspects:
                try:
                    self._try(task)
                except PictureError as error:
                    self._refused[task.path] = error
        self.journal.start([task.path for task in batch.tasks])

    def _try(self, task: Task) -> None:
        """Before its start is noted: a run that is stopped meanwhile does not count against the file.

        Raises:
            PictureError: ``crashes`` or ``hangs``.
        """
        starts = self.journal.started[task.path]
        if starts >= GIVE_UP_AFTER:
            message = f"Veil ended {starts} times at it (a library crashed, or memory ran out)"
            raise PictureError("crashes", message)
        probe(task.source, self.config.limits)

    def _close(self, task: Task, outcome: Outcome) -> Entry:
        if isinstance(outcome, PictureError):
            raise_if_broken(outcome)
            message = str(outcome.message).removeprefix(f"{task.source}: ").removeprefix(f"{task.target}: ")
            before = self.journal.standing(task.path)
            outcome = refused(task.path, "picture", outcome.reason, message, old=before)
            outcome = replace(outcome, source=_state(task.source))
        made: dict[str, Any] = {"settings": self._settings, "config": digest(self._settings)}
        if outcome.status == "left_out" and outcome.output:
            made = {"tried": self._settings}  # what stands was made by an earlier run
        entry = replace(outcome, **made, time=_now())
        self.journal.done(entry)
        return entry

    def _outcomes(self, batch: Batch) -> list[tuple[Task, Outcome]]:
        """What became of each file of a batch, in its order."""
        making = [task for task in batch.tasks if task.action is Action.make]
        outcomes = dict(self._made_together(making))
        outcomes |= {
            task.path: self.journal.entries[task.path] for task in batch.tasks if task.action is Action.verify
        }
        self._look_again(batch.tasks, outcomes)
        return [(task, outcomes[task.path]) for task in batch.tasks]

    def _made_together(self, tasks: list[Task]) -> Iterator[tuple[str, Outcome]]:
        """Decode and detect together, then finish one after the other."""
        sources: list[_Source] = []
        for task in tasks:
            self._go_on()
            try:
                if task.path in self._refused:
                    raise self._refused[task.path]
                sources.append(self._decoded(task))
            except Exception as error:
                yield task.path, _left_out(error)
        found = self._detect([source.picture for source in sources])
        while sources:
            self._go_on()
            path = sources[0].task.path
            yield path, self._made(sources.pop(0), found.pop(0))  # what is done is held no longer

    def _go_on(self) -> None:
        if self._stopped.is_set():
            raise Stopped

    def _decoded(self, task: Task) -> _Source:
        try:
            status = task.source.stat()  # before reading: a later change is then seen by the next run
        except OSError as error:
            raise PictureError("unreadable", f"cannot be read ({error.strerror})") from error
        return _Source(task, stages.decode(task.source, self.config.limits, self._at_least), status)

    def _detect(self, pictures: list[Picture]) -> list[list[Detections] | PictureError]:
        try:
            return stages.detect(self.detector, pictures)
        except Exception as error:  # a bug must not let anything through, nor end the rest of the folder
            return [_internal(error)] * len(pictures)

    def _made(self, source: _Source, found: list[Detections] | PictureError) -> Outcome:
        if isinstance(found, PictureError):
            return found
        try:
            return self._written(source, found)
        except Exception as error:
            return _left_out(error)

    def _written(self, source: _Source, found: list[Detections]) -> Entry:
        threshold = self.config.detector.score_threshold
        frames = zip(source.picture.frames, found, strict=True)
        coded = [frame for frame, seen in frames if len(seen.at_least(threshold))]
        pixels = sum(width * height for width, height in (frame.size for frame in coded))
        # With tiles a JPEG is held in full already: then two large ones do not fit beside each other.
        held = sum(frame.held for frame in coded)
        with self._room.take(source.picture.bytes_per_pixel * pixels + held):
            painted = stages.paint(source.picture, found, self.config.redact, self.config.detector)
            written = stages.encode(source.picture, painted, source.task.target)
        try:
            return self._entry(source, painted, written)
        except Exception:
            source.task.target.unlink(missing_ok=True)
            raise

    def _entry(self, source: _Source, painted: stages.Painted, written: WriteResult) -> Entry:
        task = source.task
        with timings.stage("hash"):
            read = FileState.of(task.source, source.picture.data, source.status)
            output = FileState.of(task.target)
        return Entry(
            path=task.path,
            kind="picture",
            status="done",
            source=read,
            output=output,
            picture=stages.describe(source.picture),
            faces=painted.faces,
            candidates=painted.candidates,
            metadata_removed=written.metadata_removed,
        )

    def _look_again(self, tasks: Sequence[Task], outcomes: dict[str, Outcome]) -> None:
        """Enter the findings of the second look; what cannot be looked at again is not left standing."""
        if not self.config.verify.enabled or self.config.redact.method is Method.none:
            return
        again: list[tuple[Task, Entry, verify.Redacted]] = []
        for task in tasks:
            entry = outcomes[task.path]
            if isinstance(entry, PictureError):
                continue
            self._go_on()
            if verify.needs_detector(entry.faces, self.config.verify, self.config.detector):
                try:
                    again.append((task, entry, self._read_back(task, entry)))
                except Exception as error:
                    outcomes[task.path] = self._withdrawn(task, error)
            else:
                findings = verify.already_known(entry.candidates, entry.faces, self.config.verify)
                outcomes[task.path] = self._verified(entry, findings)
        found = self._findings([output for *_, output in again])
        for (task, entry, _), each in zip(again, found, strict=True):
            if isinstance(each, Exception):
                outcomes[task.path] = self._withdrawn(task, each)
            else:
                outcomes[task.path] = self._verified(entry, each)

    def _read_back(self, task: Task, entry: Entry) -> verify.Redacted:
        with timings.stage("verify"):
            at_least = verify.wanted_side(self.detector, self.config.verify)
            picture = stages.decode(task.target, self.config.limits, at_least)
        return verify.Redacted(picture, entry.faces, entry.candidates)

    def _findings(self, outputs: list[verify.Redacted]) -> list[list[verify.Finding] | Exception]:
        """Of each output; one that cannot be looked at takes no other with it."""
        config = self.config
        try:
            with timings.stage("verify"):
                return [
                    *verify.look_again(self.detector, outputs, config.verify, config.redact, config.detector)
                ]
        except Exception as error:
            if len(outputs) == 1:
                return [error]
        return [self._findings([output])[0] for output in outputs]

    def _verified(self, entry: Entry, findings: list[verify.Finding]) -> Entry:
        how = settings.of_verify(self.config, self.detector.digest)
        return replace(entry, verified={"settings": how, "findings": verify.as_records(findings)})

    @staticmethod
    def _withdrawn(task: Task, error: Exception) -> PictureError:
        if task.action is Action.make:
            task.target.unlink(missing_ok=True)
        return _left_out(error)

    @cached_property
    def _settings(self) -> dict[str, Any]:
        return settings.of_pictures(self.config, self.detector.digest)


def probe(source: Path, limits: LimitsConfig) -> None:
    """Decode in another process: a file that crashes a decoder must not end every run.

    Raises:
        PictureError: ``crashes`` or ``hangs``.
    """
    numbers = [str(limits.max_megapixels), str(limits.max_total_megapixels)]
    command = [sys.executable, "-m", "pipeline.anonymize.probe", str(source), *numbers]
    try:
        code = subprocess.run(command, cwd=ROOT, timeout=PROBE_SECONDS, capture_output=True).returncode
    except subprocess.TimeoutExpired as error:
        message = f"decoding takes more than {PROBE_SECONDS} seconds"
        raise PictureError("hangs", message) from error
    if code < 0:
        raise PictureError("crashes", f"decoding ends the process (signal {-code})")


def _left_out(error: Exception) -> PictureError:
    return error if isinstance(error, PictureError) else _internal(error)


def _internal(error: Exception) -> PictureError:
    return PictureError("internal_error", f"a fault of Veil's: {type(error).__name__}: {error}")


def _state(path: Path) -> FileState | None:
    try:
        return FileState.of(path)
    except OSError:
        return None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
