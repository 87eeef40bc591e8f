"""Every odd file has one defined result, the rest of the folder goes on, and nothing slips through."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.anonymize.console import MOST
from pipeline.anonymize.manifest import Journal
from pipeline.anonymize.plan import Planner, ignores_case
from pipeline.anonymize.scan import scan
from tests.anonymize.conftest import Run
from tests.anonymize.standin import save

FACE = [(20, 30, 100, 140)]


def truncated(path: Path) -> None:
    save(path, FACE)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])


def bomb(path: Path) -> None:
    Image.fromarray(np.zeros((1, 1), np.uint8)).save(path)
    data = bytearray(path.read_bytes())
    data[16:24] = (60000).to_bytes(4, "big") * 2
    import zlib

    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    path.write_bytes(bytes(data))


def bound_socket(path: Path) -> None:
    place = os.open(path.parent, os.O_RDONLY)
    try:  # the path of a socket may be no longer than 108 bytes
        socket.socket(socket.AF_UNIX).bind(f"/proc/self/fd/{place}/{path.name}")
    finally:
        os.close(place)


ODD: dict[str, tuple[str, Any]] = {
    "zero.png": ("empty", lambda path: path.write_bytes(b"")),
    "text.jpg": ("not_a_picture", lambda path: path.write_text("no picture")),
    "cut.jpg": ("corrupt", truncated),
    "cut.png": ("corrupt", truncated),
    "bomb.png": ("too_large", bomb),
    "notes.txt": ("not_a_picture", lambda path: path.write_text("some notes")),
    "data.bin": ("not_a_picture", lambda path: path.write_bytes(os.urandom(99))),
    "film.mp4": ("video", lambda path: path.write_bytes(b"\0\0\0\x18ftypmp42")),
    "drawing.svg": ("not_a_picture", lambda path: path.write_text("<svg/>")),
    "raw.cr2": ("unsupported", lambda path: path.write_bytes(b"\0\0\0\x18ftypcrx " + b"\0" * 50)),
    "pipe.jpg": ("not_a_file", os.mkfifo),
    "socket.png": ("not_a_file", bound_socket),
    "broken.jpg": ("link_broken", lambda path: path.symlink_to("nowhere.jpg")),
    "self.jpg": ("link_loop", lambda path: path.symlink_to(path)),
    "loop": ("link_loop", lambda path: path.symlink_to(path.parent)),
    "outside.png": ("link_outside", lambda path: path.symlink_to(save(path.parent.parent / "o.png", FACE))),
    "outside": ("link_outside", lambda path: path.symlink_to(path.parent.parent)),
    "twice": ("linked_folder", lambda path: path.symlink_to(path.parent / "real")),
    "manifest.jsonl": ("reserved_name", lambda path: path.write_text("{}")),
    "report.html": ("reserved_name", lambda path: path.write_text("<html>")),
    "Report.json": ("reserved_name", lambda path: save(path / "a.png", FACE)),
    ".veil-00.tmp": ("reserved_name", lambda path: save(path, FACE, format="PNG")),
    "real/.veil-1.png": ("reserved_name", lambda path: save(path, FACE)),
}


def test_each_odd_file_has_its_reason(run: Run, tmp_path: Path) -> None:
    data = tmp_path / "data"
    save(data / "good.png", FACE)
    save(data / "real" / "good.png", FACE)
    for name, (_, make) in ODD.items():
        make(data / name)
    ran = run(data)
    assert ran.code == 3
    assert ran.reasons() == {name: reason for name, (reason, _) in ODD.items()}
    written = {path.relative_to(ran.out).as_posix() for path in ran.out.rglob("*") if path.is_file()}
    own = {"manifest.jsonl", "detections.json", "report.json", "report.html"}
    assert written - own == {"good.png", "real/good.png"} and own <= written
    assert all(f"{name}: {reason}" in ran.shown for name, (reason, _) in sorted(ODD.items())[:MOST])


VOC = "<annotation><filename>good.png</filename><size><width>{}</width></size></annotation>"
COCO = '{"images": [{"id": 1, "file_name": "good.png"}], "categories": [{"name": "hat"}]}'
HARMFUL = {
    "no-such-day.yaml": b"a: 2001-99-99",
    "deep.json": b"[" * 200_000,
    "undeclared.xml": VOC.format(260).encode("utf-16"),
    "fraction.xml": VOC.format("40.0").encode(),
    "category.json": COCO.encode(),
    "indices.yaml": b"path: .\nnames: {a: b}",
    "endless.txt": b"9" * 9999 + b" 0.5 0.5 0.1 0.1",
}
"""Damaged or hostile label files; the last ones do harm only where faces are added as a class."""


def test_damaged_labels_end_no_run(run: Run, tmp_path: Path) -> None:
    data = tmp_path / "data"
    for name in ("good.png", "endless.png"):
        save(data / name, FACE)
    (data / "good.txt").write_text("0 0.5 0.5 0.25 0.25\n")
    for name, content in HARMFUL.items():
        (data / name).write_bytes(content)
    for _ in range(2):
        ran = run(data, "labels.ignore_faces=true")
        assert ran.code == 3, ran.shown
        expected = dict.fromkeys(HARMFUL, "corrupt") | {"endless.txt": None}
        assert {name: ran.manifest[name]["reason"] for name in HARMFUL} == expected
        assert len((ran.out / "good.txt").read_text().splitlines()) == 2


def test_links_are_read_when_asked(run: Run, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    save(tmp_path / "store" / "a.png", FACE)
    (data / "folder").symlink_to(tmp_path / "store")
    (data / "file.png").symlink_to(tmp_path / "store" / "a.png")
    (tmp_path / "store" / "back").symlink_to(data)
    ran = run(data, "follow_links=true")
    assert ran.reasons() == {"folder/back": "link_loop"}
    for name in ("folder/a.png", "file.png"):
        assert not (ran.out / name).is_symlink()
        assert (ran.out / name).read_bytes() != (tmp_path / "store" / "a.png").read_bytes()


def test_names(run: Run, tmp_path: Path) -> None:
    names = [
        "ünïcødé 写真 🙂.png",
        "ü.png",
        "ü.png",
        "with\nnewline.png",
        "[red]markup[/].png",
        "<b>&.png",
        "%41,;='\".png",
        "x" * 251 + ".png",
        "A.png",
        "a.png",
        "a.PNG",
        "no-suffix",
        "/".join(["deep" * 20] * 12) + "/z.png",
        os.fsdecode(b"latin-\xe9.png"),
    ]
    data = tmp_path / "data"
    for name in names:
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        save(tmp_path / "made.png", FACE).rename(data / name)
    (data / ".DS_Store").write_bytes(b"x")
    ran = run(data)
    assert ran.code == 0, ran.shown
    assert {path for path, line in ran.manifest.items() if line["status"] == "done"} == set(names)
    for name in names:
        assert (ran.out / name).read_bytes() != (data / name).read_bytes()
    page = (ran.out / "report.html").read_text("utf-8")
    assert "<b>&" not in page
    assert ran.manifest[".DS_Store"]["status"] == "ignored"


def test_path_too_long_for_the_system(run: Run, tmp_path: Path) -> None:
    """Deeper than PATH_MAX: made and walked only by steps, so not readable by a path."""
    data = tmp_path / "data"
    save(data / "good.png", FACE)
    here, name = Path.cwd(), "d" * 200
    os.chdir(data)
    try:
        for _ in range(25):
            Path(name).mkdir()
            os.chdir(name)
        Path("x.png").write_bytes(b"")
    finally:
        os.chdir(here)
    ran = run(data)
    assert ran.code == 3
    assert set(ran.reasons().values()) == {"name_too_long"} and len(ran.reasons()) == 1
    assert (ran.out / "good.png").exists()


def test_path_that_only_out_makes_too_long(run: Run, tmp_path: Path) -> None:
    data = tmp_path / "data"
    save(data / "good.png", FACE)
    deep = data
    while len(str(deep)) < 4089:
        deep /= "d" * min(200, 4089 - len(str(deep)) - 1)
    deep.mkdir(parents=True)
    save(tmp_path / "made.png", FACE).rename(deep / "x.png")
    ran = run(data)
    assert ran.code == 3, ran.shown
    assert list(ran.reasons().values()) == ["unwritable"] and (ran.out / "good.png").exists()


def test_case_colliding_names_where_the_output_ignores_case(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two names of DATA that OUT's file system takes for one: the second is left out, not written over."""
    data = tmp_path / "data"
    for name in ("a.png", "A.PNG", "b.png"):
        save(data / name, [])
    monkeypatch.setattr("pipeline.anonymize.plan.ignores_case", lambda folder: True)
    tasks = Planner(data, tmp_path / "out", Journal(tmp_path / "out"), {}, None).plan(scan(data))
    assert {task.path: task.refused.reason if task.refused else None for task in tasks} == {
        "A.PNG": None,
        "a.png": "case_collision",
        "b.png": None,
    }


