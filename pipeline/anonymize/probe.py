"""``python -m pipeline.anonymize.probe FILE MEGAPIXELS TOTAL``: decode a file, to see how that ends."""

from __future__ import annotations

import sys
from pathlib import Path

from pipeline.anonymize.images import PictureError, open_picture
from pipeline.config.schema import LimitsConfig

if __name__ == "__main__":
    try:
        picture = open_picture(Path(sys.argv[1]), LimitsConfig(float(sys.argv[2]), float(sys.argv[3])))
        for frame in picture.frames:
            frame.upright_rgb()
    except PictureError:
        pass
