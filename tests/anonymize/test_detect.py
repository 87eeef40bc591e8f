from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from pipeline.anonymize.detect import (
    PADDING,
    Detections,
    SavedModelDetector,
    letterbox,
    load_detector,
    model_digest,
)
from pipeline.anonymize.detect.canvas import Letterboxed, canvas_sizes, part_side
from pipeline.boxes import Boxes
from pipeline.errors import UserError
from tests.anonymize.conftest import Run
from tests.anonymize.standin import background, paint_face


def test_boxes_come_back_in_pixels_of_the_picture(detector: SavedModelDetector) -> None:
    wide, tall = background(600, 300), background(200, 500)
    paint_face(wide, (100, 50, 200, 180))
    paint_face(wide, (400, 100, 440, 150), strength=0.4)
    paint_face(tall, (40, 300, 140, 440))
    first, second, nothing = detector.detect([wide, tall, background(64, 64)])
    np.testing.assert_allclose(first.boxes.xyxy, [[100, 50, 200, 180], [400, 100, 440, 150]], atol=5)
    np.testing.assert_allclose(second.boxes.xyxy, [[40, 300, 140, 440]], atol=5)
    assert first.scores[0] > 0.8 and 0.2 < first.scores[1] < 0.5
    assert len(nothing) == 0


def test_more_pictures_than_a_batch_holds(model: Path) -> None:
    pictures = [background(100 + 10 * i, 90) for i in range(5)]
    for i, picture in enumerate(pictures):
        paint_face(picture, (10 + i, 20, 50 + i, 70))
    found = load_detector(model, batch_size=2).detect(pictures)
    for i, detections in enumerate(found):
        np.testing.assert_allclose(detections.boxes.xyxy[:, 0], [10 + i], atol=2)


def test_letterbox_keeps_aspect_and_pads_at_the_end() -> None:
    square, inner = letterbox(np.full((50, 100, 3), 255, np.uint8), 200)
    assert inner == (100, 200)
    assert square[:100].min() == 255 and (square[100:] == PADDING).all()
    assert letterbox(np.zeros((1, 4000, 3), np.uint8), 256)[1] == (1, 256)


@pytest.mark.parametrize(
    ("picture", "inner", "canvas"),
    [
        ((600, 800), (576, 768), (640, 768)),
        ((800, 600), (768, 576), (768, 640)),
        ((200, 300), (512, 768), (512, 768)),
        ((1080, 1920), (432, 768), (512, 768)),
        ((9, 4000), (2, 768), (512, 768)),
        ((534, 800), (512, 767), (512, 768)),
        ((700, 768), (700, 768), (768, 768)),
        ((786, 800), (755, 768), (768, 768)),
        ((648, 768), (640, 759), (640, 768)),
        ((656, 768), (656, 768), (768, 768)),
        ((50, 50), (768, 768), (768, 768)),
    ],
)
def test_an_oblong_canvas_is_as_short_as_may_be(
    picture: tuple[int, int], inner: tuple[int, int], canvas: tuple[int, int]
) -> None:
    found, taken = letterbox(np.full((*picture, 3), 255, np.uint8), 768, oblong=True)
    assert (taken, found.shape[:2]) == (inner, canvas) and canvas in canvas_sizes(768, oblong=True)
    assert found[: taken[0], : taken[1]].min() == 255
    assert (found[taken[0] :] == PADDING).all() and (found[:, taken[1] :] == PADDING).all()


