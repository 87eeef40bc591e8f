"""A split that does not leak: pictures that look alike fall on one side.

Two pictures look alike when their difference hashes (256 bits, of the upright picture) differ in
few bits, or when one looks like the other's mirror image. What looks alike is one group, and so is
what looks like a member of it. Groups are ordered by a hash of seed and content, and taken from
the front for the test, then for validation; the rest is for training. Neither file names nor
their order matter, and a few more pictures move few others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pipeline.config.schema import SplitConfig
from pipeline.errors import UserError

SPLITS = ("train", "val", "test")
BLOCK = 64


def check_shares(config: SplitConfig) -> None:
    """Raises UserError if validation and test together want more than all pictures."""
    if config.val + config.test > 1:
        raise UserError(
            f"dataset.split: val={config.val} and test={config.test} are {config.val + config.test:g} "
            "together; allowed: at most 1"
        )


def near_pairs(dhash: NDArray[np.bool_], max_distance: int) -> NDArray[np.intp]:
    """Pairs that look alike.

    Args:
        dhash: bool ``[N, 2, 256]``, of each picture and of its mirror image.
        max_distance: bits that may differ.

    Returns:
        ``[P, 2]`` indices, each pair once, the first smaller than the second.
    """
    words = np.packbits(dhash, axis=2).view(np.uint64)  # [N, 2, 4]
    upright, mirrored = words[:, 0], words[:, 1]  # [N, 4] each
    found = []
    for start in range(0, len(words), BLOCK):
        block = upright[start : start + BLOCK, None]
        for others in (upright[start:], mirrored[start:]):
            distance = np.zeros((len(block), len(others)), dtype=np.uint16)
            for word in range(words.shape[2]):  # one at a time stays in the processor's cache
                distance += np.bitwise_count(block[..., word] ^ others[None, :, word])
            found.append(np.argwhere(distance <= max_distance) + start)
    pairs = np.concatenate(found) if found else np.zeros((0, 2), dtype=np.intp)
    return np.unique(pairs[pairs[:, 0] < pairs[:, 1]], axis=0)


def group(dhash: NDArray[np.bool_], max_distance: int) -> list[int]:
    """The group number of each picture: connected components of :func:`near_pairs`."""
    count = len(dhash)
    if count == 0:
        return []
    pairs = near_pairs(dhash, max_distance)
    edges = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    return connected_components(edges, directed=False)[1].tolist()


def assign(
    digests: Sequence[str], groups: Sequence[int], test_only: Sequence[bool], config: SplitConfig
) -> list[str]:
    """The side of each picture.

    Args:
        digests: content digest of each picture.
        groups: group number of each picture.
        test_only: pictures that must not be trained on; their groups go to the test, beside the
            share that the others give.
    """
    members: dict[int, list[int]] = {}
    for index, number in enumerate(groups):
        members.setdefault(number, []).append(index)
    side = ["train"] * len(digests)
    free = []
    for indices in members.values():
        if any(test_only[index] for index in indices):
            _put(side, indices, "test")
        else:
            free.append(indices)
    free.sort(key=lambda indices: _rank(min(digests[index] for index in indices), config.seed))
    total = sum(map(len, free))
    for name, share in (("test", config.test), ("val", config.val)):
        if share > 0:
            free = _fill(side, name, free, max(1, round(share * total)))
    return side


def _fill(side: list[str], name: str, free: list[list[int]], quota: int) -> list[list[int]]:
    """Gives ``name`` the groups that fit its quota, in order; the smallest one if none fits.

    Returns:
        The groups that remain.
    """
    taken, rest = 0, []
    for indices in free:
        if taken + len(indices) <= quota:
            _put(side, indices, name)
            taken += len(indices)
        else:
            rest.append(indices)
    if taken == 0 and rest:
        smallest = min(rest, key=len)
        rest.remove(smallest)
        _put(side, smallest, name)
    return rest


def _put(side: list[str], indices: list[int], name: str) -> None:
    for index in indices:
        side[index] = name


def _rank(digest: str, seed: int) -> str:
    return hashlib.sha256(f"{seed}:{digest}".encode()).hexdigest()
