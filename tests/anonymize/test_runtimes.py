"""OpenVINO beside TensorFlow, on a tiny network with the signatures of a released one."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from pipeline.anonymize.detect import (
    Detections,
    Detector,
    OpenVinoDetector,
    SavedModelDetector,
    cache,
    convert,
    engine,
    expected_runtime,
    load_detector,
    model_digest,
    serving,
)
from pipeline.anonymize.detect.canvas import canvas_sizes
from pipeline.anonymize.detect.check import Raw, Reference, Tolerance, difference, reference_file
from pipeline.anonymize.detect.graph import SavedModelFile
from pipeline.anonymize.detect.suppress import Suppression
from pipeline.config.schema.anonymization import SCORE_FLOOR
from pipeline.errors import UserError
from pipeline.evaluation.predict import load_any
from tests.anonymize.conftest import Run
from tests.anonymize.tiny import FLOOR, IOU, MOST, SIDE, build_tiny

FLOAT32, BFLOAT16 = "openvino", "openvino_bf16"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture
def tiny(built: Path, tmp_path: Path) -> Path:
    """A copy of its own: nothing is converted beside it yet."""
    return Path(shutil.copytree(built, tmp_path / "models" / "tiny"))


@pytest.fixture(scope="module")
def served(built: Path) -> OpenVinoDetector:
    """The tiny model in float32."""
    detector = load_detector(built, runtime=FLOAT32)
    assert isinstance(detector, OpenVinoDetector)
    return detector


@pytest.fixture(scope="module")
def by_tensorflow(built: Path) -> SavedModelDetector:
    detector = load_detector(built, runtime="tensorflow")
    assert isinstance(detector, SavedModelDetector)
    return detector


def pictures(count: int = 6) -> list[np.ndarray]:
    """Of several sizes and aspects, so that canvases of every size are needed."""
    random = np.random.default_rng(1)
    sizes = [(SIDE, SIDE), (200, 90), (50, 170), (33, 31), (60, 300), (128, 128)]
    return [random.integers(0, 256, (*sizes[i % len(sizes)], 3), dtype=np.uint8) for i in range(count)]


def assert_same(found: list[Detections], wanted: list[Detections], atol: float) -> None:
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one.scores, other.scores, atol=atol)
        np.testing.assert_allclose(one.boxes.xyxy, other.boxes.xyxy, atol=300 * atol)


def test_float32_gives_what_tensorflow_gives(served: Detector, by_tensorflow: Detector) -> None:
    found = served.detect(pictures())
    assert sum(map(len, found)) > 60
    assert_same(found, by_tensorflow.detect(pictures()), atol=1e-5)
    assert served.digest == by_tensorflow.digest and served.detect([]) == []


def test_no_more_is_computed_than_the_picture_needs(
    served: OpenVinoDetector, by_tensorflow: SavedModelDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same sizes by either runtime, or they would not find the same."""
    shown: list[tuple[int, ...]] = []
    outputs = by_tensorflow.outputs
    monkeypatch.setattr(
        SavedModelDetector,
        "outputs",
        lambda _, canvases: (shown.extend(each.shape[:2] for each in canvases), outputs(canvases))[1],
    )
    by_tensorflow.detect(pictures())
    wanted = [(SIDE, SIDE), (SIDE, 384), (384, SIDE), (SIDE, SIDE), (384, SIDE), (SIDE, SIDE)]
    assert shown == wanted
    by_tensorflow.detect_parts(pictures(2))
    part = (served.part_size, served.part_size)
    assert shown[len(wanted) :] == [part, part] and part < (SIDE, SIDE)
    served.detect(pictures())
    served.detect_parts(pictures())
    assert set(served._compiled) == {*wanted, part} == set(canvas_sizes(SIDE, oblong=True))


def test_parts_are_seen_alike(served: OpenVinoDetector, by_tensorflow: SavedModelDetector) -> None:
    found = served.detect_parts(pictures())
    assert sum(map(len, found)) > 60
    assert_same(found, by_tensorflow.detect_parts(pictures()), atol=1e-5)
    assert by_tensorflow.detect_parts([]) == []


def test_a_network_of_squares_is_shown_squares(tmp_path: Path) -> None:
    model = build_tiny(tmp_path / "model", oblong=False)
    fast, reference = load_detector(model, runtime=FLOAT32), load_detector(model, runtime="tensorflow")
    assert isinstance(fast, OpenVinoDetector)
    assert_same(fast.detect(pictures()), reference.detect(pictures()), atol=1e-5)
    assert set(fast._compiled) == {(SIDE, SIDE)}
    for detector in (fast, reference):
        assert detector.part_size is None  # type: ignore[attr-defined]
        with pytest.raises(ValueError, match="no smaller canvases"):
            detector.detect_parts(pictures())  # type: ignore[attr-defined]


