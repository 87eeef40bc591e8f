"""Calibrates a SavedModel on a labelled set. See ``python -m pipeline.calibration --help``."""

from __future__ import annotations

import sys
from pathlib import Path

from pipeline.calibration.score_map import CALIBRATION
from pipeline.card_text import RELIABILITY
from pipeline.config import cli
from pipeline.config.paths import locate
from pipeline.config.schema import CalibrateConfig
from pipeline.errors import UserError
from pipeline.history import CARD

WRITTEN = {"saved_model.pb", "fingerprint.pb", "variables", "assets", CALIBRATION, CARD, RELIABILITY}
"""What a copy holds."""


def main(config: CalibrateConfig) -> None:
    """Calibrates a copy, and says what 0.5 means in it."""
    from pipeline.calibration.run import calibrate
    from pipeline.card import copy_card
    from pipeline.data.prepare import prepare
    from pipeline.detector.initialize import config_of
    from pipeline.evaluation.progress import progress_bar
    from pipeline.evaluation.run import split_files

    settings = config.evaluation
    if settings.model is None:
        raise UserError("evaluation.model: no value given; allowed: a SavedModel folder")
    model, version = locate(settings.model), prepare(config.dataset)
    wanted = Path(config.out or f"outputs/calibrate/{model.name}-{version.name}-{settings.split}")
    check_out(wanted, model)
    made_of, out = config_of(model), wanted.resolve()
    with progress_bar("Calibrating") as progress:
        found = calibrate(
            made_of,
            model,
            split_files(version, settings.split),
            config.calibration,
            settings,
            folder=out,
            progress=progress,
            plot=out / RELIABILITY,
        )
    copy_card(model, out, made_of.name)
    for name, value in found.metrics.items():
        print(f"{name:24}{value:.3f}")
    print(f"Written to {wanted}")


def check_out(out: Path, model: Path) -> None:
    """Raises UserError unless it may be replaced as a whole.

    Args:
        out: where the copy is to be. model: what is copied.
    """
    allowed = "allowed: a new or empty folder, or a copy that this command made"
    if out.resolve() == model.resolve():
        raise UserError(f"out: {out} is evaluation.model itself; {allowed}")
    if out.exists() and not out.is_dir():
        raise UserError(f"out: {out} is a file; {allowed}")
    held = {path.name for path in out.iterdir()} if out.is_dir() else set()
    if others := sorted(held - WRITTEN):
        raise UserError(f"out: {out} would be replaced, and holds {', '.join(others[:3])}; {allowed}")
    if held and "saved_model.pb" not in held:
        raise UserError(f"out: {out} would be replaced, and holds no saved_model.pb; {allowed}")


if __name__ == "__main__":
    sys.exit(cli.run(main, CalibrateConfig, "calibrate"))
