"""When training is over, and what a finished one leaves."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import tensorflow as tf

from pipeline.config.compose import compose
from pipeline.config.schema import TrainConfig
from pipeline.training.loop import TrainingResult, finished, patience_is_over


@pytest.mark.parametrize(
    ("step", "best_step", "patience", "over"),
    [
        (500, 500, 3, False),
        (1900, 500, 3, False),
        (2000, 500, 3, True),
        (9000, 500, 0, False),  # 0 never stops early
    ],
)
def test_patience_counts_validations_since_the_best(
    tmp_path: Path, step: int, best_step: int, patience: int, over: bool
) -> None:
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "info.json").write_text(json.dumps({"best_ckpt_global_step": best_step}))
    runner = SimpleNamespace(model_dir=tmp_path, trainer=SimpleNamespace(global_step=tf.Variable(step)))
    config = compose(TrainConfig, "train", [f"trainer.early_stop={patience}", "trainer.eval_every=500"])
    assert patience_is_over(runner, config) is over


def test_only_a_complete_training_counts_as_finished(tmp_path: Path) -> None:
    assert finished(tmp_path) is None
    result = {
        "checkpoint": "best/ckpt-1",
        "step": 8,
        "best_step": 8,
        "best_metric": 0.5,
        "stopped_early": False,
    }
    (tmp_path / "training.json").write_text(json.dumps(result))
    assert finished(tmp_path) == TrainingResult(**result)
