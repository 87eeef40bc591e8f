"""TFRecord shards in the layout that Model Garden's ``TfExampleDecoder`` reads."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import tensorflow as tf

from pipeline.data import pictures
from pipeline.data.coco import FACE_ID
from pipeline.data.examples import LabelledPicture

THREADS = 4
T = TypeVar("T")


def write(
    folder: Path,
    split: str,
    ids: Sequence[int],
    labelled: Sequence[LabelledPicture],
    times: Sequence[int],
    shards: int,
) -> list[Path]:
    """Writes ``<split>-00000-of-0000N.tfrecord``, pictures dealt out in turn; a few at a time in memory.

    Args:
        times: how often each picture is written.
    """
    dealt = spread(list(zip(ids, labelled, strict=True)), times)
    count = min(shards, len(labelled))
    paths = [folder / f"{split}-{shard:05d}-of-{count:05d}.tfrecord" for shard in range(count)]
    with ThreadPoolExecutor(THREADS) as pool:
        for shard, path in enumerate(paths):
            mine = dealt[shard::count]
            with tf.io.TFRecordWriter(str(path)) as writer:
                for start in range(0, len(mine), 4 * THREADS):
                    batch = mine[start : start + 4 * THREADS]
                    for example in pool.map(_serialized, *zip(*batch, strict=True)):
                        writer.write(example)
    return paths


def spread(items: Sequence[T], times: Sequence[int]) -> list[T]:
    """Each item as often as ``times`` says, its copies evenly over the whole.

    Training's shuffling reaches only some hundred records far.
    """
    total = len(items)
    places = [
        ((number + copy * total / often) % total, item)
        for number, (item, often) in enumerate(zip(items, times, strict=True))
        for copy in range(often)
    ]
    return [item for _, item in sorted(places, key=lambda place: place[0])]


def to_tf_example(image_id: int, picture: LabelledPicture) -> tf.train.Example:
    """One record.

    ``image/encoded`` is an upright 8-bit RGB JPEG; boxes are fractions of it; every class is 1.
    """
    yxyx = picture.boxes.to_normalized_yxyx(picture.width, picture.height)
    count = len(picture.boxes)
    features = {
        "image/encoded": _bytes([_encoded(picture)]),
        "image/format": _bytes([b"jpeg"]),
        "image/height": _ints([picture.height]),
        "image/width": _ints([picture.width]),
        "image/source_id": _bytes([str(image_id).encode()]),
        "image/filename": _bytes([f"{picture.source}/{picture.name}".encode()]),
        "image/object/bbox/ymin": _floats(yxyx[:, 0].tolist()),
        "image/object/bbox/xmin": _floats(yxyx[:, 1].tolist()),
        "image/object/bbox/ymax": _floats(yxyx[:, 2].tolist()),
        "image/object/bbox/xmax": _floats(yxyx[:, 3].tolist()),
        "image/object/class/label": _ints([FACE_ID] * count),
        "image/object/class/text": _bytes([label.encode() for label in picture.labels]),
        "image/object/area": _floats(picture.boxes.areas.tolist()),
        "image/object/is_crowd": _ints([int(bool(a.get("iscrowd", False))) for a in picture.attributes]),
    }
    return tf.train.Example(features=tf.train.Features(feature=features))


def _serialized(image_id: int, picture: LabelledPicture) -> bytes:
    """The same bytes on every run: a protobuf map has no order of its own."""
    return to_tf_example(image_id, picture).SerializeToString(deterministic=True)


def _encoded(picture: LabelledPicture) -> bytes:
    """The JPEG's bytes, encoded anew if TensorFlow's decoder, which training uses, refuses the file's."""
    encoded = pictures.encode(picture.path, picture.bit_exact)
    expected = (picture.height, picture.width, 3)
    try:
        decoded = tuple(tf.io.decode_jpeg(encoded, channels=3).shape)
    except tf.errors.InvalidArgumentError:
        decoded = None
    return encoded if decoded == expected else pictures.encode(picture.path, bit_exact=False)


def _bytes(values: list[bytes]) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def _floats(values: list[float]) -> tf.train.Feature:
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))


def _ints(values: list[int]) -> tf.train.Feature:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
