"""A release from beginning to end."""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path

from pipeline.anonymize.detect import Detector, Picture, model_digest
from pipeline.anonymize.detect.reference import write_references
from pipeline.anonymize.looks import looking
from pipeline.calibration.run import calibration_pictures
from pipeline.calibration.score_map import kept_score_map
from pipeline.calibration.scored import Scored, score_all
from pipeline.card import write_card
from pipeline.card_text import Verdict
from pipeline.config.schema import ReleaseConfig, TrainConfig
from pipeline.errors import UserError
from pipeline.evaluation import Evaluation
from pipeline.evaluation.report import table
from pipeline.history import CARD, history
from pipeline.line import LineResult, measure, register, run_line, track
from pipeline.release import checks, gates, recipe
from pipeline.release.kept import KeptDetector
from pipeline.tracking import Run

log = logging.getLogger(__name__)
RELEASED = "released"
"""The alias in MLflow's registry."""
PUBLISHED, UNREGISTERED = "published", "unregistered"
"""In a run's folder: the digest of what is, or will be, in ``models``; and that MLflow lacks it."""
CHECKED = 8
"""Pictures of the test split on which graphs and runtimes are compared, beside the built-in portraits."""


@dataclass(frozen=True)
class Release:
    """What a release came to.

    Attributes:
        folder: of the released detector; if some gate :attr:`failed`, it is as it was.
        verdicts: of all gates.
    """

    folder: Path
    verdicts: list[Verdict]

    @property
    def failed(self) -> list[Verdict]:
        """The gates that neither passed nor were accepted."""
        return [each for each in self.verdicts if not each.passed and not each.accepted]

    @property
    def table(self) -> str:
        """Markdown."""
        rows = [(each.name, each.word, each.says) for each in self.verdicts]
        return "\n".join(table(("gate", "", ""), rows))


@dataclass(frozen=True)
class Candidate:
    """The detector that a recipe made, and what it was made with."""

    config: TrainConfig
    made: LineResult
    folder: Path
    saved_model: Path


def make_release(config: ReleaseConfig) -> Release:
    """Trains by the recipe, calibrates, measures beside the released detector, gates, publishes.

    Raises:
        UserError: wrong input, before heavy work; or a gate to be accepted that there is not.
        pipeline.training.signals.Interrupted: on SIGTERM or Ctrl-C; the same call goes on.
    """
    recipe.check(config)
    for training in recipe.trainings(config):
        log.info("training %s", training.run)
        made = run_line(training)
    assert made.saved_model is not None and made.folder is not None
    candidate = Candidate(training, made, made.folder, made.saved_model)
    released = Path(config.models) / training.model.name
    if _is_released(candidate, released):
        log.info("%s is released", made.saved_model)
        if (made.folder / UNREGISTERED).is_file():
            _register(candidate, config, _measure(candidate, config, made.saved_model, "evaluation"))
        card = json.loads((released / CARD).read_text(encoding="utf-8"))
        return Release(released, [Verdict(**each) for each in card["gates"]])
    measured = _measure(candidate, config, made.saved_model, "evaluation")
    verdicts = _judge(candidate, config, measured, released)
    release = Release(released, verdicts)
    (made.folder / "gates.md").write_text(release.table + "\n", encoding="utf-8")
    write_card(training, made.version, history(made.folder), measured, made.saved_model, verdicts)
    if not release.failed:
        write_references(made.saved_model)
        # before the copy is there: stopped after it, the detector would be compared with itself
        (made.folder / UNREGISTERED).touch()
        (made.folder / PUBLISHED).write_text(model_digest(made.saved_model))
        publish(made.saved_model, released)
        _register(candidate, config, measured)
    return release


def _is_released(candidate: Candidate, released: Path) -> bool:
    """Whether it was this run that put the detector there."""
    done, digest = candidate.folder / PUBLISHED, model_digest(candidate.saved_model)
    there = (released / "saved_model.pb").is_file() and model_digest(released) == digest
    return there and done.is_file() and done.read_text() == digest


def _measure(candidate: Candidate, config: ReleaseConfig, model: Path, folder: str) -> Evaluation:
    """Of the candidate, or of the released detector on the same pictures with the same settings."""
    log.info("measuring %s", model)
    to = candidate.folder / folder
    detector = _detector(candidate, config, model)
    return measure(candidate.config, candidate.made.version, model, to, detector)


