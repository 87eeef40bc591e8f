"""EXIF: damage below the first directory does not cost the orientation; only the allowed is built."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest
from PIL import Image

from pipeline.anonymize.images import check_clean
from pipeline.anonymize.images.check.exif import findings
from pipeline.anonymize.images.exif import Exif, build_exif, read_exif
from tests.anonymize.images.makers import encoded, exif, opened, rewritten, texture


@pytest.mark.parametrize("order", ["<", ">"])
def test_damaged_gps_leaves_the_orientation(order: str) -> None:
    mark = b"II" if order == "<" else b"MM"
    entries = struct.pack(order + "HHIHH", 0x0112, 3, 1, 8, 0) + struct.pack(
        order + "HHII", 0x8825, 4, 1, 9999
    )
    block = mark + struct.pack(order + "HI", 42, 8) + struct.pack(order + "H", 2) + entries + bytes(4)
    assert read_exif(block).orientation == 8


@pytest.mark.parametrize("block", [b"", b"Exif\0\0", b"II*\0", b"II*\0\xff\xff\xff\xff", b"nonsense" * 9])
def test_what_is_no_exif_is_upright(block: bytes) -> None:
    assert (read_exif(block).orientation, read_exif(block).resolution) == (1, None)


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("resolution", [None, (300.0, 150.0, 2), (72.5, 72.5, 3)])
def test_what_is_built_is_read_again(turn: int, resolution: tuple[float, float, int] | None) -> None:
    block = build_exif(Exif(turn, resolution))
    assert bool(block) == (turn != 1 or resolution is not None)
    if block:
        again = read_exif(block)
        assert (again.orientation, again.resolution, again.names) == (turn, resolution, ())
        assert findings(block) == []


def test_the_checker_sees_bytes_that_no_entry_names() -> None:
    block = build_exif(Exif(6, (300.0, 300.0, 2)))
    assert findings(block + b"hidden") == ["6 bytes in EXIF that no entry names"]


@pytest.mark.parametrize(("x", "kept"), [(300, True), (1e9, False), (0, False)])
def test_a_resolution_that_is_none_goes(x: float, kept: bool) -> None:
    block = Image.Exif()
    block[0x011A], block[0x011B] = x, x
    assert (read_exif(block.tobytes()).resolution is not None) == kept


def test_the_first_of_two_exif_segments_counts(tmp_path: Path) -> None:
    data = encoded(texture(20, 30), "JPEG", exif=exif(6))
    second = exif(3)
    data = data[:-2]
    at = data.index(b"\xff\xdb")
    data = data[:at] + b"\xff\xe1" + struct.pack(">H", len(second) + 2) + second + data[at:] + b"\xff\xd9"
    picture = opened(tmp_path, data)
    assert picture.orientation == 6
    _, out = rewritten(tmp_path, picture, {})
    assert Image.open(io.BytesIO(out)).getexif()[0x0112] == 6
    assert check_clean(tmp_path / "out.bin") == []
