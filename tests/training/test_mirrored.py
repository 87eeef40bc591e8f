"""Training over several devices: two virtual CPUs stand in for two GPUs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import train
from pipeline.config import cli
from pipeline.config.schema import TrainConfig
sys.exit(cli.run(train.main, TrainConfig, "train", sys.argv[1:]))
"""


@pytest.mark.slow
def test_two_devices_train_one_network(root: Path, tmp_path: Path) -> None:
    arguments = [
        "runtime=mirrored",
        "tracking=off",
        "model=efficientdet_d0",
        "model.init=random",
        "stages=[prepare,train]",
        "run=mirrored",
        f"outputs={tmp_path}",
        f"dataset.versions={tmp_path}",
        *(f"trainer.{field}" for field in ("steps=2", "steps_per_loop=1", "eval_every=2", "batch_size=4")),
        *(f"trainer.{field}" for field in ("image_size=128", "validation_size=128", "warmup_steps=0")),
    ]
    process = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments], cwd=root, capture_output=True, text=True, timeout=900
    )
    assert process.returncode == 0, process.stderr
    assert (tmp_path / "mirrored" / "training.json").is_file()
    assert "step 2/2" in process.stderr


def test_more_devices_than_there_are_is_an_error() -> None:
    from pipeline.config.schema import RuntimeConfig, Strategy
    from pipeline.errors import UserError
    from pipeline.training.strategy import build_strategy

    with pytest.raises(UserError, match=r"runtime\.devices: 64; allowed here: at most \d+"):
        build_strategy(RuntimeConfig(strategy=Strategy.mirrored, devices=64))