def _detector(candidate: Candidate, config: ReleaseConfig, model: Path) -> Detector:
    from pipeline.evaluation.predict import load_any

    detector = load_any(model, runtime=candidate.config.evaluation.runtime)
    return KeptDetector(detector, Path(config.outputs) / "release" / "detections")


def _judge(
    candidate: Candidate, config: ReleaseConfig, measured: Evaluation, released: Path
) -> list[Verdict]:
    accepted = frozenset(config.release.accept)
    verdicts = [
        Verdict(name, passed, not passed and name in accepted, says)
        for name, (passed, says) in _check(candidate, config).items()
    ]
    if (released / "saved_model.pb").is_file():
        before = _measure(candidate, config, released, "evaluation_of_released")
        verdicts += gates.compare(measured, before, accepted)
    else:
        log.warning("%s holds no detector yet: there is nothing to compare with", released)
    if unknown := sorted(accepted - {each.name for each in verdicts}):
        names = ", ".join(each.name for each in verdicts)
        raise UserError(f"release.accept: {', '.join(unknown)}; allowed: {names}")
    return verdicts


def _check(candidate: Candidate, config: ReleaseConfig) -> dict[str, tuple[bool, str]]:
    import tensorflow as tf

    assert candidate.made.training is not None
    model, saved_model = candidate.config.model, candidate.saved_model
    score_map, pictures = kept_score_map(saved_model), _pictures(candidate)
    checkpoint, calibration = candidate.made.training.checkpoint, candidate.config.calibration
    wrong = checks.signatures(tf.saved_model.load(str(saved_model)).signatures, model.input_size)
    return {
        "signatures": (not wrong, wrong or "serving_default, batched and raw are as documented"),
        "parity": checks.parity(model, checkpoint, saved_model, score_map, pictures),
        "runtime": checks.runtimes(saved_model, pictures),
        "calibrated": checks.calibrated(_validated(candidate, config), calibration, score_map),
    }


def _pictures(candidate: Candidate) -> list[Picture]:
    """Some of the test split, spread over it, and the portraits that come with packages."""
    from pipeline.evaluation.labelled import read_labelled
    from pipeline.evaluation.predict import read_picture
    from pipeline.evaluation.run import split_files
    from pipeline.showcase import pictures

    split = candidate.config.evaluation.split
    labelled = read_labelled(split_files(candidate.made.version, split))
    spread = labelled[:: max(1, len(labelled) // CHECKED)][:CHECKED]
    return [*pictures().values(), *(read_picture(picture) for picture in spread)]


def _validated(candidate: Candidate, config: ReleaseConfig) -> Scored:
    """What the calibrated detector finds in the pictures it was calibrated on."""
    from pipeline.evaluation.predict import predict
    from pipeline.evaluation.progress import progress_bar
    from pipeline.evaluation.run import split_files

    evaluation = candidate.config.evaluation
    pictures = calibration_pictures(split_files(candidate.made.version, "val"), evaluation)
    detector = _detector(candidate, config, candidate.saved_model)
    detector = looking(detector, evaluation)
    with progress_bar("Checking the calibration") as progress:
        found = predict(detector, pictures, progress).detections
    return score_all(pictures, found, evaluation.iou)


def publish(saved_model: Path, released: Path) -> None:
    """Puts a copy of a detector in the place of the released one: never a part, never none for long."""
    scratch, old = (released.with_name(f".{released.name}.{word}") for word in ("new", "old"))
    for folder in (scratch, old):
        shutil.rmtree(folder, ignore_errors=True)
    scratch.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(saved_model, scratch)
    if released.exists():
        released.rename(old)
    scratch.rename(released)
    shutil.rmtree(old, ignore_errors=True)


def _register(candidate: Candidate, config: ReleaseConfig, measured: Evaluation) -> None:
    """As a version with the alias ``released``, in the run of the last training."""
    made, folder = candidate.made, candidate.folder
    text = (candidate.saved_model / "README.md").read_text(encoding="utf-8")
    assert made.training is not None
    with Run.start(config.tracking, folder.name, folder=folder, params=candidate.config) as run:
        run.log_dataset(made.version)
        run.log_artifacts(folder / "gates.md", "evaluation")
        track(run, measured)
        register(run, made.version, made.training, measured, candidate.saved_model, text, aliases=[RELEASED])
        (folder / UNREGISTERED).unlink()  # the run's record has it, and sends it even after a stop
