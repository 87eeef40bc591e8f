"""Whether a detector is no worse than the released one: every figure on the same pictures, with intervals."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.card_text import Verdict
from pipeline.evaluation.report import Evaluation

AVERAGES = ("AP", "AP50", "AP75", "AR")
Figure = tuple[float, float, float]
"""A figure, and the low and the high end of its interval."""


def compare(new: Evaluation, released: Evaluation, accepted: frozenset[str]) -> Iterator[Verdict]:
    """A gate for each figure that both have: it fails when the new one lies beyond the interval of the
    released one, on the worse side. Where both were measured so, who finds a face that only a consensus names
    is not wrong.
    """
    if new.ignoring and released.ignoring:
        new, released = new.ignoring, released.ignoring
    ours, theirs = dict(figures(new)), dict(figures(released))
    for name, (value, _, _) in ours.items():
        if name not in theirs:
            continue
        before, low, high = theirs[name]
        beyond = value - high if falls(name) else low - value
        says = f"{value:.4f}, released {before:.4f} ({low:.4f}–{high:.4f})"
        if beyond > 0:
            says += f": {beyond:.4f} beyond that interval"
        yield Verdict(name, beyond <= 0, beyond > 0 and name in accepted, says)


def falls(name: str) -> bool:
    """Whether less is better."""
    return name.startswith(("exposed", "needless"))


def figures(evaluation: Evaluation) -> Iterator[tuple[str, Figure]]:
    """Every figure that a release may not lose, with its interval."""
    for name in (*AVERAGES, "needless_pixels"):
        if name in evaluation.metrics and name in evaluation.intervals:
            yield name, (evaluation.metrics[name], *evaluation.intervals[name])
    precision = evaluation.precision
    yield "precision", (precision.share, precision.low, precision.high)
    for kind, rates in (("recall", evaluation.recall), ("exposed", evaluation.exposed)):
        for slice_, each in rates.items():
            if each.of:
                yield kind if slice_ == "all" else f"{kind}/{slice_}", (each.share, each.low, each.high)
