"""The line from labelled photographs to a detector; ``train.py`` runs it.

Each stage reads a folder and writes a folder, and is skipped when its result is there: the same
command therefore goes on where an interrupted one stopped, in the same MLflow run.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.anonymize.detect import model_digest
from pipeline.anonymize.entry import VERSION
from pipeline.calibration.score_map import kept_score_map
from pipeline.card import write_card
from pipeline.config.plain import plain
from pipeline.config.schema import RedactConfig, TrainConfig
from pipeline.data.prepare import prepare
from pipeline.data.version import DatasetVersion
from pipeline.errors import UserError
from pipeline.history import history
from pipeline.run_folder import keep_config, run_name
from pipeline.tracking import Run

if TYPE_CHECKING:
    from pipeline.anonymize.detect import Detector
    from pipeline.evaluation import Evaluation
    from pipeline.training.loop import TrainingResult

log = logging.getLogger(__name__)
RELEASE = "release.json"
EXPORTED = "exported"
CALIBRATED = "calibrated"


@dataclass(frozen=True)
class LineResult:
    """What a run made. Stages that did not run leave None.

    Attributes:
        folder: of the run.
        metrics: of the evaluation, by the names that MLflow shows.
    """

    folder: Path | None
    version: DatasetVersion
    training: TrainingResult | None = None
    saved_model: Path | None = None
    metrics: dict[str, float] | None = None


def run_line(config: TrainConfig) -> LineResult:
    """Prepare → train → export → calibrate → evaluate, as far as ``config.stages`` says.

    What is exported is what is evaluated: the figures are of the SavedModel that ships.

    Raises:
        UserError: wrong input, before heavy work.
        pipeline.training.signals.Interrupted: on SIGTERM or Ctrl-C; the same call goes on.
    """
    version = prepare(config.dataset)
    if config.stages == ["prepare"]:
        return LineResult(None, version)
    from pipeline.detector.initialize import resolve_init  # Model Garden takes seconds to import

    _check_splits(config, version)
    config.model.init = resolve_init(config.model)
    folder = Path(config.outputs) / run_name(config, version)
    with Run.start(
        config.tracking,
        folder.name,
        folder=folder,
        params=config,
        description=_note(config, version),
        before=lambda: keep_config(config, version, folder),
    ) as run:
        run.log_dataset(version)
        run.log_artifacts(version.folder / "labels.png", "dataset")
        run.log_artifacts(version.folder / "report.md", "dataset")
        return _train_to_release(config, version, folder, run)


def _train_to_release(config: TrainConfig, version: DatasetVersion, folder: Path, run: Run) -> LineResult:
    from pipeline.training.loop import finished, train

    stages, saved_model = config.stages, folder / config.model.name
    training = train(config, version, folder, run.log_metrics) if "train" in stages else finished(folder)
    if training is None:
        raise UserError(f"stages: {stages}; {folder} holds no finished training, so allowed: with train")
    if "export" in stages:
        _export(config, training, saved_model)
    if not (saved_model / "saved_model.pb").is_file():
        if {"calibrate", "evaluate"} & set(stages):
            raise UserError(f"stages: {stages}; {saved_model} holds no detector, so allowed: with export")
        return LineResult(folder, version, training)
    if "calibrate" in stages:
        _calibrate(config, version, saved_model, run)
    if "evaluate" not in stages:
        return LineResult(folder, version, training, saved_model)
    metrics = _release(config, version, training, saved_model, run)
    return LineResult(folder, version, training, saved_model, metrics)


def _release(
    config: TrainConfig, version: DatasetVersion, training: TrainingResult, saved_model: Path, run: Run
) -> dict[str, float]:
    """Evaluates and writes the card, unless just this was done before; registers a detector that is new."""
    done = saved_model.parent / RELEASE
    before = json.loads(done.read_text()) if done.is_file() else None
    inputs = {
        "model": model_digest(saved_model),
        "data": version.fingerprint,
        "evaluation": plain(config.evaluation),
        "redact": [VERSION, plain(RedactConfig())],
    }
    if before and before["inputs"] == inputs:
        log.info("%s is evaluated and registered", saved_model)
        return dict(before["metrics"])
    evaluation = measure(config, version, saved_model, saved_model.parent / "evaluation")
    text = write_card(config, version, history(saved_model.parent), evaluation, saved_model)
    track(run, evaluation)
    if before is None or before["inputs"]["model"] != inputs["model"]:
        register(run, version, training, evaluation, saved_model, text)
    done.write_text(json.dumps({"inputs": inputs, "metrics": evaluation.metrics}, indent=1))
    return evaluation.metrics


def _export(config: TrainConfig, training: TrainingResult, saved_model: Path) -> None:
    from pipeline.export import VOTING, export_checkpoint

    made, wanted = (
        saved_model.parent / EXPORTED,
        json.dumps([training.checkpoint, plain(config.model), VOTING]),
    )
    if made.is_file() and made.read_text() == wanted and saved_model.is_dir():
        return
    log.info("exporting step %d to %s", training.best_step, saved_model)
    export_checkpoint(config.model, training.checkpoint, saved_model)
    made.write_text(wanted)


def _calibrate(config: TrainConfig, version: DatasetVersion, saved_model: Path, run: Run) -> None:
    """Unless the detector that is there was made from the same by the same settings."""
    from pipeline.calibration.run import calibrate
    from pipeline.evaluation.progress import progress_bar
    from pipeline.evaluation.run import split_files

    folder = saved_model.parent
    done, evaluation = folder / CALIBRATED, config.evaluation
    settings = [plain(config.calibration), version.fingerprint, evaluation.iou]
    settings += [evaluation.consensus != "as_labelled", sorted(evaluation.sources)]
    settings += [evaluation.tiles, evaluation.min_face, evaluation.mirror]
    if done.is_file() and json.loads(done.read_text()) == [model_digest(saved_model), *settings]:
        log.info("%s is calibrated", saved_model)
        return
    with progress_bar("Calibrating") as progress:
        found = calibrate(
            config.model,
            saved_model,
            split_files(version, "val"),
            config.calibration,
            evaluation,
            plot=folder / "evaluation" / "reliability_val.png",
            progress=progress,
        )
    run.log_metrics({f"calibration/{name}": value for name, value in found.metrics.items()}, step=0)
    done.write_text(json.dumps([model_digest(saved_model), *settings]))


def measure(
    config: TrainConfig,
    version: DatasetVersion,
    saved_model: Path,
    folder: Path,
    detector: Detector | None = None,
) -> Evaluation:
    """Evaluates a SavedModel on ``evaluation.split``, and draws what it sees in the built-in portraits.

    Args:
        folder: of the report. detector: of the SavedModel, where it is loaded already.
    """
    from pipeline.anonymize.detect import load_detector
    from pipeline.evaluation.progress import progress_bar
    from pipeline.evaluation.run import evaluate, measured_on, split_files
    from pipeline.showcase import write_samples

    split = config.evaluation.split
    with progress_bar("Evaluating") as progress:
        evaluation = evaluate(
            detector or saved_model,
            split_files(version, split),
            config.evaluation,
            folder=folder,
            name=config.model.name,
            dataset=f"{measured_on(version, config.evaluation)} {split}",
            progress=progress,
            score_map=kept_score_map(saved_model),
        )
    write_samples(detector or load_detector(saved_model), folder / "samples")
    return evaluation


def track(run: Run, evaluation: Evaluation) -> None:
    """Tells MLflow the figures and plots of a detector."""
    run.log_metrics(_shown(evaluation), step=0)  # one figure a run: at step 0 the UI compares it as bars
    folder = Path(evaluation.folder or "")
    for name in ("metrics.json", "summary.md", "samples", *(path.name for path in folder.glob("*.png"))):
        run.log_artifacts(folder / name, "evaluation")


def register(
    run: Run,
    version: DatasetVersion,
    training: TrainingResult,
    evaluation: Evaluation,
    saved_model: Path,
    text: str,
    aliases: Sequence[str] = (),
) -> None:
    """Registers a detector as a version with its figures and its card.

    Args:
        aliases: of the version, beside that of the newest one.
    """
    run.log_model(
        saved_model,
        step=training.best_step,
        metrics=_shown(evaluation),
        split=evaluation.settings["split"],
        description=text,
        tags={"data_version": f"{version.name}-{version.fingerprint[:12]}"},
        aliases=aliases,
    )


def _shown(evaluation: Evaluation) -> dict[str, float]:
    """Figures by the names that MLflow shows; ``train/…`` and ``val/…`` are the training's own curves."""
    split = evaluation.settings["split"]
    group = split if split == "test" else f"evaluation/{split}"
    return {f"{group}/{name}": value for name, value in evaluation.metrics.items()}


