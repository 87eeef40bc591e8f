"""Leaving pictures out of training and validation by name: crops of test pictures that the hash cannot see.

It happens after the split, so that every other picture stays where it is.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.data.examples import LabelledPicture, Problem
from pipeline.errors import UserError

NOWHERE = ""
"""The side of a picture that is in no split."""


def leave_out(
    pictures: Sequence[LabelledPicture], sides: Sequence[str], names: Sequence[str]
) -> tuple[list[str], list[Problem]]:
    """The sides without those pictures; one of the test stays: what it is like must not be taught.

    Args:
        names: ``source/name`` of each picture to leave out, as a version's COCO files have it.

    Raises:
        UserError: a name is no picture of the version.
    """
    places = {f"{picture.source}/{picture.name}": index for index, picture in enumerate(pictures)}
    unknown = [name for name in names if name not in places]
    if unknown:
        known = next(iter(places))
        raise UserError(f"dataset.exclude: {', '.join(unknown)}: no such picture; allowed: as {known}")
    left, problems = list(sides), []
    for name in dict.fromkeys(names):
        picture, side = pictures[places[name]], sides[places[name]]
        effect = "kept: it is in the test split"
        if side != "test":
            left[places[name]], effect = NOWHERE, "picture left out"
        problems.append(Problem("excluded", picture.source, picture.name, "named by dataset.exclude", effect))
    return left, problems
