from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.errors import UserError
from pipeline.evaluation.predict import load_any, predict, read_picture, signatures

OD_API = {
    "detection_boxes": [[[0.1, 0.2, 0.5, 0.6], [0.0, 0.0, 0.5, 0.5], [0.0, 0.0, 0.2, 0.2], [0, 0, 0, 0]]],
    "detection_scores": [[0.9, 0.8, 0.001, 0.7]],
    "detection_classes": [[1.0, 2.0, 1.0, 1.0]],
    "num_detections": [3.0],
}


def save_model(folder: Path, serving: dict | None, batched: bool = False) -> Path:
    """A SavedModel that answers the same whatever it sees."""
    import tensorflow as tf

    module, functions = tf.Module(), {}
    if serving is not None:
        module.serve = tf.function(
            lambda picture: {name: tf.constant(value) for name, value in serving.items()},
            input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8, name="input_tensor")],
        )
        functions["serving_default"] = module.serve
    if batched:
        module.batch = tf.function(
            lambda images: {
                "detection_boxes": tf.tile([[[0.0, 0.0, 0.25, 0.5]]], [tf.shape(images)[0], 1, 1]),
                "detection_scores": tf.tile([[0.6]], [tf.shape(images)[0], 1]),
                "num_detections": tf.tile([1], [tf.shape(images)[0]]),
            },
            input_signature=[tf.TensorSpec([None, 64, 64, 3], tf.uint8, name="images")],
        )
        functions["batched"] = module.batch
    tf.saved_model.save(module, str(folder), signatures=functions or None)
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("models")
    return {
        "od_api": save_model(folder / "od_api", OD_API),
        "both": save_model(folder / "both", OD_API, batched=True),
        "odd": save_model(folder / "odd", {"faces": [1.0]}),
        "none": save_model(folder / "none", None),
    }


def test_signatures_are_read_without_loading(models: dict[str, Path]) -> None:
    assert [signatures(models[name]) for name in ("od_api", "both", "none")] == [
        ["serving_default"],
        ["batched", "serving_default"],
        [],
    ]


def test_any_model_of_the_object_detection_api(models: dict[str, Path]) -> None:
    picture = np.zeros((100, 200, 3), np.uint8)
    result = load_any(models["od_api"]).detect([picture, picture[:50]])
    assert [each.scores.tolist() for each in result] == [pytest.approx([0.9, 0.8])] * 2  # .001 is noise
    assert result[0].boxes.xyxy.tolist()[0] == pytest.approx([40, 10, 120, 50])
    assert result[1].boxes.xyxy.tolist()[0] == pytest.approx([40, 5, 120, 25])


def test_one_class_of_several(models: dict[str, Path]) -> None:
    picture = np.zeros((100, 200, 3), np.uint8)
    for name in ("od_api", "both"):
        found = load_any(models[name], class_id=2).detect([picture])[0]
        assert found.scores.tolist() == pytest.approx([0.8])


def test_the_batched_signature_comes_first(models: dict[str, Path]) -> None:
    found = load_any(models["both"]).detect([np.zeros((32, 64, 3), np.uint8)])[0]
    assert found.scores.tolist() == pytest.approx([0.6])
    assert found.boxes.xyxy.tolist() == [[0, 0, 32, 16]]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("odd", r"lacks \['detection_boxes', 'detection_scores', 'num_detections'\]"),
        ("none", "has the signatures none; allowed: 'batched' or 'serving_default'"),
    ],
)
def test_other_models_are_refused(models: dict[str, Path], name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_any(models[name])


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no saved_model\.pb"):
        load_any(tmp_path)


class Sizes:
    """Says the size of each picture that it sees."""

    digest = ""

    def __init__(self, make) -> None:
        self.make, self.batches = make, []

    def detect(self, pictures):
        self.batches.append(len(pictures))
        return [self.make([[0, 0, picture.shape[1], picture.shape[0]]], [0.5]) for picture in pictures]


def test_pictures_are_read_upright_and_in_batches(tmp_path: Path, labelled, found) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("L", (30, 20)).save(tmp_path / "turned.jpg", exif=turned)
    pictures = [labelled([], id=number, size=(20, 30), path=tmp_path / "turned.jpg") for number in range(5)]
    detector, seen = Sizes(found), []
    result = predict(detector, pictures, lambda done, total: seen.append((done, total)))
    assert [each.boxes.xyxy.tolist() for each in result.detections] == [[[0, 0, 20, 30]]] * 5
    assert (detector.batches[1:], seen, len(result.seconds)) == ([4, 1], [(4, 5), (5, 5)], 5)


def test_a_picture_of_another_size_is_refused(tmp_path: Path, labelled) -> None:
    Image.new("RGB", (30, 20)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"a\.png: is 30x20 pixels, its labels are made for 20x30"):
        read_picture(labelled([], size=(20, 30), path=tmp_path / "a.png"))


def test_a_broken_picture_is_refused(tmp_path: Path, labelled) -> None:
    (tmp_path / "b.png").write_bytes(b"\x89PNG nonsense")
    with pytest.raises(UserError, match=r"b\.png: cannot be read"):
        read_picture(labelled([], path=tmp_path / "b.png"))
