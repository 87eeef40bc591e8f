"""From what the readers found to the pictures of a version, each on its side of the split."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass

import numpy as np

from pipeline.config.schema import DatasetConfig
from pipeline.data import consensus, exclude, merge, split, validation
from pipeline.data.examples import LabelledPicture, Problem, Reading
from pipeline.errors import UserError

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Assembled:
    """The pictures of a version, in the order of their content, and how they came about.

    ``sides`` names the split of each; a picture that training leaves out keeps its place and has none.
    """

    pictures: list[LabelledPicture]
    groups: list[int]
    sides: list[str]
    problems: list[Problem]


def assemble(
    config: DatasetConfig, readings: dict[str, Reading], agreed: consensus.Consensus | None = None
) -> Assembled:
    """Opens, checks, merges, removes duplicates, splits, and only then adds faces that have no label.

    Raises:
        UserError: no usable picture is left, or none for training.
    """
    problems = [problem for reading in readings.values() for problem in reading.problems]
    labelled: list[LabelledPicture] = []
    for name, reading in readings.items():
        label_map, grow = config.sources[name].label_map, config.sources[name].grow
        log.info("checking %d labelled pictures of %s", len(reading.labels), name)
        checked, found = validation.check_all(name, reading.labels, label_map)
        labelled += [merge.even(merge.merge(picture, label_map), grow) for picture in checked]
        problems += found
    measuring = {name for name in readings if config.sources[name].test_only}
    labelled, found = validation.leave_out_duplicates(labelled, measuring)
    problems += found
    labelled.sort(key=lambda picture: picture.sha256)
    if not labelled:
        raise UserError(_nothing_left(readings, problems))
    groups = split.group(np.stack([picture.dhash for picture in labelled]), config.split.max_distance)
    test_only = [picture.source in measuring for picture in labelled]
    sides = split.assign([picture.sha256 for picture in labelled], groups, test_only, config.split)
    if "train" not in sides and config.split.val + config.split.test < 1 and not all(test_only):
        raise UserError(_nothing_to_train_on(config, len(labelled), len(set(groups))))
    problems += validation.near_duplicate_findings(labelled, groups)
    sides, found = exclude.leave_out(labelled, sides, config.exclude)
    problems += found
    if agreed is not None:
        labelled, found = consensus.add(labelled, sides, agreed, config.consensus_as)
        problems += found
    return Assembled(labelled, groups, sides, problems)


def _nothing_left(readings: dict[str, Reading], problems: list[Problem]) -> str:
    counted = Counter(problem.kind for problem in problems)
    found = ", ".join(f"{kind} {count}" for kind, count in counted.most_common()) or "no label files"
    examples = "".join(f"\n  {p.source}: {p.name}: {p.kind}, {p.detail}" for p in problems[:5])
    return f"dataset.sources: no usable picture in {', '.join(readings)}; found: {found}{examples}"


def _nothing_to_train_on(config: DatasetConfig, pictures: int, groups: int) -> str:
    shares = config.split
    return (
        f"dataset.split: none of the {pictures} pictures is left for training; pictures that look alike stay "
        f"together, and these are {groups} groups; allowed: more pictures, smaller shares than "
        f"val={shares.val} test={shares.test}, or less than max_distance={shares.max_distance}"
    )
