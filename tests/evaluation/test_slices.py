from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluation.slices import label_of, membership, rate, size_of


@pytest.mark.parametrize(
    ("pixels", "name"),
    [
        (0, "size_lt16"),
        (15.99, "size_lt16"),
        (16, "size_16_32"),
        (32, "size_32_96"),
        (95.9, "size_32_96"),
        (96, "size_gt96"),
        (9999, "size_gt96"),
    ],
)
def test_size(pixels: float, name: str) -> None:
    assert size_of(pixels) == name


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("mask", "with_mask"),
        ("face_no_mask", "without_mask"),
        ("with_incorrect_mask", "mask_worn_wrongly"),
        ("Müde Katze", "M_de_Katze"),
        ("face", "face"),
        ("", "unlabelled"),
        ("/", "unlabelled"),
    ],
)
def test_label(label: str, name: str) -> None:
    assert label_of(label) == name


@settings(deadline=None)  # a busy machine is no failure
@given(st.text())
def test_any_label_makes_a_metric_name_that_mlflow_takes(label: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_.-]+", label_of(label))


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [
        (0, 10, 0, 0.3085),  # Clopper and Pearson's own chart, to four digits
        (5, 10, 0.1871, 0.8129),
        (10, 10, 0.6915, 1),
        (0, 0, 0, 1),
    ],
)
def test_interval(hits: int, of: int, low: float, high: float) -> None:
    result = rate(hits, of)
    assert (result.low, result.high) == pytest.approx((low, high), abs=1e-4)


def test_more_hits_than_tries_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 3, got 4"):
        rate(4, 3)


def test_membership_runs_over_all_pictures(labelled) -> None:
    pictures = [
        labelled([[0, 0, 8, 8], [0, 0, 100, 100]], labels=["mask", "no_mask"]),
        labelled([], id=2),
        labelled([[0, 0, 40, 40]], id=3),
    ]
    result = {name: inside.tolist() for name, inside in membership(pictures).items()}
    assert result == {
        "size_lt16": [True, False, False],
        "size_16_32": [False] * 3,
        "size_32_96": [False, False, True],
        "size_gt96": [False, True, False],
        "with_mask": [True, False, True],
        "without_mask": [False, True, False],
        "source_drawn": [True] * 3,
    }
