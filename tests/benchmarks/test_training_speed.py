from __future__ import annotations

import itertools
import time

import pytest

from benchmarks.training_speed import DEFAULTS, VARIANTS, Measured, Training, fed, measure, report
from pipeline.config.compose import compose
from pipeline.config.schema import TrainConfig


def slow_batches() -> itertools.chain:
    return itertools.chain.from_iterable(pause() for _ in itertools.count())


def pause() -> list[int]:
    time.sleep(0.03)
    return [0]


def test_waiting_for_pictures_is_told_from_stepping() -> None:
    def step(batch: int) -> float:
        time.sleep(0.01)
        return 0.0

    waited, took = fed(Training(VARIANTS[0], slow_batches(), step), 4)
    assert 0.12 <= waited < took - 0.04


def test_variants_take_turns_on_a_held_batch_and_on_fresh_ones() -> None:
    seen: list[tuple[str, int]] = []
    trainings = [
        Training(each, itertools.count(), lambda batch, name=each.name: seen.append((name, batch)) or 0.0)
        for each in VARIANTS
    ]
    measured = measure(trainings, steps=2, rounds=2, size=8)
    first = [batch for name, batch in seen if name == VARIANTS[0].name]
    assert first == [0, 1, 2, 2, 3, 4, 5, 5, 6, 7]  # two to warm up, then a held one twice and two fresh ones
    assert [name for name, _ in itertools.groupby(seen, lambda each: each[0])][:4] == [
        each.name for each in VARIANTS
    ] * 2
    assert all(len(each.alone) == len(each.fed) == len(each.waited) == 2 for each in measured.values())


def test_the_report_compares_round_by_round() -> None:
    measured = {
        "all trainable": Measured([4.0, 5.0, 6.0], [4.0, 4.0, 4.0], [0.01, 0.02, 0.03], [0.4, 0.4, 0.5]),
        "frozen": Measured([6.0, 8.0, 9.0], [6.0, 8.0, 4.0], [0.0, 0.0, 0.1], [0.2, 0.25, 0.3]),
    }
    text = report(compose(TrainConfig, "train", DEFAULTS), measured, [100.0, 160.0, 200.0], 0.0123)
    assert "efficientdet_d2 at 384 px, batches of 8" in text
    assert "160 (100–200) pictures a second, and takes 12 ms" in text
    assert "| all trainable | 5 (4–6) | 0.40 | 4 (4–4) | 2.0% | 32× | 1.00× (1.00–1.00) |" in text
    assert "| frozen | 8 (6–9) | 0.25 | 6 (4–8) | 0.0% | 20× | 1.50× (1.00–2.00) |" in text


@pytest.mark.slow
def test_a_real_network_is_measured(monkeypatch: pytest.MonkeyPatch, tmp_path, capsys) -> None:
    from benchmarks import training_speed

    monkeypatch.setattr(training_speed, "OUT", tmp_path)
    small = ["trainer.image_size=128", "trainer.batch_size=2", "model=efficientdet_d0", "model.init=random"]
    assert training_speed.main(["--steps", "1", "--rounds", "1", *small]) == 0
    assert "5 blocks and statistics frozen" in (tmp_path / "training_speed.md").read_text()
    assert "efficientdet_d0 at 128 px, batches of 2" in capsys.readouterr().out
