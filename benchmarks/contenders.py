"""The tools in the comparison: what each finds and redacts in the pictures of a set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks import deface_peer, peers
from benchmarks.deface_peer import DefaceRun, deface_environment, run_deface
from benchmarks.peers import UltraFace, YuNet
from benchmarks.warming import warmed
from pipeline.anonymize.detect import Detector, serving
from pipeline.anonymize.looks import looking
from pipeline.config.paths import locate
from pipeline.config.schema import CompareConfig, ContenderConfig, ContenderKind, EvaluationConfig
from pipeline.config.validate import problem
from pipeline.errors import UserError
from pipeline.evaluation.exposure import Mask
from pipeline.evaluation.labelled import LabelledFaces
from pipeline.evaluation.predict import FLOOR, Predictions, load_any, predict
from pipeline.evaluation.progress import progress_bar
from pipeline.evaluation.report import Evaluation
from pipeline.evaluation.run import measure

FLOORS = {
    ContenderKind.veil: FLOOR,
    ContenderKind.yunet: peers.FLOOR,
    ContenderKind.ultraface: peers.FLOOR,
    ContenderKind.deface: deface_peer.FLOOR,
}
"""Lowest score that is asked of each tool."""


@dataclass(frozen=True)
class Result:
    """One tool's figures; ``note`` says what computed them, or why there are none."""

    name: str
    threshold: float
    evaluation: Evaluation | None
    note: str = ""


def check(config: CompareConfig) -> None:
    """Raises UserError for what would be ignored: fields of evaluate.py, thresholds below a tool's floor."""
    given = config.evaluation
    unused = {
        "model": "nothing: contenders.<name>.model",
        "score_threshold": "nothing: contenders.<name>.score_threshold",
        "contact_sheets": "false: evaluate.py makes them",
    }
    problems = [
        problem(f"evaluation.{name}", getattr(given, name), allowed)
        for name, allowed in unused.items()
        if getattr(given, name) != getattr(EvaluationConfig, name)
    ]
    if given.consensus == "both":
        problems.append(problem("evaluation.consensus", given.consensus, "as_labelled or ignored"))
    for name, each in config.contenders.items():
        if each.score_threshold < FLOORS[each.kind]:
            allowed = f"at least {FLOORS[each.kind]:g}, the lowest score asked of {each.kind.name}"
            problems.append(problem(f"contenders.{name}.score_threshold", each.score_threshold, allowed))
    if problems:
        raise UserError("\n".join(problems))


@dataclass
class Comparison:
    """Runs the contenders of a config on the same pictures.

    Attributes:
        folder: where deface's environment and its masks lie.
    """

    config: CompareConfig
    pictures: Sequence[LabelledFaces]
    dataset: str
    folder: Path
    _deface: DefaceRun | UserError | None = field(default=None, init=False)

    def run(self) -> list[Result]:
        """One result a contender, in the config's order."""
        return [self._result(name, each) for name, each in self.config.contenders.items()]

    def _result(self, name: str, contender: ContenderConfig) -> Result:
        threshold = contender.score_threshold
        settings = replace(self.config.evaluation, score_threshold=threshold)
        try:
            predictions, masks, note = self._found(name, contender, settings)
        except UserError as error:
            return Result(name, threshold, None, str(error))
        evaluation = measure(
            self.pictures, predictions, settings, self.config.redact, name, self.dataset, masks
        )
        return Result(name, threshold, evaluation, note)

    def _found(
        self, name: str, contender: ContenderConfig, settings: EvaluationConfig
    ) -> tuple[Predictions, Iterable[Mask] | None, str]:
        if contender.kind is ContenderKind.deface:
            run = self._run_deface()
            return (
                run.predictions,
                run.masks(contender.score_threshold),
                f"{run.backend}, {run.failures} undrawn",
            )
        detector = self._detector(name, contender, settings)
        with progress_bar(name) as progress:
            return predict(detector, self.pictures, progress), None, serving(detector, "")

    def _detector(self, name: str, contender: ContenderConfig, settings: EvaluationConfig) -> Detector:
        if contender.model is None:
            raise UserError(
                f"contenders.{name}.model: no value given; allowed: a SavedModel or a weights file"
            )
        if contender.kind is ContenderKind.veil:
            loaded = load_any(locate(contender.model), settings.class_id, settings.runtime)
            return looking(warmed(loaded), settings)
        if self.config.peers is None:
            raise UserError("peers: no value given; allowed: the folder of the peers' weights")
        kinds = {ContenderKind.yunet: YuNet, ContenderKind.ultraface: UltraFace}
        return kinds[contender.kind](Path(self.config.peers) / contender.model)

    def _run_deface(self) -> DefaceRun:
        """Once for all of its thresholds; a failure is remembered too."""
        if self._deface is None:
            try:
                self._deface = self._start_deface()
            except UserError as error:
                self._deface = error
        if isinstance(self._deface, UserError):
            raise self._deface
        return self._deface

    def _start_deface(self) -> DefaceRun:
        given = self.config.deface_python
        python = (
            Path(given) if given else deface_environment(Path(self.config.outputs) / "deface-environment")
        )
        contenders = self.config.contenders.values()
        thresholds = {each.score_threshold for each in contenders if each.kind is ContenderKind.deface}
        with progress_bar("deface") as progress:
            return run_deface(python, self.pictures, sorted(thresholds), self.folder / "deface", progress)
