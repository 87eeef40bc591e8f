"""``anonymize.py verify OUT``: a whole output against its manifest; nothing is written."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.anonymize import verify
from pipeline.anonymize.detect import Detector, load_detector
from pipeline.anonymize.entry import Entry
from pipeline.anonymize.images import PictureError, check_clean, open_picture
from pipeline.anonymize.looks import looking
from pipeline.anonymize.manifest import Journal
from pipeline.anonymize.outcome import DONE, LEFT_OUT, Watch, unwatched
from pipeline.anonymize.output import foreign_files
from pipeline.anonymize.paths import MANIFEST, shown
from pipeline.config.paths import at_home, locate
from pipeline.config.plain import plain
from pipeline.config.schema import Method, RedactConfig, Shape, VerifyOutputConfig
from pipeline.config.validate import validate
from pipeline.errors import UserError


@dataclass(frozen=True)
class Problem:
    """One finding.

    Attributes:
        kind: ``face``, ``missing``, ``changed``, ``unknown`` (a file that the manifest does not name),
            ``interrupted`` (left by a run that was stopped before its line), ``metadata``, ``unreadable``,
            ``internal_error`` (the detector failed), or ``not_redacted`` (made with method none).
    """

    path: str
    kind: str
    message: str
    finding: verify.Finding | None = None


@dataclass
class Verification:
    """What a second look at an output found.

    Attributes:
        pictures: how many were looked at. redacted: how many faces the manifest says are redacted.
        notes: what to know when reading the result.
    """

    out: Path
    pictures: int = 0
    redacted: int = 0
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def exit_code(self) -> int:
        return LEFT_OUT if self.problems else DONE


def verify_folder(
    config: VerifyOutputConfig, detector: Detector | None = None, watch: Watch = unwatched
) -> Verification:
    """Compare an output with its manifest, and run the detector over every picture of it.

    Raises:
        UserError: OUT holds no manifest, the detector cannot be loaded, or a value of ``config`` is not
            allowed.
    """
    validate(config, unasked=("detector.model",) if detector else ())
    started = time.monotonic()
    out = at_home(config.out).resolve()
    if not (out / MANIFEST).is_file():
        raise UserError(f"out: {shown(config.out)!r} holds no {MANIFEST}; allowed: the output of a run")
    journal = Journal.read(out)
    journal.settle()
    asked = config.detector
    detector = detector or load_detector(locate(asked.model), runtime=asked.runtime)
    detector = looking(detector, asked)
    result = Verification(out)
    watch.start(sum(entry.output is not None for entry in journal.entries.values()))
    other_model = False
    for entry in journal.entries.in_order():
        if not entry.output:
            continue
        other_model |= entry.settings.get("model") not in (None, detector.digest)
        result.problems += _checked(out, entry, detector, config)
        result.pictures += entry.kind == "picture"
        result.redacted += sum(face.region is not None for face in entry.faces)
        watch.advance(entry.path, entry)
    unknown = foreign_files(out, journal.written)
    result.problems += [Problem(path, "unknown", "Veil did not write it") for path in unknown]
    if other_model:
        result.notes.append("note: the output was made with another detector than the one that looked again")
    result.seconds = time.monotonic() - started
    return result


def _checked(out: Path, entry: Entry, detector: Detector, config: VerifyOutputConfig) -> Iterator[Problem]:
    path = out / entry.path
    if not path.is_file() or path.is_symlink():
        yield Problem(entry.path, "missing", "the manifest names it, and it is not there")
        return
    faces, candidates = entry.faces, entry.candidates
    if entry.output and not entry.output.is_same(path):
        faces, candidates = [], []  # nothing is known of what Veil did not write
        yield Problem(entry.path, "changed", "other bytes than Veil wrote")
    if not entry.settings:
        yield Problem(entry.path, "interrupted", "left by a run that was stopped: no line tells its settings")
    if entry.kind != "picture":
        return
    try:
        picture = open_picture(path, config.limits, verify.wanted_side(detector, config.verify))
        redaction = _redaction(entry.settings)
        if redaction.method is Method.none:
            yield Problem(entry.path, "not_redacted", "made with method none: only detected")
            return
        output = verify.Redacted(picture, faces, candidates)
        for finding in verify.look_again(detector, [output], config.verify, redaction)[0]:
            where = f"score {finding.score:.2f} at {finding.box}, {finding.exposed:.0%} of it not redacted"
            yield Problem(entry.path, "face", f"{where} ({finding.view})", finding)
        for name in check_clean(path):
            yield Problem(entry.path, "metadata", name)
    except PictureError as error:
        yield Problem(entry.path, "unreadable", error.message.removeprefix(f"{path}: "))
    except Exception as error:  # what was not looked at is named, and the rest is looked at
        yield Problem(entry.path, "internal_error", f"a fault of Veil's: {type(error).__name__}: {error}")


def _redaction(made: dict[str, Any]) -> RedactConfig:
    """The parameters that an output was made with."""
    values = dict(made.get("redact") or plain(RedactConfig()))
    values["method"], values["shape"] = Method[values["method"]], Shape[values["shape"]]
    return RedactConfig(**values)
