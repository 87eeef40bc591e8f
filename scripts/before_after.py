"""Makes README's picture: a public-domain portrait before and after ``anonymize.py`` with its defaults.

``python scripts/before_after.py`` writes ``docs/before-after.jpg``.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        photos = Path(scratch) / "photos"
        photos.mkdir()
        Image.fromarray(data.astronaut()).save(photos / "astronaut.png")
        subprocess.run([sys.executable, ROOT / "anonymize.py", f"data={photos}"], cwd=ROOT, check=True)
        after = np.asarray(Image.open(Path(f"{photos}-anonymized") / "astronaut.png"))
    gap = np.full((512, 16, 3), 255, np.uint8)
    pair = np.concatenate([data.astronaut(), gap, after], axis=1)
    Image.fromarray(pair).save(ROOT / "docs" / "before-after.jpg", quality=88)


if __name__ == "__main__":
    main()
