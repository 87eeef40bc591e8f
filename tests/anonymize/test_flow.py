"""Batches that overlap: order, bounds, what a stop leaves, and the same output whatever the timing."""

from __future__ import annotations

import hashlib
import json
import random
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pipeline.anonymize import Detections, anonymize_folder, flow, stages
from pipeline.anonymize.entry import Entry
from pipeline.anonymize.flow import Batch, Room, batches, in_order, opened_bytes
from pipeline.anonymize.plan import Action, Task
from pipeline.config.schema import AnonymizeConfig, Method, RedactConfig
from tests.anonymize.quick import QuickDetector
from tests.anonymize.standin import save


def task(path: Path) -> Task:
    return Task(path.name, path, path.with_suffix(".out"), Action.make)


def batch(number: int, held: int = 1, alone: bool = False) -> Batch:
    return Batch([task(Path(f"{number:03}.png"))], held, alone)


class Counted:
    """Work that takes a while, and knows how much of it goes on at once."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.now: list[Batch] = []
        self.most = self.most_held = 0
        self.begun: list[str] = []
        self.with_alone = 0

    def begin(self, each: Batch) -> None:
        self.begun.append(each.tasks[0].path)

    def __call__(self, each: Batch) -> str:
        with self.lock:
            self.now.append(each)
            self.most = max(self.most, len(self.now))
            self.most_held = max(self.most_held, sum(other.held for other in self.now))
            if any(other.alone for other in self.now):
                self.with_alone = max(self.with_alone, len(self.now))
        time.sleep(random.Random(each.tasks[0].path).uniform(0, 0.01))
        with self.lock:
            self.now.remove(each)
        return each.tasks[0].path


def test_order_is_kept_and_threads_are_bounded() -> None:
    work = Counted()
    waiting = [batch(number) for number in range(60)]
    done = list(in_order(waiting, work, work.begin, 3, threading.Event()))
    assert done == work.begun == [each.tasks[0].path for each in waiting]
    assert work.most == 3


def test_memory_is_bounded_and_a_large_batch_comes_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "OPENED_BYTES", 10)
    work = Counted()
    sizes = [1, 4, 4, 4, 30, 1, 1, 9, 9, 2, 2, 2, 2, 2, 2]
    done = list(
        in_order(map(batch, range(15), sizes), work, work.begin, 4, threading.Event()),
    )
    assert len(done) == 15 and work.most_held == 30 and work.most > 1
    work = Counted()
    list(in_order(map(batch, range(15), [4] * 15), work, work.begin, 4, threading.Event()))
    assert work.most_held == 8


def test_a_file_that_comes_alone_is_alone() -> None:
    work = Counted()
    waiting = [batch(number, alone=number in (5, 6, 20)) for number in range(30)]
    assert len(list(in_order(waiting, work, work.begin, 4, threading.Event()))) == 30
    assert work.with_alone == 1 and work.most == 4


def test_leaving_early_waits_for_the_threads_and_begins_nothing_more() -> None:
    work, stopped = Counted(), threading.Event()
    done = in_order(map(batch, range(50)), work, work.begin, 3, stopped)
    assert next(done) == "000.png"
    begun = len(work.begun)
    done.close()
    assert stopped.is_set() and work.now == [] and len(work.begun) == begun < 50
    assert not [each for each in threading.enumerate() if each.name.startswith("veil")]


def test_what_a_batch_holds(tmp_path: Path) -> None:
    paths = [save(tmp_path / f"{number}.png", []) for number in range(6)]
    tasks = [task(path) for path in paths]
    starts = {"3.png": 1, "4.png": 2}
    made = list(batches(tasks, lambda path: starts.get(path, 0), None, probe_after=2))
    assert [[each.path for each in one.tasks] for one in made] == [
        ["0.png", "1.png", "2.png"],
        ["3.png"],
        ["4.png"],
        ["5.png"],
    ]
    assert [(one.alone, set(one.suspects)) for one in made] == [
        (False, set()),
        (True, set()),
        (True, {"4.png"}),
        (False, set()),
    ]
    assert [len(one.tasks) for one in batches(tasks, lambda _: 0, None, 2)] == [4, 2]


def test_large_pictures_are_held_apart_and_a_scaled_one_is_small(tmp_path: Path) -> None:
    for number in range(3):
        Image.new("RGB", (4000, 2000)).save(tmp_path / f"{number}.png")
        Image.new("RGB", (4000, 2000)).save(tmp_path / f"{number}.jpg")
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xff" + bytes(1000))
    flat, photograph = tmp_path / "0.png", tmp_path / "0.jpg"
    assert opened_bytes(flat, 768) == opened_bytes(flat, None) > 4000 * 2000 * 3
    assert opened_bytes(photograph, None) > 4000 * 2000 * 3 > 9 * opened_bytes(photograph, 768)
    assert opened_bytes(tmp_path / "bad.jpg", 768) > 1000 and opened_bytes(tmp_path / "gone.jpg", 768) == 0

    for name in ("0.webp", "0.avif"):  # libraries in C read these whole, and might crash
        Image.new("RGB", (4000, 2000)).save(tmp_path / name)
        assert opened_bytes(tmp_path / name, 768) == 24 * (tmp_path / name).stat().st_size

    def sizes(suffix: str, at_least: int | None) -> list[int]:
        tasks = [task(tmp_path / f"{number}{suffix}") for number in range(3)]
        return [len(each.tasks) for each in batches(tasks, lambda _: 0, at_least, 2)]

    assert sizes(".png", 768) == [1, 1, 1] and sizes(".jpg", 768) == [3] and sizes(".jpg", None) == [1, 1, 1]


def test_room_is_never_overdrawn() -> None:
    room, lock, held, most = Room(10), threading.Lock(), [0], [0]

    def take(wanted: int) -> None:
        with room.take(wanted):
            with lock:
                held[0] += wanted
                most[0] = max(most[0], held[0])
                assert held[0] <= 10 or held[0] == wanted
            time.sleep(0.002)
            with lock:
                held[0] -= wanted

    takers = [threading.Thread(target=take, args=(wanted,)) for wanted in [4, 4, 4, 25, 1, 9, 3, 10] * 4]
    for each in takers:
        each.start()
    for each in takers:
        each.join(20)
    assert held == [0] and most[0] == 25


class Shy(QuickDetector):
    """Breaks when two threads come at once; takes its time."""

    def __init__(self, delay: float = 0.0, wanted_side: int | None = None) -> None:
        self.delay, self.wanted_side, self.busy = delay, wanted_side, threading.Lock()
        self.shown: list[list[str]] = []

    def detect(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        assert self.busy.acquire(blocking=False), "two threads at once"
        try:
            time.sleep(random.uniform(0, self.delay))
            self.shown.append([hashlib.sha256(each.tobytes()).hexdigest() for each in pictures])
            return super().detect(pictures)
        finally:
            self.busy.release()


def mixed(folder: Path, count: int) -> Path:
    """Pictures with one face, two, or none, in two formats, and some files that are refused."""
    for i in range(count):
        faces = [(10 + i, 20, 90 + i, 130), (150, 60, 230, 170)][: i % 3]
        save(folder / f"{i % 2}" / f"{i:03}.{'png' if i % 4 else 'jpg'}", faces)
    (folder / "bad.jpg").write_bytes(b"\xff\xd8\xff nothing")
    (folder / "zz.txt").write_text("no label")
    (folder / "0/empty.png").write_bytes(b"")
    return folder


def written(out: Path) -> dict[str, Any]:
    """Everything in OUT, without what is a time."""
    files: dict[str, Any] = {
        path.relative_to(out).as_posix(): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name not in ("report.json", "report.html")
    }
    lines = [json.loads(line) for line in files.pop("manifest.jsonl").splitlines()]
    for line in lines:
        line.pop("time")
        for name in ("source", "output"):
            for stamp in ("mtime_ns", "ctime_ns"):
                (line.get(name) or {}).pop(stamp, None)
    return files | {"manifest.jsonl": [list(line.items()) for line in lines]}


def test_one_thread_or_many_write_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = mixed(tmp_path / "data", 18)
    told: dict[int, list[str]] = {}
    shown: dict[int, set[tuple[str, ...]]] = {}
    decode, encode = stages.decode, stages.encode

    def slowly(real: Any) -> Any:
        def call(*arguments: Any) -> Any:
            time.sleep(random.uniform(0, 0.02))
            return real(*arguments)

        return call

    class Listening:
        def __init__(self, workers: int) -> None:
            self.paths = told.setdefault(workers, [])

        def start(self, files: int) -> None: ...

        def advance(self, path: str, entry: Entry) -> None:
            self.paths.append(path)

    for workers in (1, 6):
        if workers > 1:
            monkeypatch.setattr(stages, "decode", slowly(decode))
            monkeypatch.setattr(stages, "encode", slowly(encode))
        detector = Shy(0.01 * (workers > 1))
        config = AnonymizeConfig(workers=workers)
        summary = anonymize_folder(
            data, tmp_path / str(workers), detector=detector, config=config, watch=Listening(workers)
        )
        assert summary.exit_code == 3
        shown[workers] = {tuple(together) for together in detector.shown}
    assert written(tmp_path / "1") == written(tmp_path / "6")
    assert told[1] == told[6] and len(told[1]) == 20
    assert shown[1] == shown[6], "the detector saw other pictures together"


def test_a_fault_in_a_thread_lets_nothing_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = mixed(tmp_path / "data", 8)
    paint = stages.paint

    def failing(picture: Any, *rest: Any) -> Any:
        if picture.path.name == "004.jpg":
            raise RuntimeError("no such luck")
        return paint(picture, *rest)

    monkeypatch.setattr(stages, "paint", failing)
    summary = anonymize_folder(data, tmp_path / "out", detector=QuickDetector())
    assert summary.exit_code == 1 and len(summary.pictures) == 7
    reasons = {entry.path: entry.reason for entry in summary.left_out}
    assert reasons["0/004.jpg"] == "internal_error" and not (tmp_path / "out/0/004.jpg").exists()


def test_nothing_is_written_after_an_interrupted_run_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = mixed(tmp_path / "data", 24)
    out = tmp_path / "out"

    class Impatient:
        def start(self, files: int) -> None: ...

        def advance(self, path: str, entry: Entry) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as held:  # whose traceback keeps the run's frames alive
        anonymize_folder(data, out, detector=Shy(0.02), config=AnonymizeConfig(workers=3), watch=Impatient())
    left = sorted(path.name for path in out.rglob("*") if path.is_file())
    time.sleep(0.3)
    assert sorted(path.name for path in out.rglob("*") if path.is_file()) == left
    assert ".veil-lock" not in left and not [name for name in left if name.endswith(".tmp")]
    assert len(left) < 20 and held.value is not None
    summary = anonymize_folder(data, out, detector=QuickDetector())
    assert len(summary.pictures) == 24
    whole = anonymize_folder(data, tmp_path / "whole", detector=QuickDetector())
    assert written(out) == written(whole.out)


@pytest.mark.parametrize("side", [None, 100])
def test_what_the_detector_asks_for_is_what_it_is_shown(tmp_path: Path, side: int | None) -> None:
    """A JPEG is shown at half its size, and what is redacted lies where the face is."""
    save(tmp_path / "data/face.jpg", [(41, 20, 121, 130)], quality=95, subsampling=0)
    config = AnonymizeConfig(redact=RedactConfig(method=Method.solid, margin=0.0))
    summary = anonymize_folder(tmp_path / "data", tmp_path / "out", detector=Shy(0, side), config=config)
    (entry,) = summary.pictures
    (face,) = entry.faces
    np.testing.assert_allclose(face.box, [41, 20, 121, 130], atol=2 if side is None else 4)
    black = np.asarray(Image.open(tmp_path / "out/face.jpg")).max(axis=2) < 30
    rows, columns = np.flatnonzero(black.any(axis=1)), np.flatnonzero(black.any(axis=0))
    assert abs(columns[0] - 41) <= 3 and abs(columns[-1] - 120) <= 3 and abs(rows[0] - 20) <= 3
    assert entry.picture["width"] == 260


def test_a_picture_without_a_face_is_never_decoded_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.anonymize.images import jpeg

    scales: list[int] = []
    decode = jpeg.decode

    def noted(data: bytes, components: int, scale: int = 1) -> Any:
        scales.append(scale)
        return decode(data, components, scale)

    monkeypatch.setattr(jpeg, "decode", noted)
    save(tmp_path / "data/none.jpg", [])
    save(tmp_path / "data/damaged.jpg", [])
    data = (tmp_path / "data/damaged.jpg").read_bytes()
    (tmp_path / "data/damaged.jpg").write_bytes(data[: len(data) // 2] + b"\xff\xd9")
    summary = anonymize_folder(tmp_path / "data", tmp_path / "out", detector=Shy(0, 60))
    assert scales == [4, 4]
    assert [(entry.path, entry.reason) for entry in summary.left_out] == [("damaged.jpg", "corrupt")]
    assert [entry.path for entry in summary.pictures] == ["none.jpg"]


def test_a_concurrent_detector_is_not_made_to_wait(tmp_path: Path) -> None:
    class Open(QuickDetector):
        concurrent = True

        def __init__(self) -> None:
            self.meeting = threading.Barrier(2, timeout=20)

        def detect(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
            self.meeting.wait()  # breaks unless two threads are here at once
            return super().detect(pictures)

    data = tmp_path / "data"
    for number in range(8):
        save(data / f"{number}.png", [])
    summary = anonymize_folder(data, tmp_path / "out", detector=Open(), config=AnonymizeConfig(workers=2))
    assert summary.exit_code == 0 and len(summary.pictures) == 8
