"""Calibrates a SavedModel on a labelled set. See ``python -m pipeline.calibration --help``."""

from __future__ import annotations

import sys
from pathlib import Path

from pipeline.config import cli
from pipeline.config.paths import locate
from pipeline.config.schema import CalibrateConfig
from pipeline.errors import UserError


def main(config: CalibrateConfig) -> None:
    """Calibrates a copy, and says what 0.5 means in it."""
    from pipeline.calibration.run import calibrate
    from pipeline.data.prepare import prepare
    from pipeline.detector.initialize import config_of
    from pipeline.evaluation.progress import progress_bar
    from pipeline.evaluation.run import split_files

    settings = config.evaluation
    if settings.model is None:
        raise UserError("evaluation.model: no value given; allowed: a SavedModel folder")
    model, version = locate(settings.model), prepare(config.dataset)
    out = Path(config.out or f"outputs/calibrate/{model.name}-{version.name}-{settings.split}")
    out.parent.mkdir(parents=True, exist_ok=True)
    with progress_bar("Calibrating") as progress:
        found = calibrate(
            config_of(model),
            model,
            split_files(version, settings.split),
            config.calibration,
            settings,
            folder=out,
            progress=progress,
            plot=out / "reliability.png",
        )
    for name, value in found.metrics.items():
        print(f"{name:24}{value:.3f}")
    print(f"Written to {out}")


if __name__ == "__main__":
    sys.exit(cli.run(main, CalibrateConfig, "calibrate"))
