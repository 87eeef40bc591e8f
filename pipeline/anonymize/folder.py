"""The run over a folder: scan → plan → stages in batches → labels → report.

Every file has its line in the manifest soon after its output stands, so a run that is killed loses at most
the few batches in hand, and the next run goes on.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pipeline.anonymize import labels, report, settings
from pipeline.anonymize.detect import Detector, expected_runtime, load_detector, model_digest, serving
from pipeline.anonymize.looks import looking
from pipeline.anonymize.manifest import Journal
from pipeline.anonymize.outcome import Planned, Summary, Watch, unwatched
from pipeline.anonymize.output import Output, OutputFails, foreign_files
from pipeline.anonymize.paths import folders
from pipeline.anonymize.plan import Action, Planner, Task, removed, with_ignored
from pipeline.anonymize.scan import Found, scan
from pipeline.anonymize.work import Worker
from pipeline.config.paths import locate
from pipeline.config.schema import AnonymizeConfig, Method


def anonymize_folder(
    config: AnonymizeConfig, detector: Detector | None = None, watch: Watch = unwatched
) -> Summary:
    """Anonymize what is in ``config.data`` into ``config.out``, or go on with it.

    Args:
        config: checked already (:func:`pipeline.config.validate.validate`).
        detector: default: the SavedModel of ``config.detector``, loaded when there is work for it.
        watch: called as files are done (see :class:`pipeline.anonymize.outcome.Watch`).

    Returns:
        What was done and what was not; its ``exit_code`` is the command's.

    Raises:
        UserError: DATA, OUT or the detector cannot be used; nothing was written then.
    """
    started = time.monotonic()
    data, out = folders(config.data, config.out)
    model, runtime = locate(config.detector.model), config.detector.runtime
    if detector:
        detector = looking(detector, config.detector)
        config = settings.as_it_looks(config, detector)
    digest = detector.digest if detector else model_digest(model)
    serves = serving(detector, runtime) if detector else expected_runtime(model, digest, runtime)
    run = _Run(settings.served_by(config, serves), data, out, digest, runtime, detector, watch)
    summary = run.dry() if config.dry_run else run.go()
    summary.seconds = time.monotonic() - started
    return summary


@dataclass
class _Run:
    """One run. ``runtime`` is what was asked for; ``config`` says what serves, as far as that is known."""

    config: AnonymizeConfig
    data: Path
    out: Path
    digest: str
    runtime: str
    detector: Detector | None
    watch: Watch

    @cached_property
    def scanned(self) -> list[Found]:
        return scan(self.data, self.config.ignore, self.config.follow_links)

    def _found(self, journal: Journal) -> list[Found]:
        return with_ignored(self.scanned, journal, self.data)

    def dry(self) -> Summary:
        journal = Journal.read(self.out)
        tasks = self._plan(journal)
        summary = self._summary(journal, tasks)
        summary.planned = Planned.of(
            tasks, journal.entries, labels.candidates(self.scanned), labels.others(self.scanned)
        )
        return summary

    def go(self) -> Summary:
        # A foreign OUT and a detector that does not load are refused before anything is written.
        if any(task.action is not Action.keep for task in self._plan(Journal.read(self.out))):
            self._load()
        with ExitStack() as stack:
            stack.enter_context(Output(self.out))
            journal = Journal.read(self.out)
            stack.callback(journal.close)
            tasks = self._plan(journal)
            summary = self._summary(journal, tasks)
            try:
                self._note_left_out(journal, tasks)
                self._work(journal, [task for task in tasks if task.action is not Action.keep], summary)
                found = self._found(journal)
                summary.labels = labels.carry(self.data, self.out, found, journal, self.config.labels)
                journal.finish()
                report.write(summary, self.config)
            except OutputFails as error:
                summary.stopped = str(error)
            except OSError as error:
                summary.stopped = f"{self.out}: {error.strerror or error}"
            return summary

    def _load(self) -> Detector:
        if self.detector is None:
            asked = self.config.detector
            loaded = load_detector(locate(asked.model), runtime=self.runtime)
            self.detector = looking(loaded, asked)
            self.config = settings.served_by(self.config, serving(self.detector, self.runtime))
        return self.detector

    def _plan(self, journal: Journal) -> list[Task]:
        look = self.config.verify.enabled and self.config.redact.method is not Method.none
        verify = settings.of_verify(self.config, self.digest) if look else None
        made = settings.of_pictures(self.config, self.digest)
        return Planner(self.data, self.out, journal, made, verify).plan(self._found(journal))

    def _summary(self, journal: Journal, tasks: Sequence[Task]) -> Summary:
        summary = Summary(self.data, self.out, journal.entries, self.digest, self.config.detector.runtime)
        summary.removed = list(removed(journal, self._found(journal)))
        summary.foreign = foreign_files(self.out, journal.written)
        summary.todo = [task.path for task in tasks if task.action is not Action.keep]
        return summary

    def _note_left_out(self, journal: Journal, tasks: Sequence[Task]) -> None:
        for task in tasks:
            if task.refused and journal.entries.get(task.path) != task.refused:
                journal.done(task.refused)

    def _work(self, journal: Journal, tasks: Sequence[Task], summary: Summary) -> None:
        if not tasks:
            return
        worker = Worker(self.config, self._load(), journal)
        self.watch.start(len(tasks))
        with closing(worker.run(tasks)) as done:  # whatever ends this, no thread writes into OUT after it
            for task, entry in done:
                summary.count(task, entry)
                self.watch.advance(task.path, entry)
