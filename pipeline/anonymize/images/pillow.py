"""Pillow as a decoder of what has been checked already."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.anonymize.images.borrowed import Borrowed

# Pillow allocates a picture in blocks, of 16 MB unless told otherwise. The C library gives blocks of over
# 32 MB back to the system as soon as they are free; smaller ones it keeps for the thread that had them:
# 0.3 GB, where three threads coded pictures of 45 megapixels.
Image.core.set_block_size(64 << 20)

unlimited = Borrowed(Image, "MAX_IMAGE_PIXELS", lambda now, wanted: wanted)
"""``unlimited.at(None)``: Pillow's own limit on size is set aside."""


def decode(data: bytes) -> NDArray[Any]:
    """The first picture's samples, in the mode that Pillow gives them.

    Pillow's own limit on size is set aside: :func:`check_size` has applied the user's. What Pillow
    raises for damaged data is passed on.
    """
    with unlimited.at(None), Image.open(io.BytesIO(data)) as image:
        return np.array(image)