@pytest.mark.parametrize("size", [(3000, 4000), (3001, 4001), (1537, 2305), (7007, 9003)])
def test_a_large_picture_is_shown_as_means_of_its_pixels_less_than_a_pixel_off(size: tuple[int, int]) -> None:
    height, width = size
    picture = np.random.default_rng(0).integers(0, 200, (*size, 1), dtype=np.uint8).repeat(3, axis=2)
    top, left = height - 400, width - 500
    picture[top : top + 300, left : left + 400] = 255
    found, (rows, columns) = letterbox(picture, 768, oblong=True)
    dark = found[: rows // 2, : columns // 2]
    assert abs(dark.mean() - 99.5) < 1, "means, and no pixels picked out"
    assert dark.std() < 1.2 * 58 / np.sqrt(height / rows * width / columns)
    bright = np.argwhere(found[:rows, :columns, 0] > 178)  # half of the pixel is the square's
    shown = np.array([top, left, top + 300, left + 400]) * np.tile([rows / height, columns / width], 2)
    np.testing.assert_allclose([*bright.min(axis=0), *bright.max(axis=0) + 1], shown, atol=1)


def test_the_sizes_of_canvases() -> None:
    assert canvas_sizes(768, oblong=False) == [(768, 768)]
    whole = [(768, 768), (512, 768), (640, 768), (768, 512), (768, 640)]
    assert canvas_sizes(768, oblong=True) == [*whole, (384, 384)]
    assert canvas_sizes(128, oblong=True) == [(128, 128)]
    sides = {side: part_side(side, oblong=True) for side in (128, 256, 384, 512, 640, 896, 1280)}
    assert sides == {128: None, 256: 128, 384: 128, 512: 256, 640: 256, 896: 384, 1280: 512}
    assert part_side(896, oblong=False) is None


def test_detections_are_sorted_and_checked() -> None:
    found = Detections(Boxes(np.array([[0, 0, 1, 1], [0, 0, 2, 2]])), np.array([0.2, 0.7]))
    assert found.scores.tolist() == [0.7, 0.2] and found.boxes.xyxy[0, 2] == 2
    assert len(found.at_least(0.5)) == 1
    with pytest.raises(ValueError, match="expected 2 scores, got 1"):
        Detections(found.boxes, np.array([0.1]))


def test_digest_follows_weights_and_not_the_card(model: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(model, copy)
    before = model_digest(copy)
    (copy / "README.md").write_text("a card")
    assert model_digest(copy) == before == model_digest(model)
    with (copy / "variables" / "variables.index").open("ab") as file:
        file.write(b"x")
    assert model_digest(copy) != before


def broken_model(model: Path, folder: Path, how: str) -> Path:
    """A folder that looks like a detector and is none."""
    import tensorflow as tf

    if how == "empty":
        folder.mkdir()
    elif how == "truncated":
        shutil.copytree(model, folder)
        graph = (model / "saved_model.pb").read_bytes()
        (folder / "saved_model.pb").write_bytes(graph[: len(graph) // 2])
    elif how == "no weights":
        shutil.copytree(model, folder)
        (folder / "variables" / "variables.index").unlink()
    else:
        spec = tf.TensorSpec([None, None, None, 3] if how == "no fixed side" else [1, 8, 8, 3], tf.uint8)
        work = tf.function(lambda images: {"detection_boxes": images}, input_signature=[spec])
        signature = "serving_default" if how == "no signature" else "batched"
        tf.saved_model.save(tf.Module(), str(folder), signatures={signature: work})
    return folder


BROKEN = {
    "empty": "no saved_model.pb",
    "truncated": "cannot be loaded",
    "no weights": "cannot be loaded",
    "no signature": "needed: 'batched'",
    "no fixed side": "takes or gives something else",
    "other outputs": "takes or gives something else",
}


@pytest.mark.parametrize("how", BROKEN)
def test_what_cannot_be_loaded_is_named(model: Path, tmp_path: Path, how: str) -> None:
    folder = broken_model(model, tmp_path / "model", how)
    with pytest.raises(UserError, match=BROKEN[how]) as caught:
        load_detector(folder)
    assert str(caught.value).startswith("detector.model: ")


@pytest.mark.parametrize("how", ["truncated", "no signature"])
def test_a_model_that_cannot_be_loaded_leaves_nothing_behind(
    run: Run, photos: Path, model: Path, tmp_path: Path, how: str
) -> None:
    broken = broken_model(model, tmp_path / "model", how)
    ran = run(photos, f"detector.model={broken}")
    assert ran.code == 2 and not ran.out.exists()
    assert "error: detector.model" in ran.shown and "Traceback" not in ran.shown
    good = run(photos)
    before = {path: path.stat().st_mtime_ns for path in good.out.rglob("*")}
    assert run(photos, f"detector.model={broken}").code == 2
    assert {path: path.stat().st_mtime_ns for path in good.out.rglob("*")} == before


def test_scores_that_are_no_numbers_are_no_missing_faces() -> None:
    with pytest.raises(ValueError, match="no number"):
        Detections(Boxes(np.array([[0, 0, 1, 1]])), np.array([np.nan]))
    place = Letterboxed((9, 9), (256, 256), (256, 256), floor=0.05)
    with pytest.raises(ValueError, match="no number"):
        place.detections(np.array([[0, 0, 1, 1]]), np.array([np.nan]))


def test_wrong_picture_is_refused(detector: SavedModelDetector) -> None:
    with pytest.raises(ValueError, match="expected uint8"):
        detector.detect([np.zeros((4, 4), np.uint8)])
