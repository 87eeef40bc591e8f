"""Pillow as a decoder of what has been checked already."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.anonymize.images.borrowed import Borrowed

unlimited = Borrowed(Image, "MAX_IMAGE_PIXELS", lambda now, wanted: wanted)
"""``unlimited.at(None)``: Pillow's own limit on size is set aside."""


def decode(data: bytes) -> NDArray[Any]:
    """The first picture's samples, in the mode that Pillow gives them.

    Pillow's own limit on size is set aside: :func:`check_size` has applied the user's. What Pillow
    raises for damaged data is passed on.
    """
    with unlimited.at(None), Image.open(io.BytesIO(data)) as image:
        return np.array(image)