def test_calibrated_scores_are_given_and_raw_ones_decide(tmp_path: Path) -> None:
    model = build_tiny(tmp_path / "model", calibrated=True)
    fast, reference = load_detector(model, runtime=FLOAT32), load_detector(model, runtime="tensorflow")
    assert_same(fast.detect(pictures()), reference.detect(pictures()), atol=1e-5)
    parts = [each.detect_parts(pictures()) for each in (fast, reference)]  # type: ignore[attr-defined]
    assert_same(*parts, atol=1e-5)


def test_boxes_vote_alike(tmp_path: Path, served: OpenVinoDetector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.export.VOTE_IOU", 0.3)  # the tiny model's boxes lie far apart
    model = build_tiny(tmp_path / "model", calibrated=True, voting=True)
    fast = load_detector(model, runtime=FLOAT32, floor=0.3)
    assert isinstance(fast, OpenVinoDetector) and fast.suppression.vote_iou == pytest.approx(0.3)
    found = fast.detect(pictures())
    assert_same(found, load_detector(model, runtime="tensorflow", floor=0.3).detect(pictures()), atol=1e-5)
    where_they_were = served.detect(pictures())
    moved = [
        np.abs(one.boxes.xyxy - other.boxes.xyxy[: len(one)]).max(initial=0)
        for one, other in zip(found, where_they_were, strict=True)
    ]
    assert max(moved) > 1


def test_bfloat16_is_near(tiny: Path, served: OpenVinoDetector) -> None:
    fast = load_detector(tiny, runtime=BFLOAT16)
    native = engine.OpenVino().runtimes[0]
    assert isinstance(fast, OpenVinoDetector) and fast.runtime == native
    square = pictures(1)[0]
    near, exact = fast.raw(square).scores, served.raw(square).scores
    np.testing.assert_allclose(near, exact, atol=0.02)
    assert (near != exact).any() == (native == BFLOAT16)


def test_a_processor_without_bfloat16_computes_in_float32(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine.OpenVino, "runtimes", [FLOAT32])
    for runtime in (BFLOAT16, "auto"):
        assert expected_runtime(tiny, model_digest(tiny), runtime) == FLOAT32
        assert serving(load_detector(tiny, runtime=runtime), "") == FLOAT32


def test_threads_do_not_mix_pictures_up(served: Detector) -> None:
    alone = [served.detect([picture])[0] for picture in pictures()]
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: served.detect(pictures()), range(24)):
            assert_same(found, alone, atol=0)


FIRST_CALLS = """
import sys, threading
import openvino
from pipeline.anonymize.detect.engine import OpenVino
OpenVino()
sys.setswitchinterval(1e-7)
go = False
def first():
    while not go:
        pass
    openvino.Type.u8.to_dtype()  # as the first start_async of a thread does
threads = [threading.Thread(target=first, daemon=True) for _ in range(4)]
for thread in threads:
    thread.start()
go = True
for thread in threads:
    thread.join()
"""


def test_threads_that_come_first_do_not_wait_for_each_other(root: Path) -> None:
    """Without what OpenVino() does about it, this never ends."""
    subprocess.run([sys.executable, "-c", FIRST_CALLS], cwd=root, check=True, timeout=60)


