"""From runs to rates, ratios and targets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.speed_runs import Run


@dataclass(frozen=True)
class Spread:
    """The least, the middle and the greatest of some repetitions."""

    low: float
    middle: float
    high: float
    of: int

    @classmethod
    def over(cls, values: Iterable[float]) -> Spread:
        """Raises ValueError without any value."""
        given = list(values)
        return cls(min(given), median(given), max(given), len(given))


@dataclass(frozen=True)
class Speed:
    """One tool on one folder.

    Attributes:
        rate: pictures a second once it runs, start-up left out; one value a repetition, as in the next two.
        cpu: seconds of processor time a picture, start-up left out. peak: bytes of memory of the process.
        whole: pictures a second of the whole process, start-up included.
        failed: why there are no figures.
    """

    runner: str
    megapixels: float
    pictures: int
    rate: tuple[float, ...] = ()
    cpu: tuple[float, ...] = ()
    peak: tuple[float, ...] = ()
    whole: tuple[float, ...] = ()
    failed: str = ""


@dataclass(frozen=True)
class Start:
    """One tool's way to its first picture, by repetition.

    Attributes:
        first: seconds of a process that does one picture of the smallest size. cpu: of processor time.
        startup: the same without what such a picture takes when many are done.
    """

    runner: str
    first: tuple[float, ...]
    cpu: tuple[float, ...]
    startup: float
    startup_cpu: float


@dataclass(frozen=True)
class Ratio:
    """A tool against the better of its peers on a folder: paired by repetition, the peer's last one where it
    had fewer.

    Attributes:
        rate: how many times the pictures a second. cpu, peak: as a share of the peer's.
    """

    runner: str
    peer: str
    megapixels: float
    rate: Spread
    cpu: Spread
    peak: Spread


@dataclass(frozen=True)
class Target:
    """What issue 5 asks for: at least so many times the rate, at most that share of the memory."""

    runner: str
    megapixels: float
    rate: float
    peak: float | None = None

    def reached(self, ratio: Ratio) -> bool:
        """By the middle of the repetitions."""
        return ratio.rate.middle >= self.rate and (self.peak is None or ratio.peak.middle <= self.peak)


TARGETS = (
    Target("veil", 0.45, 1.3),
    Target("veil", 12, 15),
    Target("veil with tiles", 12, 4),
    Target("veil", 45, 30, 1 / 8),
)


def starts(runs: Sequence[Run]) -> dict[str, Start]:
    """By runner. Where there is no longer run of the same folder, all of the first picture is start-up."""
    found = {}
    for name in dict.fromkeys(run.runner for run in runs):
        mine = [run for run in runs if run.runner == name and not run.failed and run.repetition >= 0]
        single = [run for run in mine if run.pictures == 1]
        if not single:
            continue
        smallest = min(run.megapixels for run in single)
        first = [run for run in single if run.megapixels == smallest]
        more = [run for run in mine if run.megapixels == smallest and run.pictures > 1]
        found[name] = Start(
            name,
            tuple(run.seconds for run in first),
            tuple(run.cpu for run in first),
            _intercept(first, more, lambda run: run.seconds),
            _intercept(first, more, lambda run: run.cpu),
        )
    return found


def _intercept(first: Sequence[Run], more: Sequence[Run], cost: Callable[[Run], float]) -> float:
    """What no picture at all would cost, on the line through the middles of both kinds of runs."""
    one = median(map(cost, first))
    if not more:
        return one
    return one - (median(map(cost, more)) - one) / (more[0].pictures - 1)


def speeds(runs: Sequence[Run]) -> list[Speed]:
    """Every tool on every folder, in the order of the runs."""
    began = starts(runs)
    raced = [run for run in runs if run.repetition >= 0 or run.failed]
    found = []
    for name, megapixels in dict.fromkeys((run.runner, run.megapixels) for run in raced):
        here = [run for run in raced if (run.runner, run.megapixels) == (name, megapixels)]
        count = max(run.pictures for run in here)
        failed = next((run.failed for run in here if run.failed), "")
        start = began.get(name)
        if failed or start is None:
            found.append(Speed(name, megapixels, count, failed=failed or "its start-up was not measured"))
            continue
        full = [run for run in here if run.pictures == count]
        found.append(
            Speed(
                name,
                megapixels,
                count,
                tuple(count / _above(run.seconds, start.startup) for run in full),
                tuple(_above(run.cpu, start.startup_cpu) / count for run in full),
                tuple(float(run.peak) for run in full),
                tuple(count / run.seconds for run in full),
            )
        )
    return found


def _above(total: float, startup: float) -> float:
    """What is left of a run without its start-up; never nothing, where noise is larger than the work."""
    return max(total - startup, 0.01 * total)


def ratios(measured: Sequence[Speed], peers: Sequence[str]) -> list[Ratio]:
    """Every tool that is no peer against the peer with the better middle rate, folder by folder."""
    found = []
    for speed in measured:
        rivals = [
            each
            for each in measured
            if each.runner in peers and each.megapixels == speed.megapixels and not each.failed
        ]
        if speed.runner in peers or speed.failed or not rivals:
            continue
        peer = max(rivals, key=lambda each: median(each.rate))
        found.append(
            Ratio(
                speed.runner,
                peer.runner,
                speed.megapixels,
                _paired(speed.rate, peer.rate),
                _paired(speed.cpu, peer.cpu),
                _paired(speed.peak, peer.peak),
            )
        )
    return found


def _paired(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    return Spread.over(one / theirs[min(number, len(theirs) - 1)] for number, one in enumerate(ours))


def verdict(ratio: Ratio) -> str:
    """The target and whether it is reached, in words; empty: there is none."""
    for target in TARGETS:
        if (target.runner, target.megapixels) == (ratio.runner, ratio.megapixels):
            memory = f", memory ≤ {target.peak:.3g}" if target.peak else ""
            return f"≥ {target.rate:g}×{memory}: " + (
                "reached" if target.reached(ratio) else "**not reached**"
            )
    return ""