def _check_splits(config: TrainConfig, version: DatasetVersion) -> None:
    needed = {"train": ["train"], "val": ["train", "calibrate"]}
    needed.setdefault(config.evaluation.split, []).append("evaluate")
    for split, stage in [(split, stage) for split, stages in needed.items() for stage in stages]:
        if stage not in config.stages:
            continue
        if version.counts.get(split, 1) == 0:
            raise UserError(
                f"dataset: {version.folder.name} has no picture in its {split} split, which {stage} needs; "
                f"pictures: {version.counts}; allowed: other shares in dataset.split, or more pictures"
            )
        if stage != "evaluate" and version.boxes.get(split, 1) == 0:  # pictures of nobody can be measured on
            raise UserError(
                f"dataset: {version.folder.name} has no face in its {split} split, which {stage} needs; "
                f"faces: {version.boxes}; allowed: pictures with faces (what was left out, and why, is in "
                f"{version.folder / 'report.md'}), or other shares in dataset.split"
            )


def _note(config: TrainConfig, version: DatasetVersion) -> str:
    """Markdown, shown as the run's description."""
    rows = [f"| {split} | {count} | {version.boxes[split]} |" for split, count in version.counts.items()]
    lines = ["| split | pictures | faces |", "| --- | --- | --- |", *rows]
    return f"**{config.model.name}** on {version.name}\n\n" + "\n".join(lines)