def test_a_failure_does_not_use_up_requests(
    served: OpenVinoDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = served.detect(pictures())
    with monkeypatch.context() as patch, pytest.raises(ValueError, match="no number"):
        patch.setattr(served, "suppression", Broken(0.5, 0.0, 9))
        served.detect(pictures())
    with pytest.raises(ValueError, match="expected uint8"):
        served.detect([np.zeros((4, 4), np.uint8)])
    assert_same(served.detect(pictures()), before, atol=0)


class Broken(Suppression):
    def keep(self, boxes: np.ndarray, scores: np.ndarray) -> np.ndarray:
        return super().keep(boxes, scores * np.nan)


def test_the_file_says_how_it_suppresses(built: Path, model: Path) -> None:
    file = SavedModelFile.read(built)
    suppression = file.suppression()
    assert suppression is not None and suppression.most == MOST
    assert (suppression.iou, suppression.floor) == pytest.approx((IOU, FLOOR))
    assert suppression.vote_iou == 1, "its graph lets no box vote"
    assert set(file.signatures) == {"raw", "batched", "serving_default"}
    assert (file.input_shape("raw"), file.input_shape("batched")) == ([-1, -1, -1, 3], [-1, SIDE, SIDE, 3])
    assert SavedModelFile.read(model).suppression() is None


def test_a_conversion_is_kept_beside_the_model_and_used_again(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, digest = sorted(tiny.rglob("*")), model_digest(tiny)
    first = load_detector(tiny, runtime=FLOAT32).detect(pictures())
    assert sorted(tiny.rglob("*")) == files and model_digest(tiny) == digest
    (kept,) = (tiny.parent / cache.FOLDER).iterdir()
    assert kept.name.startswith(digest[:16])
    monkeypatch.setattr(convert, "_convert", None)
    monkeypatch.setattr(engine, "reference", None)
    assert_same(load_detector(tiny, runtime=FLOAT32).detect(pictures()), first, atol=0)


@pytest.mark.parametrize("left", [b"", b"no network"])
def test_a_damaged_compilation_is_made_again_and_checked_again(tiny: Path, left: bytes) -> None:
    first = load_detector(tiny, runtime=FLOAT32).detect(pictures())
    (kept,) = (tiny.parent / cache.FOLDER).iterdir()
    (compiled,) = kept.glob(f"compiled-*-{SIDE}x384.blob")
    (verdict,) = kept.glob(f"checked-*-{SIDE}x384.json")
    size, before = compiled.stat().st_size, verdict.stat().st_mtime_ns
    compiled.write_bytes(left)
    assert_same(load_detector(tiny, runtime=FLOAT32).detect(pictures()), first, atol=0)
    assert compiled.stat().st_size == size and verdict.stat().st_mtime_ns > before
    assert not [each for each in kept.iterdir() if each.name.startswith((".", "tmp"))]


def test_a_folder_that_cannot_be_written_to_does_not_matter(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tiny.parent / cache.FOLDER).write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tiny.parent / "home"))
    assert isinstance(load_detector(tiny, runtime=FLOAT32), OpenVinoDetector)
    assert cache.find(tiny, convert.kept_name(model_digest(tiny))) is not None


def test_processes_may_convert_at_once(tmp_path: Path) -> None:
    def make(folder: Path) -> None:
        (folder / "part").write_text("x")
        (folder / cache.DONE).write_text("{}")

    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: cache.kept_or_made(tmp_path / "model", "name", make), range(16)))
    assert set(folders) == {tmp_path / cache.FOLDER / "name"}
    assert [each.name for each in (tmp_path / cache.FOLDER).iterdir()] == ["name"]
    assert sorted(each.name for each in folders[0].iterdir()) == sorted(["part", cache.DONE])


