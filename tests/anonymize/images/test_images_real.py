"""Real photographs, and one as large as cameras make them."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.anonymize.images.makers import opened, psnr, rewritten, texture


def test_photographs_keep_their_pixels(shared: Path, tmp_path: Path) -> None:
    found = sorted((shared / "data").rglob("*.jpg"))[
        :: max(1, len(list((shared / "data").rglob("*.jpg"))) // 20)
    ]
    values = []
    for path in found:
        data = path.read_bytes()
        picture = opened(tmp_path, data)
        _, out = rewritten(tmp_path, picture, {})
        before = np.asarray(Image.open(io.BytesIO(data)))
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(out))), before)
        redacted = picture.frames[0].pixels.copy()
        redacted[:32, :32] = 0
        _, out = rewritten(tmp_path, picture, {0: redacted})
        values.append(psnr(np.asarray(Image.open(io.BytesIO(out)))[64:], before[64:]))
        assert len(out) < 1.1 * len(data)
    assert min(values) > 44 and np.median(values) > 52


MEASURE = """
import sys
from pathlib import Path
from pipeline.anonymize.images import open_picture, write_picture
from pipeline.config.schema import LimitsConfig
picture = open_picture(Path(sys.argv[1]), LimitsConfig())
frame = picture.frames[0]
frame.upright_rgb()
pixels = frame.pixels.copy()
pixels[1000:2000, 1000:2000] = 128
write_picture(picture, {0: pixels}, Path(sys.argv[2]))
# Not ru_maxrss, which a process inherits from the one that starts it.
print(int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) // 1024)
"""


@pytest.mark.slow
def test_forty_five_megapixels_stay_below_a_gigabyte(root: Path, tmp_path: Path) -> None:
    tile = Image.fromarray(texture(688, 1024))
    large = Image.new("RGB", (8192, 5504))
    for x in range(0, 8192, 1024):
        for y in range(0, 5504, 688):
            large.paste(tile, (x, y))
    large.save(tmp_path / "in.jpg", quality=92)
    run = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path / "in.jpg"), str(tmp_path / "out.jpg")],
        capture_output=True,
        text=True,
        check=True,
        cwd=root,
    )
    assert int(run.stdout) < 1000
