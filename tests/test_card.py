"""What a model card says of its data."""

from __future__ import annotations

import pytest

from pipeline.card_text import CARDS, licence_of


@pytest.mark.parametrize("source", sorted(path.parent.name for path in CARDS.glob("*/README.md")))
def test_every_data_set_states_its_licence(source: str) -> None:
    # A set of one's own has no licence that we could know, and boxes alone are no pictures.
    assert licence_of(source).startswith("not stated here") == (source in ("custom", "consensus"))
