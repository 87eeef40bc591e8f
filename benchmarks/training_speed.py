"""Pictures a second in training: the step alone, the input pipeline alone, and both together, in one run.

    python -m benchmarks.training_speed                    D2 at 384 px, batches of 8, the built-in sample
    python -m benchmarks.training_speed --steps 8 --rounds 5 trainer.image_size=512 dataset=facemask
                                                           longer, and anything that train.py takes

Two trainings of the same network: all of it trainable, and with the first blocks and the batch statistics of
the backbone frozen (`trainer.frozen_blocks=5 trainer.frozen_statistics=true`). They take turns, round by
round. "fed" is a step with the real pipeline, "waited" the share of that time in which no picture was ready:
near 0, the pipeline never starves the step. Weights are random: speed does not depend on them. Takes: about
four minutes on two cores that do nothing else. Written to outputs/bench/training_speed.{json,md}.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any

from benchmarks.speed_figures import Spread
from pipeline.config import cli
from pipeline.config.compose import compose
from pipeline.config.paths import ROOT
from pipeline.config.schema import TrainConfig
from pipeline.evaluation.report import table

OUT = ROOT / "outputs" / "bench"
DEFAULTS = ("trainer.batch_size=8", "trainer.image_size=384", "tracking.enabled=false")
WARM = 2
"""Batches that do not count, before each measurement: the shuffle buffer fills, functions are traced."""


@dataclass(frozen=True)
class Variant:
    """A way to train."""

    name: str
    frozen_blocks: int = 0
    frozen_statistics: bool = False


VARIANTS = (Variant("all trainable"), Variant("5 blocks and statistics frozen", 5, True))


@dataclass
class Measured:
    """Pictures a second of one variant, a value a round.

    Attributes:
        waited: share of the fed time. cpu: seconds of processor time that the step alone takes for a picture.
    """

    alone: list[float]
    fed: list[float]
    waited: list[float]
    cpu: list[float]


@dataclass(frozen=True)
class Training:
    """A variant that is ready to step: ``batches`` is endless, ``step`` takes one of them."""

    variant: Variant
    batches: Iterator[Any]
    step: Callable[[Any], Any]


def main(arguments: list[str]) -> int:
    """Measures, prints and writes the table."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--steps", type=int, default=4, help="in each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    given, overrides = parser.parse_known_args(arguments)
    config = compose(TrainConfig, "train", [*DEFAULTS, *overrides])
    trainings = [ready(config, variant) for variant in VARIANTS]
    size = config.trainer.batch_size
    pipeline, cpu = pipeline_alone(config, given.steps, given.rounds)
    measured = measure(trainings, given.steps, given.rounds, size)
    text = report(config, measured, pipeline, cpu)
    print(text)
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / "training_speed.md").write_text(text, encoding="utf-8")
    content = {"pipeline": pipeline, "pipeline_cpu": cpu}
    content |= {"variants": {name: asdict(each) for name, each in measured.items()}}
    (OUT / "training_speed.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return 0


def ready(config: TrainConfig, variant: Variant) -> Training:
    """Build network, optimizer and input pipeline as training does."""
    import tensorflow as tf
    from official.core import train_utils

    task, experiment, strategy = _task(config, variant)
    with strategy.scope():
        model = task.build_model()
        optimizer = train_utils.create_optimizer(task, experiment)
        if config.trainer.ema_decay:
            optimizer.shadow_copy(model)

    @tf.function
    def step(batch: Any) -> Any:
        return strategy.run(task.train_step, args=(batch, model, optimizer))[task.loss]

    return Training(variant, iter(task.build_inputs(experiment.task.train_data)), step)


def _task(config: TrainConfig, variant: Variant) -> tuple[Any, Any, Any]:
    """The task, its experiment and the strategy."""
    from official.core import task_factory

    from pipeline.data.prepare import prepare
    from pipeline.detector import task as _registers  # noqa: F401
    from pipeline.detector.experiment import experiment_config
    from pipeline.training.strategy import build_strategy, set_threads

    set_threads(config.runtime)
    trainer = replace(
        config.trainer,
        frozen_blocks=variant.frozen_blocks,
        frozen_statistics=variant.frozen_statistics,
    )
    experiment = experiment_config(replace(config, trainer=trainer), prepare(config.dataset))
    return task_factory.get_task(experiment.task), experiment, build_strategy(config.runtime)


def pipeline_alone(config: TrainConfig, steps: int, rounds: int) -> tuple[list[float], float]:
    """Pictures a second without any training, a value a round, and seconds of processor time a picture."""
    task, experiment, _ = _task(config, VARIANTS[0])
    batches = iter(task.build_inputs(experiment.task.train_data))
    size, rates = config.trainer.batch_size, []
    for _ in range(WARM):
        next(batches)
    cpu = time.process_time()
    for _ in range(rounds):
        began = time.perf_counter()
        for _ in range(4 * steps):  # a picture takes it far less than a step
            next(batches)
        rates.append(4 * steps * size / (time.perf_counter() - began))
    return rates, (time.process_time() - cpu) / (rounds * 4 * steps * size)


def measure(trainings: list[Training], steps: int, rounds: int, size: int) -> dict[str, Measured]:
    """Round by round, every variant on one batch over and over, and on the pipeline's."""
    measured = {each.variant.name: Measured([], [], [], []) for each in trainings}
    for training in trainings:
        for _ in range(WARM):
            _seconds(training.step, next(training.batches))
    for _ in range(rounds):
        for training in trainings:
            mine = measured[training.variant.name]
            held = next(training.batches)
            cpu = time.process_time()
            took = sum(_seconds(training.step, held) for _ in range(steps))
            mine.cpu.append((time.process_time() - cpu) / (steps * size))
            mine.alone.append(steps * size / took)
            waited, took = fed(training, steps)
            mine.fed.append(steps * size / took)
            mine.waited.append(waited / took)
    return measured


def fed(training: Training, steps: int) -> tuple[float, float]:
    """Seconds waited for pictures, and seconds in all."""
    waited, began = 0.0, time.perf_counter()
    for _ in range(steps):
        asked = time.perf_counter()
        batch = next(training.batches)
        waited += time.perf_counter() - asked
        _seconds(training.step, batch)
    return waited, time.perf_counter() - began


def _seconds(step: Callable[[Any], Any], batch: Any) -> float:
    began = time.perf_counter()
    float(step(batch))  # which waits for it
    return time.perf_counter() - began


def report(config: TrainConfig, measured: dict[str, Measured], pipeline: list[float], cpu: float) -> str:
    """The table, in Markdown."""
    first = next(iter(measured.values()))
    rows = []
    for name, each in measured.items():
        gain = Spread.over(one / other for one, other in zip(each.fed, first.fed, strict=True))
        faster = median(pipeline) / median(each.alone)
        row = [
            _shown(each.alone),
            f"{median(each.cpu):.2f}",
            _shown(each.fed),
            f"{median(each.waited):.1%}",
            f"{faster:.0f}×",
        ]
        rows.append([name, *row, f"{gain.middle:.2f}× ({gain.low:.2f}–{gain.high:.2f})"])
    header = (
        "training",
        "step alone",
        "its CPU s a picture",
        "fed",
        "waited",
        "pipeline is faster by",
        "gain",
    )
    trainer = config.trainer
    words = (
        f"{config.model.name} at {trainer.image_size} px, batches of {trainer.batch_size}, pictures a second "
        f"(middle, least–greatest). The pipeline alone makes {_shown(pipeline)} pictures a second, and takes "
        f"{1000 * cpu:.0f} ms of processor time a picture."
    )
    return "\n".join([words, "", *table(header, rows), ""])


def _shown(values: list[float]) -> str:
    spread = Spread.over(values)
    return f"{spread.middle:.3g} ({spread.low:.3g}–{spread.high:.3g})"


if __name__ == "__main__":
    cli.quiet_tensorflow()
    sys.exit(cli.exit_code(lambda: main(sys.argv[1:])))
