"""Mutated pictures: no crash, no hang, no unblurred copy.

``python -m tests.anonymize.fuzz COUNT [FIRST]`` runs inputs FIRST to FIRST + COUNT, each a function of its
number, and prints how they ended. A process that dies names the input it died of in ``fuzz-input``.
"""

from __future__ import annotations

import io
import logging
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.anonymize import Entry, PictureError, anonymize_file
from pipeline.anonymize.images import Picture, check_clean, open_picture
from pipeline.anonymize.verify import Redacted, look_again
from pipeline.boxes import Boxes
from pipeline.config.schema import AnonymizeConfig, LimitsConfig, RedactConfig, VerifyConfig
from tests.anonymize.quick import QuickDetector
from tests.anonymize.standin import background, paint_face

LIMITS = LimitsConfig(max_megapixels=16)
SECONDS = 20.0
"""An input that takes longer counts as a hang. Generous: machines that run tests are busy."""


def seeds() -> dict[str, bytes]:
    """Small pictures with faces, in every format that Pillow writes here."""
    frames = []
    for number in range(2):
        pixels = background(96, 80, number)
        paint_face(pixels, (8 + 30 * number, 8, 56 + 30 * number, 72))
        frames.append(Image.fromarray(pixels))
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "camera"
    more = {"save_all": True, "append_images": frames[1:]}
    wanted = {
        "base.jpg": ("JPEG", {"quality": 90, "exif": exif}),
        "progressive.jpg": ("JPEG", {"progressive": True, "subsampling": 2}),
        "rgb.png": ("PNG", {"exif": exif}),
        "moving.gif": ("GIF", more),
        "lossless.webp": ("WEBP", {"lossless": True}),
        "moving.webp": ("WEBP", {"lossless": True, **more}),
        "pages.tif": ("TIFF", {"compression": "tiff_lzw", **more}),
        "plain.bmp": ("BMP", {}),
        "still.avif": ("AVIF", {"quality": 90}),
    }
    made = {}
    for name, (format, options) in wanted.items():
        buffer = io.BytesIO()
        frames[0].save(buffer, format, **options)
        made[name] = buffer.getvalue()
    palette = io.BytesIO()
    frames[0].quantize(64).save(palette, "PNG")
    return made | {"palette.png": palette.getvalue()}


def mutated(data: bytes, random: np.random.Generator) -> bytes:
    """One to four edits: bits, bytes, cuts, repeats, moves, lengths blown up."""
    new = bytearray(data)
    for _ in range(int(random.integers(1, 5))):
        if not new:
            break
        at = (
            int(random.integers(len(new)))
            if random.random() < 0.6
            else int(random.integers(min(len(new), 200)))
        )
        size = int(random.integers(1, 60))
        match int(random.integers(7)):
            case 0:
                new[at] ^= 1 << int(random.integers(8))
            case 1:
                new[at : at + size] = random.bytes(min(size, len(new) - at))
            case 2:
                del new[at : at + size]
            case 3:
                new[at:at] = new[at : at + size]
            case 4:
                del new[at:]
            case 5:
                new[at : at + 4] = random.choice(
                    [b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\0\0\1\0"]
                )
            case _:
                new[at:at] = random.bytes(size)
    return bytes(new)


def check(data: bytes, name: str, folder: Path) -> str:
    """How an input ended; raises AssertionError when it ended wrongly."""
    source, target = folder / name, folder / f"out-{name}"
    source.write_bytes(data)
    target.unlink(missing_ok=True)
    started = time.monotonic()
    try:
        entry = anonymize_file(source, target, QuickDetector(), AnonymizeConfig(limits=LIMITS))
    except PictureError as error:
        assert not target.exists(), "left out, and yet there is an output"
        return error.reason
    finally:
        assert time.monotonic() - started < SECONDS, "hangs"
    assert not list(folder.glob(".veil*")), "a temporary file is left"
    assert not entry.faces or target.read_bytes() != data, "an unblurred copy"
    assert not check_clean(target)
    output = open_picture(target, LIMITS)
    assert len(output.frames) == entry.picture["frames"]
    assert not exposed(output, entry), "a face is not redacted"
    return "done, faces" if entry.faces else "done, no face"


def exposed(output: Picture, entry: Entry) -> bool:
    """Whether the output shows a face of some size that the first look should have seen.

    Broken pictures are full of magenta specks, whose score moves a little when a JPEG is written again: a
    face counts from 16 pixels on, and only if nothing at its place was near the threshold before.
    """
    config = VerifyConfig(score_threshold=0.6, scales=[1.0])
    (findings,) = look_again(QuickDetector(), [Redacted(output, entry.faces)], config, RedactConfig())
    near = Boxes(np.array([face.box for face in entry.candidates if face.score > 0.4]).reshape(-1, 4))
    found = Boxes(np.array([finding.box for finding in findings]).reshape(-1, 4))
    large = (found.sizes >= 16).all(axis=1)
    return bool((large & (found.iou(near).max(axis=1, initial=0) < 0.3)).any())


logging.getLogger("tifffile").setLevel(logging.CRITICAL)


def run(count: int, first: int, folder: Path) -> Counter[str]:
    """Check inputs; the number of a failing one is in the error."""
    pictures = list(seeds().items())
    ended: Counter[str] = Counter()
    for number in range(first, first + count):
        random = np.random.default_rng(number)
        name, data = pictures[number % len(pictures)]
        (folder.parent / "fuzz-input").write_text(f"{number} {name}")
        try:
            ended[check(mutated(data, random), name, folder)] += 1
        except Exception as error:
            raise AssertionError(f"input {number} ({name}): {type(error).__name__}: {error}") from error
    return ended


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary) / "work"
        place.mkdir()
        start = int(sys.argv[2]) if len(sys.argv) > 2 else 0
        print(dict(run(int(sys.argv[1]), start, place).most_common()))
