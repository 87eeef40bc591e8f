"""Measure a detector on a labelled set: prepare → predict → measure → report. See ``--help``."""

from __future__ import annotations

import sys
from pathlib import Path

from pipeline.config import cli
from pipeline.config.paths import locate
from pipeline.config.schema import EvaluateConfig
from pipeline.errors import UserError
from pipeline.evaluation import Evaluation


def main(config: EvaluateConfig) -> None:
    """Evaluates, prints the summary and says where the rest is."""
    from pipeline.evaluation.report import summary

    evaluation = run(config)
    print(summary(evaluation))
    print(f"Written to {evaluation.folder}")


def run(config: EvaluateConfig) -> Evaluation:
    """Evaluates as configured.

    Raises:
        UserError: no model is named, or it or the set cannot be read, or the split holds no picture.
    """
    from pipeline.data.prepare import prepare
    from pipeline.evaluation.progress import progress_bar
    from pipeline.evaluation.run import evaluate, measured_on, split_files

    settings = config.evaluation
    if settings.model is None:
        raise UserError("evaluation.model: no value given; allowed: a SavedModel folder")
    version = prepare(config.dataset)
    model, measured = locate(settings.model), measured_on(version, settings)
    out = config.out or f"outputs/evaluate/{model.name}-{measured}-{settings.split}"
    with progress_bar("Detecting") as progress:
        return evaluate(
            model,
            split_files(version, settings.split),
            settings,
            redact=config.redact,
            folder=Path(out),
            dataset=f"{measured} {settings.split}",
            progress=progress,
        )


if __name__ == "__main__":
    sys.exit(cli.run(main, EvaluateConfig, "evaluate"))
