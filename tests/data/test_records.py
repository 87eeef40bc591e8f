"""What Model Garden's own decoder makes of the records."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from official.vision.dataloaders.tf_example_decoder import TfExampleDecoder
from PIL import Image

from pipeline.boxes import Boxes
from pipeline.data import records
from pipeline.data.pictures import read_upright
from pipeline.data.prepare import prepare


def test_records_decode_to_the_boxes_and_pictures_of_the_coco_file(
    tiny: Any, configure: Callable[..., Any]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    tiny.add("plain.jpg", seed=1, size=(90, 60), quality=95)
    tiny.add("turned.jpg", seed=2, size=(90, 60), quality=95, exif=exif)
    tiny.add("empty.png", seed=3, size=(80, 70))
    tiny.add("more.png", seed=4, size=(80, 70))
    tiny.voc("plain", [("face", (3.5, 4, 33, 44)), ("mask", (50, 10, 89, 59))], size=(90, 60))
    tiny.voc("turned", [("face", (10, 20, 40, 80))], size=(60, 90))
    tiny.voc("empty", [], size=(80, 70))
    tiny.voc("more", [("face", (0, 0, 80, 70))], size=(80, 70))
    version = prepare(configure(tiny.folder))
    seen = 0
    for split in ("train", "val", "test"):
        document = json.loads(version.coco(split).read_text())
        images = {image["id"]: image for image in document["images"]}
        for record in tf.data.TFRecordDataset(tf.io.gfile.glob(version.records(split))):
            decoded = TfExampleDecoder().decode(record)
            image = images.pop(int(decoded["source_id"]))
            annotations = [a for a in document["annotations"] if a["image_id"] == image["id"]]
            height, width = decoded["image"].shape[:2]
            assert (width, height) == (image["width"], image["height"])
            boxes = Boxes.from_normalized_yxyx(decoded["groundtruth_boxes"].numpy(), width, height)
            bbox = np.array([a["bbox"] for a in annotations]).reshape(-1, 4)
            np.testing.assert_allclose(boxes.to_xywh(), bbox, atol=1e-3)
            np.testing.assert_allclose(
                decoded["groundtruth_area"], [a["area"] for a in annotations], rtol=1e-5
            )
            assert decoded["groundtruth_classes"].numpy().tolist() == [1] * len(annotations)
            assert not decoded["groundtruth_is_crowd"].numpy().any()
            source = np.asarray(read_upright(version.picture_path(image)), dtype=int)
            assert np.abs(decoded["image"].numpy().astype(int) - source).mean() < 2
            seen += 1
        assert images == {}
    assert seen == 4


def test_training_pictures_with_a_rare_label_are_written_more_often(
    voc_set: Any, configure: Callable[..., Any]
) -> None:
    for number in range(0, 12, 3):
        voc_set.voc(f"p{number:02}", [("face", (5, 6, 25, 30)), ("bare", (30, 10, 50, 40))])
    names = {"face": "FACE", "mask": "FACE", "bare": "FACE"}
    plain = prepare(configure(voc_set.folder, label_map=names))
    config = configure(voc_set.folder, label_map=names)
    config.repeat = {"bare": 3}
    version = prepare(config)
    assert version.fingerprint != plain.fingerprint
    assert version.counts == plain.counts  # pictures, not how often they are shown
    for split in version.counts:
        document = json.loads(version.coco(split).read_text())
        rare = {a["image_id"] for a in document["annotations"] if a["source_label"] == "bare"}
        times = 3 if split == "train" else 1
        wanted = {image["id"]: times if image["id"] in rare else 1 for image in document["images"]}
        assert rare or split != "train"
        assert Counter(_ids(version.records(split))) == wanted
    assert version.notes == ("training sees pictures with bare 3 times as often as others",)


def test_copies_are_spread_evenly() -> None:
    """So that no stretch of the records, which is all that training shuffles, is of rare pictures only."""
    times = [3 if number % 4 == 1 else 1 for number in range(400)]
    order = records.spread(range(400), times)
    assert Counter(order) == dict(enumerate(times))
    rare = np.array([times[number] == 3 for number in order])
    shares = rare.reshape(-1, 60).mean(axis=1)
    assert np.abs(shares - 0.5).max() < 0.05
    places = [np.flatnonzero(np.array(order) == number) for number in range(1, 400, 4)]
    assert min(np.diff(each).min() for each in places) > 150


def _ids(records: str) -> list[int]:
    dataset = tf.data.TFRecordDataset(sorted(tf.io.gfile.glob(records)))
    return [int(TfExampleDecoder().decode(record)["source_id"]) for record in dataset]
