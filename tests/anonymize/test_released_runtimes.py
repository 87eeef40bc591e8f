"""The released detector on OpenVINO and on TensorFlow, on pictures in the public domain."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from pipeline.anonymize.detect import (
    Detections,
    OpenVinoDetector,
    Picture,
    SavedModelDetector,
    letterbox,
    load_detector,
)
from pipeline.anonymize.detect.engine import OpenVino
from pipeline.data.sample import generate

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def released(root: Path) -> Path:
    return root / "models" / "efficientdet_d2"


@pytest.fixture(scope="module")
def reference(released: Path) -> SavedModelDetector:
    detector = load_detector(released, runtime="tensorflow")
    assert isinstance(detector, SavedModelDetector)
    return detector


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Picture]:
    """A portrait near and far, some of the built-in sample, and pictures without a face."""
    portrait = data.astronaut()
    crowd = np.tile(portrait[:256:2, 100:356:2], (6, 8, 1))
    others = [data.coffee(), data.chelsea(), np.repeat(data.text()[..., None], 3, axis=2)]
    sample = sorted((generate(tmp_path_factory.mktemp("sample"), pictures=6) / "images").iterdir())
    drawn = [np.asarray(Image.open(path).convert("RGB")) for path in sample]
    return [*drawn, portrait, portrait[:, ::-1], portrait[::3, ::3], portrait[:240, 130:330], crowd, *others]


def test_suppression_is_the_models_own_to_the_box(
    released: Path, reference: SavedModelDetector, pictures: list[Picture]
) -> None:
    import tensorflow as tf

    fast = load_detector(released, runtime="openvino")
    assert isinstance(fast, OpenVinoDetector) and fast.suppression.vote_iou < 1
    for picture in pictures:
        images = tf.constant(letterbox(picture, reference.input_size)[0][None])
        wanted = {
            name: each.numpy()[0]
            for name, each in reference.model.signatures["batched"](images=images).items()
        }
        raw = {
            name: each.numpy()[0] for name, each in reference.model.signatures["raw"](images=images).items()
        }
        kept = fast.suppression.keep(raw["boxes"], raw.get("raw_scores", raw["scores"]))
        count = int(wanted["num_detections"])
        ranks = raw.get("raw_scores", raw["scores"])
        voted = fast.suppression.vote(raw["boxes"][kept], ranks[kept], raw["boxes"], ranks)
        np.testing.assert_allclose(voted, wanted["detection_boxes"][:count], atol=1e-6)
        np.testing.assert_allclose(raw["scores"][kept], wanted["detection_scores"][:count], rtol=1e-6)


@pytest.mark.parametrize("runtime", OpenVino().runtimes)
def test_every_face_is_found_where_tensorflow_finds_it(
    released: Path, reference: SavedModelDetector, pictures: list[Picture], runtime: str
) -> None:
    scores, boxes = {"openvino": (1e-3, 0.99), "openvino_bf16": (0.04, 0.9)}[runtime]
    found = load_detector(released, runtime=runtime).detect(pictures)
    wanted = reference.detect(pictures)
    assert sum(len(each.at_least(0.5)) for each in wanted) > 10
    for one, other in zip(found, wanted, strict=True):
        for these, those in ((one, other), (other, one)):
            sure = these.at_least(0.2)
            if len(sure):
                near(sure, those, scores, boxes)


def near(sure: Detections, those: Detections, scores: float, boxes: float) -> None:
    overlaps = sure.boxes.iou(those.boxes)
    best = overlaps.argmax(axis=1)
    assert overlaps.max(axis=1).min() >= boxes
    np.testing.assert_allclose(those.scores[best], sure.scores, atol=scores)
