from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np
import pytest

from pipeline.config.plain import plain, without_password
from pipeline.tracking.names import flatten, legal, numbers


class Kind(Enum):
    one = "eins"


@dataclass
class Inner:
    kind: Kind = Kind.one
    rates: list[float] = field(default_factory=lambda: [0.1, 2.0])


@dataclass
class Outer:
    inner: Inner = field(default_factory=Inner)
    note: str | None = None
    on: bool = True


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("train/total_loss", "train/total_loss"),
        ("recall@0.5", "recall_0.5"),
        ("size<16", "size_16"),
        ("/val//AP/", "val/AP"),
        ("../../etc", "etc"),
        ("Gesichtsgröße", "Gesichtsgr__e"),
        ("", "unnamed"),
        ("x" * 400, "x" * 250),
    ],
)
def test_legal_names_pass_mlflows_own_check(given: str, expected: str) -> None:
    from mlflow.utils.validation import _validate_metric_name, _validate_param_name

    assert legal(given) == expected
    _validate_metric_name(expected)
    _validate_param_name(expected)


def test_configuration_becomes_dotted_text() -> None:
    assert flatten(Outer()) == {
        "inner.kind": "eins",
        "inner.rates": "[0.1, 2.0]",
        "note": "null",
        "on": "true",
    }
    assert flatten({"empty": {}, "long": "x" * 9000})["long"] == "x" * 6000


def test_plain_is_yaml_and_json_ready() -> None:
    assert plain(Outer()) == {"inner": {"kind": "eins", "rates": [0.1, 2.0]}, "note": None, "on": True}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("http://me:secret@host", "http://host"),
        ("http://token@host:5000/x", "http://host:5000/x"),
        ("http://me:p@ss@host", "http://host"),
        ("postgresql://me:a/b@host/db", "postgresql://host/db"),
        ("from http://a:b@c, to http://d:e@f.", "from http://c, to http://f."),
        ("http://host:5000/runs@home", "http://host:5000/runs@home"),
        ("sqlite:////data/me@home/mlflow.db", "sqlite:////data/me@home/mlflow.db"),
        ("/data//me@home", "/data//me@home"),
    ],
)
def test_user_name_and_password_are_cut_out_of_addresses_alone(given: str, expected: str) -> None:
    assert without_password(given) == expected
    assert flatten({"tracking": {"uri": given}}) == {"tracking.uri": expected}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"loss": np.float32(0.5)}, {"loss": 0.5}),
        ({"val": {"AP": np.array(0.25), "size": {"<16": 1}}}, {"val/AP": 0.25, "val/size/_16": 1.0}),
        ({"picture": np.zeros((2, 2)), "text": "many"}, {}),
    ],
)
def test_numbers_are_taken_and_the_rest_left_out(given: dict[str, Any], expected: dict[str, float]) -> None:
    assert numbers(given) == expected