def test_file_system_is_asked_whether_it_ignores_case(tmp_path: Path) -> None:
    folder = tmp_path / "name"
    folder.mkdir()
    assert not ignores_case(folder / "not-yet-there")
    (tmp_path / "NAME").symlink_to(folder)  # what a file system that ignores case looks like
    assert ignores_case(folder)
    (folder / "lock").write_text("")
    assert not ignores_case(folder), "mounted there, a file system of its own"
    (folder / "LOCK").symlink_to(folder / "lock")
    assert ignores_case(folder)


def test_ignore_is_the_users_choice(run: Run, photos: Path) -> None:
    (photos / "notes.csv").write_text("x")
    ran = run(photos, "ignore=['*.csv','sub']")
    assert ran.code == 0
    assert ran.manifest["notes.csv"]["status"] == ran.manifest["sub"]["status"] == "ignored"
    assert not (ran.out / "sub").exists()


def command(data: Path, model: Path, *more: str) -> list[str]:
    return [sys.executable, "anonymize.py", f"data={data}", f"detector.model={model}", *more]


def without_privileges() -> None:
    """Root reads and writes whatever the modes say; in the child it no longer may."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
            if libc.prctl(24, capability, 0, 0, 0):  # PR_CAPBSET_DROP
                raise OSError(ctypes.get_errno(), "cannot drop a capability")


@pytest.mark.skipif(sys.platform != "linux", reason="drops capabilities")
def test_unreadable_source_and_read_only_output(root: Path, model: Path, run: Run, tmp_path: Path) -> None:
    data = tmp_path / "data"
    save(data / "good.png", FACE)
    save(data / "secret.png", FACE).chmod(0)
    save(data / "closed" / "x.png", FACE)
    (data / "closed").chmod(0)

    def start(out: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(data, model, f"out={out}"),
            cwd=root,
            preexec_fn=without_privileges,
            capture_output=True,
            text=True,
        )

    done = start(tmp_path / "out")
    assert done.returncode == 3, done.stderr
    assert "secret.png: unreadable" in done.stdout and "closed: unreadable" in done.stdout
    (tmp_path / "fixed").mkdir(mode=0o500)
    refused = start(tmp_path / "fixed" / "out")
    assert refused.returncode == 2 and "cannot be written" in refused.stderr
    assert "Traceback" not in refused.stderr
    (data / "closed").chmod(0o700)
    (data / "secret.png").chmod(0o600)
    assert run(data, out=tmp_path / "out").code == 0, "what can be read now is done now"


@pytest.mark.skipif(sys.platform != "linux", reason="drops capabilities")
def test_what_cannot_be_read_or_swept_in_the_output_is_named(
    root: Path, model: Path, run: Run, photos: Path
) -> None:
    out = run(photos).out

    def refused() -> str:
        done = subprocess.run(
            command(photos, model), cwd=root, preexec_fn=without_privileges, capture_output=True, text=True
        )
        assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
        assert not (out / ".veil-lock").exists()
        return done.stderr

    left = out / "sub" / ".veil-0123456789abcdef.tmp"
    left.write_bytes(b"half a picture")
    (out / "sub").chmod(0o500)
    assert f"out: {str(left)!r} cannot be removed" in refused()
    (out / "sub").chmod(0o700)
    (out / "manifest.jsonl").chmod(0)
    assert f"out: {str(out / 'manifest.jsonl')!r} cannot be read" in refused()


def test_full_disk_stops_with_a_clear_error_and_the_next_run_goes_on(
    root: Path, model: Path, run: Run, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    save(data / "a.jpg", FACE, quality=50)
    noise = np.random.default_rng(0).integers(0, 99, (600, 600, 3), dtype=np.uint8)
    Image.fromarray(noise).save(data / "b.png")
    save(data / "c.jpg", FACE, quality=50)
    before = {path: path.read_bytes() for path in data.iterdir()}
    small = 200_000

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (small, small))

    done = subprocess.run(
        command(data, model), cwd=root, preexec_fn=limit, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 3, done.stderr
    assert os.strerror(errno.EFBIG) in done.stdout and "the same command goes on" in done.stdout
    assert "Traceback" not in done.stderr
    assert {path: path.read_bytes() for path in data.iterdir()} == before
    out = tmp_path / "data-anonymized"
    assert not list(out.rglob(".veil*"))
    assert not (out / "b.png").exists()
    assert run(data).code == 0
    assert (out / "b.png").exists() and (out / "c.jpg").exists()
