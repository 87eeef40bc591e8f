"""One tracked run, as the training sees it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import yaml

from pipeline.config.plain import plain
from pipeline.config.schema import TrackingConfig
from pipeline.data.version import DatasetVersion
from pipeline.tracking import provenance
from pipeline.tracking.ending import Sigterm, status_of
from pipeline.tracking.journal import Journal
from pipeline.tracking.locks import Lock
from pipeline.tracking.names import flatten, legal, numbers
from pipeline.tracking.opening import lock_run, open_run
from pipeline.tracking.sender import Sender, brief, warn
from pipeline.tracking.store import ROOT, Store, locate
from pipeline.tracking.watchdog import Watchdog

FLUSH_SECONDS = 15.0
DIGEST_LENGTH = 36


class Run:
    """A run in MLflow, and its record in ``folder``.

    Use as ``with Run.start(…) as run:``. After :meth:`start` no method raises for a store that fails:
    one warning on stderr, the record stays in ``folder/metrics.jsonl``, and what the store missed is
    sent when it is back, or when the run is resumed. Leaving the block says FINISHED; an exception says
    FAILED; Ctrl-C and SIGTERM say KILLED.
    """

    def __init__(self, config: TrackingConfig, name: str, journal: Journal, lock: Lock) -> None:
        """For :meth:`start`."""
        self._name = name
        self.id: str | None = None
        self.resumed = journal.count > 0
        self._config, self._journal, self._lock = config, journal, lock
        self._sender: Sender | None = None
        self._watchdog: Watchdog | None = None
        self._finished = False
        self._sigterm = Sigterm()
        self._datasets: dict[str, tuple[str, str]] = {}

    @classmethod
    def start(
        cls,
        config: TrackingConfig,
        name: str,
        *,
        folder: Path | str,
        run_id: str | None = None,
        params: Any = None,
        tags: Mapping[str, str] | None = None,
        description: str = "",
        before: Callable[[], None] = lambda: None,
    ) -> Run:
        """Start a run, or continue the one that ``folder`` (its own, kept between restarts) remembers.

        Args:
            params: the whole resolved configuration (dataclass or nested mapping); logged flat, with
                dotted names, and as the artifact ``config.yaml``.
            description: Markdown; the run's note in the UI.
            before: called when no other process writes ``folder``, and nothing is recorded yet.

        Raises:
            UserError: the store of a *new* run cannot be reached or written: a wrong address should
                not cost a night. When continuing, that is only a warning.
        """
        folder = Path(folder).absolute()
        lock = lock_run(folder)
        try:
            before()
            run = cls(config, name, Journal(folder, on_error=_once(_disk_message(folder))), lock)
            if config.enabled:
                notes = provenance.tags() | dict(tags or {})
                if description:
                    notes["mlflow.note.content"] = description
                run._connect(locate(config.uri), notes, params, run_id)
            return run
        except BaseException:
            lock.release()
            raise

    def _connect(self, store: Store, tags: Mapping[str, str], params: Any, run_id: str | None) -> None:
        backend, failure = open_run(store, self._config, self._name, tags, self._journal, run_id)
        self.id = backend.run_id
        self._journal.bind(self.id, store.shown)
        if self.resumed:
            self._journal.append("status", status="RUNNING")
        self.log_tags(tags)
        if params is not None:
            self.log_params(params)
            text = yaml.safe_dump(plain(params), sort_keys=False, allow_unicode=True)
            self._journal.append("text", name="config.yaml", text=text)
        self._sender = Sender(self._journal, backend)
        self._sender.start(failure)
        self._watchdog = Watchdog(self._journal.folder, store.uri)

    def log_params(self, params: Any) -> None:
        """Nested configuration as parameters. MLflow keeps a parameter's first value for ever: one that
        changed on resuming becomes the tag ``changed.<name>`` instead.
        """
        values = flatten(params)
        known = self._journal.params
        fresh = {name: value for name, value in values.items() if name not in known}
        changed = {name: value for name, value in values.items() if known.get(name, value) != value}
        if fresh:
            self._journal.append("params", values=fresh)
        if changed:
            self.log_tags({f"changed.{name}": value for name, value in changed.items()})

    def log_tags(self, tags: Mapping[str, str]) -> None:
        if tags:
            self._journal.append(
                "tags", values={legal(name): str(value)[:5000] for name, value in tags.items()}
            )

    def log_metrics(self, metrics: Mapping[str, Any], step: int) -> None:
        """Record numbers at ``step``; returns at once. Nested groups are joined by ``/``.

        A step that this metric already has, from before a resume, is not recorded again.
        """
        step, curves = int(step), self._journal.curves
        values = {
            name: value
            for name, value in numbers(metrics).items()
            if name not in curves or not curves[name].covers(step, value)
        }
        if values:
            self._journal.append("metrics", step=step, values=values)

    def log_dataset(self, version: DatasetVersion) -> None:
        """Record the data set version: one MLflow dataset a split, digest = fingerprint."""
        folder = Path(version.folder).absolute()
        shown = folder.relative_to(ROOT) if folder.is_relative_to(ROOT) else Path(folder.name)
        digest = str(version.fingerprint)[:DIGEST_LENGTH]
        for split, count in version.counts.items():
            name = f"{version.name}-{split}"
            self._datasets[split] = (name, digest)
            self._journal.append(
                "dataset",
                name=name,
                digest=digest,
                source_type="local",
                source=json.dumps({"uri": str(shown)}),
                profile=json.dumps({"pictures": count, "faces": version.boxes.get(split)}),
                context=str(split),
            )

    def log_artifacts(self, path: Path | str, to: str | None = None) -> None:
        """Upload a file, or what a folder holds, below ``to``. It must stay there until :meth:`finish`."""
        self._journal.append("artifacts", path=str(Path(path).absolute()), to=to)

    def log_model(
        self,
        folder: Path | str,
        *,
        step: int,
        metrics: Mapping[str, Any] | None = None,
        split: str | None = None,
        description: str = "",
        tags: Mapping[str, str] | None = None,
        aliases: Sequence[str] = (),
    ) -> None:
        """Log the SavedModel in ``folder`` and register it as a new version of ``registered_model``.

        Args:
            step: of the checkpoint that was exported.
            metrics: of the evaluation, shown beside the model. Log them with :meth:`log_metrics` at step 0,
                too: the UI compares figures at step 0 as bars.
            split: of the data set, on which they were measured; shown beside them.
            description: Markdown; the version's model card.
            aliases: names for this version, beside that of the newest one; taken from older versions.
        """
        self._journal.append(
            "model",
            folder=str(Path(folder).absolute()),
            registered_model=self._config.registered_model,
            name=re.sub(r"[^\w-]", "-", self._name),  # what MLflow allows here
            description=description,
            tags={legal(key): str(value) for key, value in (tags or {}).items()},
            metrics=numbers(metrics or {}),
            dataset=self._datasets.get(split or "", (None, None)),
            step=int(step),
            aliases=list(aliases),
        )

    def flush(self, seconds: float = FLUSH_SECONDS) -> bool:
        """Wait until the store has everything; a store that fails is waited for so long. Whether it has."""
        return self._sender is None or self._sender.flush(seconds)

    def finish(self, status: str = "FINISHED", seconds: float = FLUSH_SECONDS) -> None:
        """Say how the run ended: FINISHED, FAILED or KILLED. Later calls do nothing."""
        if self._finished:
            return
        self._finished = True
        self._journal.append("status", status=status)
        if self._sender is not None and not self._sender.close(seconds):
            warn(
                f"{len(self._journal.pending)} entries have not reached the store; they are kept. "
                f"Send them with: python -m pipeline.tracking sync {shlex.quote(str(self._journal.folder))}"
            )
        self._lock.release()
        if self._watchdog is not None:
            self._watchdog.dismiss()

    def __enter__(self) -> Run:
        self._sigterm.watch()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.finish(status_of(error))
        finally:
            self._sigterm.restore()


def _disk_message(folder: Path | str) -> str:
    return f"{folder}: the run's own record cannot be written ({{}}). The run goes on; MLflow is still told."


def _once(message: str) -> Any:
    said: list[bool] = []

    def report(error: OSError) -> None:
        if not said:
            said.append(True)
            warn(message.format(brief(error)))

    return report
