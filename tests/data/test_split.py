from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config.schema import SplitConfig
from pipeline.data import split
from pipeline.errors import UserError


def hashes(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, (count, 2, 256)).astype(bool)


def flipped(bits: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    changed = bits.copy()
    changed[np.random.default_rng(seed).choice(256, count, replace=False)] ^= True
    return changed


def test_pairs_are_those_of_the_plain_definition() -> None:
    dhash = hashes(600, seed=3)  # more than two blocks
    dhash[500, 0] = flipped(dhash[10, 0], 12)
    dhash[501, 0] = flipped(dhash[11, 0], 13)
    dhash[599, 0] = flipped(dhash[300, 1], 5)  # looks like the mirror image of 300
    dhash[300, 0] = flipped(dhash[599, 1], 5)
    expected = [
        (i, j)
        for i, j in combinations(range(600), 2)
        if min((dhash[i, 0] ^ dhash[j, 0]).sum(), (dhash[i, 0] ^ dhash[j, 1]).sum()) <= 12
    ]
    assert (10, 500) in expected
    assert (300, 599) in expected
    assert (11, 501) not in expected
    assert [tuple(pair) for pair in split.near_pairs(dhash, 12)] == expected


def test_groups_are_chains() -> None:
    dhash = hashes(4)
    dhash[1, 0] = flipped(dhash[0, 0], 10, seed=1)
    dhash[2, 0] = flipped(dhash[1, 0], 10, seed=2)  # too far from the first, near the second
    groups = split.group(dhash, 12)
    assert (dhash[0, 0] ^ dhash[2, 0]).sum() > 12
    assert groups[0] == groups[1] == groups[2] != groups[3]


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 6), min_size=3, max_size=60),
    val=st.floats(0, 0.4),
    test=st.floats(0, 0.5),
    seed=st.integers(0, 5),
    order=st.randoms(use_true_random=False),
)
def test_a_split_depends_on_content_alone_and_never_parts_a_group(
    sizes: list[int], val: float, test: float, seed: int, order: object
) -> None:
    groups = [number for number, size in enumerate(sizes) for _ in range(size)]
    digests = [f"{index:05}" for index in range(len(groups))]
    config = SplitConfig(val=val, test=test, seed=seed)
    sides = dict(zip(digests, split.assign(digests, groups, [False] * len(groups), config), strict=True))
    for number in set(groups):
        assert len({sides[d] for d, g in zip(digests, groups, strict=True) if g == number}) == 1
    shuffled = list(zip(digests, groups, strict=True))
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    renumbered = [-number for _, number in shuffled]
    again = split.assign([d for d, _ in shuffled], renumbered, [False] * len(groups), config)
    assert dict(zip([d for d, _ in shuffled], again, strict=True)) == sides
    for name, share in (("val", val), ("test", test)):
        count = list(sides.values()).count(name)
        assert (count > 0) == (share > 0)
        on_this_side = {g for d, g in zip(digests, groups, strict=True) if sides[d] == name}
        assert count <= max(round(share * len(groups)), 1) or len(on_this_side) == 1


@pytest.mark.parametrize(("val", "test"), [(0.1, 0.2), (0.0, 0.0), (0.0, 1.0), (0.3, 0.0)])
def test_shares(val: float, test: float) -> None:
    digests = [str(index) for index in range(200)]
    sides = split.assign(digests, list(range(200)), [False] * 200, SplitConfig(val=val, test=test))
    counts = {name: sides.count(name) for name in split.SPLITS}
    assert counts == {"train": round(200 * (1 - val - test)), "val": 200 * val, "test": 200 * test}


def test_another_seed_is_another_split_and_a_few_more_pictures_move_few_others() -> None:
    digests = [str(index) for index in range(300)]

    def sides(count: int, seed: int) -> dict[str, str]:
        names = digests[:count]
        return dict(
            zip(
                names,
                split.assign(names, list(range(count)), [False] * count, SplitConfig(seed=seed)),
                strict=True,
            )
        )

    one, other, more = sides(290, 0), sides(290, 1), sides(300, 0)
    assert sum(one[d] != other[d] for d in one) > 60
    assert sum(one[d] != more[d] for d in one) < 10


def test_what_looks_like_a_picture_for_measuring_only_is_not_trained_on() -> None:
    groups = [0, 0, 1, 2, 3, 4]
    measuring = [True, False, True, False, False, False]
    sides = split.assign(list("abcdef"), groups, measuring, SplitConfig(val=0, test=0))
    assert sides == ["test", "test", "test", "train", "train", "train"]


def test_more_than_all_pictures_is_refused() -> None:
    with pytest.raises(UserError, match=r"val=0\.5 and test=0\.6 are 1\.1 together; allowed: at most 1"):
        split.check_shares(SplitConfig(val=0.5, test=0.6))


def test_ten_thousand_pictures_are_searched_in_seconds() -> None:
    import time

    start = time.process_time()
    assert split.near_pairs(hashes(10_000), 12).shape == (0, 2)
    assert time.process_time() - start < 10  # seconds of CPU; one is usual
