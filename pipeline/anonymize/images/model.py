"""What the rest of Veil knows of a user's picture: frames of pixels in the stored raster, and where
upright is. How a format is read and written stays in that format's module.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.anonymize.images import orientation
from pipeline.boxes import Boxes

Pixels = NDArray[Any]
AtLeast = int | Callable[[int, int], int | None] | None
"""Pixels that a picture's longer side must keep, or what tells them by its width and height (either way
around); None: all."""


class PictureError(Exception):
    """A picture that cannot be read or written whole, and therefore is left out.

    Attributes:
        reason: one word for manifests and tests. ``missing``, ``unreadable`` (the system refuses),
            ``empty`` (zero bytes), ``not_a_picture``, ``corrupt`` (truncated included), ``too_large``
            (above the limit, seen from the header before decoding), ``unsupported`` (named format or
            mode), ``unwritable`` (disk full, read-only), ``unclean`` (the check after writing found
            metadata that should be gone).
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class MismatchError(ValueError):
    """Redacted pixels that are not of the shape and type of the frame's pixels: a mistake of the caller."""


@dataclass(frozen=True)
class View:
    """A frame as a detector sees it, perhaps smaller than it is.

    Attributes:
        pixels: RGB uint8 ``[h, w, 3]``, upright.
        to_frame: boxes of these pixels, on the upright frame in full size.
        factor: how many times smaller than the frame.
    """

    pixels: NDArray[np.uint8]
    to_frame: Callable[[Boxes], Boxes]
    factor: int = 1

    @classmethod
    def of_raster(cls, raster: NDArray[np.uint8], turn: int, factor: int, size: tuple[int, int]) -> View:
        """A view of a stored raster that was decoded ``factor`` times smaller, sides rounded up.

        Args:
            raster: RGB ``[h, w, 3]``. turn: its orientation, 1 to 8.
            size: width and height of the raster in full size.
        """
        upright = orientation.to_upright(raster, turn)
        height, width = upright.shape[:2]  # the function below must not hold the pixels

        def to_frame(boxes: Boxes) -> Boxes:
            # by way of the raster, at whose right and bottom lies what rounding up added
            stored = orientation.boxes_to_raster(boxes, turn, (width, height))
            whole = Boxes(stored.xyxy * factor).clip(*size)
            return orientation.boxes_to_upright(whole, turn, size)

        return cls(upright, to_frame, factor)


class Frame(ABC):
    """One page, animation frame, or the only picture of a file.

    Attributes:
        orientation: 1 to 8 as EXIF counts them; 1 when the raster is upright.
    """

    orientation: int = 1
    held: int = 0
    """Bytes of memory that it takes for detection, beside what redacting and coding need."""

    @property
    @abstractmethod
    def size(self) -> tuple[int, int]:
        """Width and height of the stored raster."""

    @property
    @abstractmethod
    def pixels(self) -> Pixels:
        """The colour samples to redact, stored raster: ``[H, W]`` or ``[H, W, C]``, uint8 or uint16.

        Read-only. Palette and animation frames are shown as the RGB that a viewer sees.
        """

    @property
    def alpha(self) -> Pixels | None:
        """Opacity ``[H, W]``, which redaction leaves as it is; None when there is none."""
        return None

    @abstractmethod
    def rgb(self) -> NDArray[np.uint8]:
        """The stored raster as RGB uint8 ``[H, W, 3]``, opacity ignored.

        Ignored on purpose: a face below transparent pixels is still in the file, and must be found.
        """

    @abstractmethod
    def native_colour(self, rgb: Sequence[int]) -> tuple[int, ...]:
        """An RGB colour, 0 to 255, as one value a channel of :attr:`pixels` (for solid fills)."""

    def upright_rgb(self) -> NDArray[np.uint8]:
        """RGB uint8 ``[H, W, 3]`` as an upright viewer sees it, for detection."""
        return orientation.to_upright(self.rgb(), self.orientation)

    def view(self, at_least: AtLeast = None) -> View:
        """For detection: as :meth:`upright_rgb`, or smaller where that is cheaper.

        Args:
            at_least: pixels that the longer side must keep; see :data:`AtLeast`.
        """
        return View(self.upright_rgb(), lambda boxes: boxes)

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height of the upright picture."""
        width, height = self.size
        return (height, width) if orientation.swaps(self.orientation) else (width, height)

    def to_raster(self, boxes: Boxes) -> Boxes:
        """Boxes of the upright frame, on the stored raster."""
        return orientation.boxes_to_raster(boxes, self.orientation, self.upright_size)

    def to_upright(self, boxes: Boxes) -> Boxes:
        """Boxes of the stored raster, on the upright frame."""
        return orientation.boxes_to_upright(boxes, self.orientation, self.size)


@dataclass
class Picture:
    """A picture file, decoded no further than needed; made by :func:`open_picture`.

    Attributes:
        path: where it was read.
        data: its bytes, as they were decoded (so that a digest is of what was seen).
        format: the format by content: ``JPEG``, ``PNG``, ``TIFF``, …; the file's name is not asked.
        mode: the stored mode for reports, for example ``RGB``, ``L``, ``P``, ``CMYK``, ``RGBA``.
        bits: bits a sample.
        frames: pages or animation frames, in order.
        metadata: names of what the file carries outside the allow-list.
        bytes_per_pixel: of memory, that redacting and coding need at most for three 8-bit samples: decoded,
            redacted, as the encoder wants it, and what the encoder holds of the whole picture.
        state: what the format's module needs again when it writes.
    """

    path: Path
    data: bytes = field(repr=False)
    format: str
    mode: str
    bits: int
    frames: Sequence[Frame]
    metadata: list[str] = field(default_factory=list)
    state: Any = field(default=None, repr=False)
    bytes_per_pixel: int = 14

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the first frame's stored raster."""
        return self.frames[0].size

    @property
    def upright_size(self) -> tuple[int, int]:
        return self.frames[0].upright_size

    @property
    def orientation(self) -> int:
        """The first frame's orientation, 1 to 8."""
        return self.frames[0].orientation

    def to_raster(self, boxes: Boxes, frame: int = 0) -> Boxes:
        """Boxes of the upright frame, on the stored raster."""
        return self.frames[frame].to_raster(boxes)


@dataclass(frozen=True)
class WriteResult:
    """What :func:`write_picture` did.

    Attributes:
        metadata_removed: names, never values, of what the output no longer carries.
        reencoded: whether pixels were coded again; False when the coded picture was copied.
    """

    metadata_removed: list[str]
    reencoded: bool
