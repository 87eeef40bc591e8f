"""Mutated bytes: a picture is read and written whole and clean, or refused; nothing else ever happens."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from pipeline.anonymize.images import PictureError, check_clean, open_picture, write_picture
from pipeline.config.schema import LimitsConfig
from tests.anonymize.images import test_images_animation, test_images_metadata, test_images_refusals

LIMITS = LimitsConfig(max_megapixels=2)
SPANS = (64, 400, 1 << 30)  # headers are hit more often than picture data
VALUES = (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\0\0\1\0")
WITH_METADATA = ("jpeg EXIF Make", "png exif", "png icc", "jpeg icc", "webp", "tiff", "tiff jpeg", "gif")


def _seeds() -> dict[str, bytes]:
    seeds = {name: make() for name, make in test_images_refusals.GOOD.items()}
    seeds |= {name: make() for name, make in test_images_animation.MAKERS.items()}
    seeds |= {name: test_images_metadata.MAKERS[name][0]() for name in WITH_METADATA}
    return seeds | {"heic": test_images_metadata.MAKERS["heic"][0]()}


def _mutated(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        at = chance.randrange(max(1, min(len(changed), chance.choice(SPANS))))
        kind = chance.random()
        if kind < 0.5:
            changed[at : at + 1] = chance.randbytes(1)
        elif kind < 0.7:
            changed[at : at + chance.randrange(1, 40)] = b""
        elif kind < 0.9:
            changed[at:at] = chance.randbytes(chance.randrange(1, 20))
        else:
            changed[at : at + 4] = chance.choice(VALUES)
    return bytes(changed)


def _try(source: Path, out: Path, redact: bool) -> str:
    """Read and write one file as a run does; the outcome's name."""
    out.unlink(missing_ok=True)
    try:
        picture = open_picture(source, LIMITS)
        redacted = {}
        for index, frame in zip(range(9), picture.frames, strict=False):
            frame.upright_rgb()
            if redact:
                pixels = frame.pixels.copy()
                pixels[:8, :8] = np.array(frame.native_colour((9, 99, 200)), pixels.dtype)
                redacted[index] = pixels
        write_picture(picture, redacted, out)
    except PictureError as error:
        assert not out.exists()
        return error.reason
    assert check_clean(out) == []
    assert len(open_picture(out, LIMITS).frames) == len(picture.frames)
    return "written"


@pytest.mark.parametrize("count", [600, pytest.param(10_000, marks=pytest.mark.slow)])
def test_mutated_bytes_do_no_harm(count: int, tmp_path: Path) -> None:
    chance = random.Random(count)
    seeds = _seeds()
    outcomes: Counter[str] = Counter()
    for number in range(count):
        name = list(seeds)[number % len(seeds)]
        source = tmp_path / "in.bin"
        source.write_bytes(_mutated(seeds[name], chance))
        start = time.monotonic()
        outcomes[_try(source, tmp_path / "out" / "out.bin", redact=name not in ("heic", "avif"))] += 1
        assert time.monotonic() - start < 20, f"{name}, number {number}"
    assert [p.name for p in (tmp_path / "out").iterdir()] in ([], ["out.bin"])
    assert outcomes["written"] > count / 20 and outcomes["corrupt"] > count / 5
    assert outcomes["unwritable"] == 0