def test_what_cannot_be_kept_serves_all_the_same_and_is_checked_each_time(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder was made on another machine, and cannot be written to here."""
    convert.convert(tiny, model_digest(tiny))
    monkeypatch.setattr(cache, "write", lambda path, content: None)
    assert load_detector(tiny, runtime=FLOAT32).detect(pictures())
    (kept,) = (tiny.parent / cache.FOLDER).iterdir()
    assert not list(kept.glob("checked-*"))
    lying(tiny)
    with pytest.raises(UserError, match="not as good"):
        load_detector(tiny, runtime=FLOAT32)


def test_what_must_be_compiled_again_is_found_when_loading(tiny: Path) -> None:
    load_detector(tiny, runtime=FLOAT32)
    (kept,) = (tiny.parent / cache.FOLDER).iterdir()
    for compiled in kept.glob("compiled-*"):
        compiled.unlink()
    (kept / "model.xml").write_text("damaged")
    with pytest.raises(UserError, match="cannot run the model"):
        load_detector(tiny, runtime=FLOAT32)


def lying(folder: Path) -> None:
    """The reference says that an anchor scores otherwise."""
    size = canvas_sizes(SIDE, oblong=True)[-1]  # only on one of the canvases
    reference = Reference.read(folder / reference_file(size), model_digest(folder), size)
    assert reference is not None
    reference.anchor_ranks[5] += 0.1
    reference.write(folder / reference_file(size))


def without_raw(folder: Path) -> None:
    shutil.rmtree(folder)
    build_tiny(folder, signatures=("batched",))


WRONG: dict[str, tuple[Callable[[Path], None], str]] = {
    "gives something else": (lying, "not as good as TensorFlow here: scores of anchors differ by 0.1"),
    "cannot be converted": (without_raw, "has no signature 'raw'"),
}


@pytest.mark.parametrize("how", WRONG)
def test_what_is_not_as_good_does_not_serve(tiny: Path, how: str, caplog: pytest.LogCaptureFixture) -> None:
    break_it, message = WRONG[how]
    break_it(tiny)
    for _ in range(2):  # and it is remembered
        with pytest.raises(UserError, match=message):
            load_detector(tiny, runtime=FLOAT32)
        caplog.clear()
        assert isinstance(load_detector(tiny, runtime="auto"), SavedModelDetector)
        assert message in caplog.text and caplog.records[0].levelno == logging.WARNING
        assert expected_runtime(tiny, model_digest(tiny), "auto") == "tensorflow"


@pytest.mark.parametrize(("right", "says"), [(0.49, ""), (0.36, "a detection of score 0.30 is not among")])
def test_of_two_near_boxes_either_may_stay(right: float, says: str) -> None:
    """They overlap by .49 or .36 with the one that TensorFlow keeps; suppression has its limit at .5, and the
    vote moves boxes after it."""
    kept, sure = np.array([[0.0, 0.0, 1.0, 1.0]], np.float32), np.array([0.3], np.float32)
    wanted = Reference("m", "c", kept, sure, np.array([0]), kept, sure)
    ours = np.array([[0.0, 0.0, 1.0, right]], np.float32)
    found = difference(Raw(kept, sure, sure), ours, sure, wanted, Tolerance(0.01, 0.9))
    assert found.startswith(says) and bool(found) == bool(says)


def test_without_openvino_tensorflow_serves_and_it_is_said(
    tiny: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert isinstance(load_detector(tiny, runtime="auto"), SavedModelDetector)
    assert "OpenVINO is not there" in caplog.text
    with pytest.raises(UserError, match="runtime: openvino: OpenVINO is not there"):
        load_detector(tiny, runtime=FLOAT32)


def test_a_model_without_a_reference_is_compared_all_the_same(tiny: Path) -> None:
    """By TensorFlow, in a process of its own."""
    files = {reference_file(size) for size in canvas_sizes(SIDE, oblong=True)}
    for file in files:
        (tiny / file).unlink()
    assert isinstance(load_detector(tiny, runtime=FLOAT32), OpenVinoDetector)
    (kept,) = (tiny.parent / cache.FOLDER).iterdir()
    assert files <= {path.name for path in kept.iterdir()} and not list(tiny.glob("*.npz"))
    verdicts = [json.loads(path.read_text()) for path in kept.glob("checked-*.json")]
    assert verdicts == [{"differs": ""}] * len(files)


def test_evaluation_takes_the_same_runtimes(built: Path) -> None:
    fast, reference = load_any(built, runtime=FLOAT32), load_any(built)
    assert isinstance(fast, OpenVinoDetector) and isinstance(reference, SavedModelDetector)
    assert fast.floor == reference.floor < SCORE_FLOOR


SPARING = ("verify.enabled=false", "redact=none")  # the tiny network finds much


def test_the_manifest_says_what_computed(run: Run, photos: Path, tiny: Path) -> None:
    given = (f"detector.model={tiny}", *SPARING)
    ran = run(photos, *given, "runtime=openvino")
    assert {each["settings"]["detector"]["runtime"] for each in ran.manifest.values()} == {FLOAT32}
    assert ran.report["runtime"] == FLOAT32 and "OpenVINO in float32" in ran.shown
    again = run(photos, *given, "runtime=openvino")
    assert "0 done now" in again.shown
    other = run(photos, *given, "runtime=tensorflow")
    assert "4 done again: detector.runtime changed" in other.shown
    assert {each["settings"]["detector"]["runtime"] for each in other.manifest.values()} == {"tensorflow"}


def test_auto_is_recorded_as_what_served(run: Run, photos: Path, tiny: Path) -> None:
    lying(tiny)
    for expected in ("4 done now", "0 done now"):
        ran = run(photos, f"detector.model={tiny}", *SPARING)
        assert {each["settings"]["detector"]["runtime"] for each in ran.manifest.values()} == {"tensorflow"}
        assert expected in ran.shown


SCRIPT = """
import sys, anonymize
code = anonymize.main(sys.argv[1:])
heavy = ("tensorflow", "tf_keras", "official", "mlflow", "albumentations", "matplotlib", "scipy", "skimage")
print("imported:", [name for name in heavy if name in sys.modules])
sys.exit(code)
"""


def test_neither_tensorflow_nor_training_code_is_imported(tiny: Path, photos: Path, root: Path) -> None:
    arguments = [f"data={photos}", f"detector.model={tiny}", "runtime=openvino", *SPARING]
    command = [sys.executable, "-c", SCRIPT, *arguments]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "imported: []" in done.stdout and "4 done now" in done.stdout


def test_openvino_reports_nothing_over_the_network(tmp_path: Path) -> None:
    program = "from pipeline.anonymize.detect.engine import OpenVino; OpenVino()"
    env = {**os.environ, "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", program], env=env, cwd=Path(__file__).parents[2], check=True)
    assert not list(tmp_path.iterdir()), "it keeps a count there of what it has reported"
