"""``kill -9`` at random moments: nothing is lost, no half file stays, and the next run goes on."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

import pytest
from PIL import Image

from pipeline.anonymize import Summary, anonymize_folder, verify_folder
from pipeline.anonymize.manifest import Journal
from pipeline.anonymize.output import Output
from pipeline.config.schema import AnonymizeConfig, Method, RedactConfig, VerifyOutputConfig
from tests.anonymize.conftest import Run
from tests.anonymize.quick import QuickDetector
from tests.anonymize.standin import save

OWN = {"manifest.jsonl", "detections.json", "report.json", "report.html"}


def make_photos(folder: Path, count: int) -> Path:
    for i in range(count):
        save(
            folder / f"{i % 3}" / f"{i:03}.{'png' if i % 2 else 'jpg'}",
            [(10 + i, 20, 90 + i, 130)] * (i % 4 > 0),
        )
        (folder / f"{i % 3}" / f"{i:03}.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    return folder


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in OWN and not path.name.startswith(".veil-")
    }


def check_after_kill(data: Path, out: Path, whole: dict[str, str]) -> None:
    """Every file under its own name is whole; what the manifest calls done is there, as it says."""
    for name, digest in digests(out).items():
        assert digest == whole[name], f"{name} is half written, or not anonymized"
    if (out / "manifest.jsonl").exists():
        for path, entry in Journal.read(out).entries.items():
            assert (
                entry.output and hashlib.sha256((out / path).read_bytes()).hexdigest() == entry.output.sha256
            )


def kill_repeatedly(
    command: list[str], data: Path, out: Path, whole: dict[str, str], times: int, spell: float
) -> int:
    """Returns how often the run was alive when it was killed.

    Each may finish a file: one that never is, however often it is begun, is left out in the end.
    """
    alive, manifest = 0, out / "manifest.jsonl"
    chance = random.Random(7)
    for _ in range(times):
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        deadline = time.monotonic() + 120
        before = manifest.stat().st_size if manifest.exists() else 0
        while process.poll() is None and time.monotonic() < deadline:
            if manifest.exists() and b'{"path"' in manifest.read_bytes()[before:]:
                break
            time.sleep(0.002)
        time.sleep(chance.uniform(0, spell))
        alive += process.poll() is None
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        process.wait()
        check_after_kill(data, out, whole)
    return alive


def test_kills_of_a_quick_run(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    data = make_photos(tmp_path / "data", 60)
    sources = digests(data)
    anonymize_folder(data, tmp_path / "whole", detector=QuickDetector())
    whole = digests(tmp_path / "whole")
    assert len(whole) == 120
    out = tmp_path / "out"
    command = [sys.executable, "-m", "tests.anonymize.quick", str(data), str(out)]
    assert kill_repeatedly(command, data, out, whole, times=8, spell=0.3) >= 4
    summary = anonymize_folder(data, out, detector=QuickDetector())
    assert summary.exit_code == 0 and len(summary.pictures) == 60
    assert digests(out) == whole and digests(data) == sources
    assert not list(out.rglob(".veil-*"))
    lines = (out / "manifest.jsonl").read_text().splitlines()
    assert len(lines) == 120 and all("start" not in json.loads(line) for line in lines)


@pytest.mark.slow
def test_kills_of_the_real_command(
    root: Path, model: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    data = make_photos(tmp_path / "data", 60)
    whole = digests(run(data, out=tmp_path / "whole").out)
    out = tmp_path / "out"
    command = [sys.executable, "anonymize.py", f"data={data}", f"out={out}", f"detector.model={model}"]
    assert kill_repeatedly(command, data, out, whole, times=12, spell=1.0) >= 3
    ran = run(data, out=out)
    assert ran.code == 0 and digests(out) == whole and not list(out.rglob(".veil-*"))


@pytest.mark.parametrize("cut", [1, 40, 4000])
def test_a_torn_manifest_is_taken_up(tmp_path: Path, cut: int) -> None:
    data = make_photos(tmp_path / "data", 6)
    out = tmp_path / "out"
    anonymize_folder(data, out, detector=QuickDetector())
    whole = digests(out)
    path = out / "manifest.jsonl"
    journal = Journal.read(out)
    torn = b'{"veil":1,"start":["0/000.jpg","0/003.png","1/001.png"]}\n' + path.read_bytes()[:-cut]
    path.write_bytes(torn)
    lost = set(journal.entries) - set(Journal.read(out).entries)
    assert len(lost) >= 1
    path.write_bytes(json.dumps({"veil": 1, "start": sorted(lost)}).encode() + b"\n" + torn)
    summary = anonymize_folder(data, out, detector=QuickDetector())
    assert summary.exit_code == 0 and digests(out) == whole
    assert len(path.read_text().splitlines()) == 12


@pytest.fixture
def unlisted(tmp_path: Path) -> tuple[Path, Path]:
    """DATA and OUT, where a run that redacts nothing was killed after it wrote x.png, before its line."""
    data, out = tmp_path / "data", tmp_path / "out"
    save(data / "x.png", [(20, 30, 100, 140)])
    anonymize(data, out, redact=RedactConfig(method=Method.none))
    (out / "manifest.jsonl").write_text(json.dumps({"veil": 1, "start": ["x.png"]}) + "\n")
    return data, out


def anonymize(data: Path, out: Path, **config: Any) -> Summary:
    return anonymize_folder(data, out, detector=QuickDetector(), config=AnonymizeConfig(**config))


def problems(out: Path) -> list[tuple[str, str]]:
    found = verify_folder(VerifyOutputConfig(out=str(out)), detector=QuickDetector())
    return [(each.path, each.kind) for each in found.problems]


def test_an_output_without_its_line_is_a_finding(unlisted: tuple[Path, Path]) -> None:
    assert problems(unlisted[1]) == [("x.png", "interrupted")]


def test_an_ignored_picture_whose_output_has_no_line_stays_a_failure(unlisted: tuple[Path, Path]) -> None:
    for _ in range(2):
        summary = anonymize(*unlisted, ignore=["x.png"])
        assert summary.exit_code == 3 and summary.foreign == []
        assert "made with other settings" in summary.entries["x.png"].message
        assert problems(unlisted[1])[0] == ("x.png", "interrupted")
    assert anonymize(*unlisted).exit_code == 0 and problems(unlisted[1]) == []


def test_an_output_without_its_line_or_source_is_named(unlisted: tuple[Path, Path]) -> None:
    (unlisted[0] / "x.png").unlink()
    for _ in range(2):
        summary = anonymize(*unlisted)
        assert summary.removed == ["x.png"] and summary.foreign == []
        assert problems(unlisted[1]) == [("x.png", "interrupted")]


def test_what_replaced_an_output_without_its_line_is_not_taken_for_it(tmp_path: Path) -> None:
    """The line of the run before must not vouch for the settings of what a killed one left."""
    data, out = tmp_path / "data", tmp_path / "out"
    source = save(data / "x.png", [(20, 30, 100, 140)])
    anonymize(data, out)
    line = (out / "manifest.jsonl").read_text()
    anonymize(data, out, redact=RedactConfig(method=Method.none))
    (out / "manifest.jsonl").write_text(line + json.dumps({"veil": 1, "start": ["x.png"]}) + "\n")
    source.write_bytes(b"\xff\xd8\xff no picture")
    assert [entry.reason for entry in anonymize(data, out).left_out] == ["corrupt"]
    assert anonymize(data, out, ignore=["x.png"]).exit_code == 3


def test_what_a_killed_run_left_is_swept(tmp_path: Path) -> None:
    data = make_photos(tmp_path / "data", 2)
    out = tmp_path / "out"
    anonymize_folder(data, out, detector=QuickDetector())
    for folder in (out, out / "0"):
        (folder / ".veil-0123456789abcdef.tmp").write_bytes(b"half a picture")
    (out / "kept.tmp").write_bytes(b"not of Veil")
    summary = anonymize_folder(data, out, detector=QuickDetector())
    assert not list(out.rglob(".veil-*")) and summary.foreign == ["kept.tmp"]


def test_two_runs_at_once_are_refused(tmp_path: Path, run: Run, photos: Path) -> None:
    import fcntl

    out = tmp_path / "out"
    out.mkdir()
    with (out / ".veil-lock").open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        ran = run(photos, out=out)
    assert ran.code == 2 and "another run" in ran.shown


def test_a_file_system_without_locks_is_written_all_the_same(
    tmp_path: Path, run: Run, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("fcntl.flock", refuse)
    ran = run(photos, out=tmp_path / "out")
    assert ran.code == 0 and not (tmp_path / "out" / ".veil-lock").exists()


def test_a_lock_that_its_owner_removed_meanwhile_is_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opened before another run ended, locked after: a third run would find the way free."""
    import fcntl

    lock, take = tmp_path / ".veil-lock", fcntl.flock

    def late(file: IO[bytes], how: int) -> None:
        monkeypatch.setattr("fcntl.flock", take)
        lock.unlink()  # the other run ends here
        take(file, how)

    monkeypatch.setattr("fcntl.flock", late)
    with Output(tmp_path), lock.open("wb") as third, pytest.raises(BlockingIOError):
        take(third, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize(("stop", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_a_stopped_run_ends_with_the_code_of_its_signal(
    root: Path, tmp_path: Path, model: Path, stop: signal.Signals, code: int
) -> None:
    """A shell shows a process that SIGTERM ended as 143."""
    data = make_photos(tmp_path / "data", 150)
    command = [sys.executable, "anonymize.py", f"data={data}", f"detector.model={model}"]
    process = subprocess.Popen(command, cwd=root, stderr=subprocess.DEVNULL)
    while not (tmp_path / "data-anonymized" / "manifest.jsonl").exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(stop)
    assert process.wait(timeout=60) == code


def test_a_file_that_ends_the_process_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After two starts without an end, a file is decoded in a process of its own first."""
    data = make_photos(tmp_path / "data", 2)
    out = tmp_path / "out"
    out.mkdir()
    start = json.dumps({"veil": 1, "start": ["0/000.jpg"]}) + "\n"
    (out / "manifest.jsonl").write_text(start * 2)
    crash = tmp_path / "crash"
    crash.write_text("#!/bin/sh\nkill -SEGV $$\n")
    crash.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(crash))
    summary = anonymize_folder(data, out, detector=QuickDetector())
    assert [(entry.path, entry.reason) for entry in summary.left_out if entry.kind == "picture"] == [
        ("0/000.jpg", "crashes")
    ]
    assert Image.open(out / "1/001.png").size == (260, 240)
    monkeypatch.undo()
    assert not (out / "0/000.jpg").exists()
    again = anonymize_folder(data, out, detector=QuickDetector())
    assert "crashes" in [entry.reason for entry in again.left_out]


def test_a_file_that_ends_the_process_behind_decoding_is_left_out(root: Path, tmp_path: Path) -> None:
    """As when memory runs out while it is coded: after two starts that followed a probe it is not tried."""
    data, out = make_photos(tmp_path / "data", 6), tmp_path / "out"
    out.mkdir()
    (out / "manifest.jsonl").write_text((json.dumps({"veil": 1, "start": ["1/001.png"]}) + "\n") * 3)
    code = "\n".join(
        [
            "import os, runpy, signal",
            "from pipeline.anonymize import stages",
            "encode = stages.encode",
            "def killed(picture, *rest):",
            "    if picture.path.name == '001.png':",
            "        os.kill(os.getpid(), signal.SIGKILL)",
            "    return encode(picture, *rest)",
            "stages.encode = killed",
            "runpy.run_module('tests.anonymize.quick', run_name='__main__')",
        ]
    )
    command = [sys.executable, "-c", code, str(data), str(out)]
    codes = [subprocess.run(command, cwd=root, capture_output=True).returncode for _ in range(2)]
    assert codes == [-signal.SIGKILL, 3]
    entries = Journal.read(out).entries
    assert len(entries) == 12
    assert {path: entry.reason for path, entry in entries.items() if entry.status == "left_out"} == {
        "1/001.png": "crashes",
        "1/001.txt": "picture_left_out",
    }
