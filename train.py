"""Trains a face detector: prepare → train → export → calibrate → evaluate. See ``python train.py --help``."""

from __future__ import annotations

import sys

from pipeline.config import cli
from pipeline.config.schema import TrainConfig


def main(config: TrainConfig) -> int:
    from pipeline.line import run_line

    result = run_line(config)
    print(f"data set version: {result.version.folder}")
    if result.saved_model:
        print(f"detector:         {result.saved_model}")
    if result.metrics:
        print(f"figures:          {result.folder}/evaluation/summary.md")
        print("compare runs:     make ui")
    return 0


if __name__ == "__main__":
    sys.exit(cli.run(main, TrainConfig, "train"))
