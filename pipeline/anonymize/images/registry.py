"""Which module reads and writes which format."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from pipeline.anonymize.images.model import AtLeast, Picture, PictureError, Pixels
from pipeline.config.schema import LimitsConfig

_MODULES = {
    "JPEG": "jpeg",
    "PNG": "png",
    "TIFF": "tiff",
    "GIF": "gif",
    "WebP": "webp",
    "BMP": "bmp",
    "HEIC": "heif",
    "AVIF": "heif",
}


SCALING = frozenset({"JPEG"})
"""Formats whose ``read`` takes ``at_least``: their decoders make a smaller picture for less work."""


class Codec(Protocol):
    """What a format's module offers."""

    def read(self, data: bytes, path: Path, limits: LimitsConfig, **scaling: AtLeast) -> Picture:
        """Parse and check; raise PictureError for what cannot be read whole and written again."""

    def encode(self, picture: Picture, redacted: Mapping[int, Pixels]) -> tuple[bytes, bool]:
        """The output file, and whether pixels were coded again. Frames not given stay as they are."""


def codec(format: str, path: Path) -> Codec:
    """The module of a sniffed format.

    Raises:
        PictureError: ``unsupported``, naming what is.
    """
    if format not in _MODULES:
        allowed = ", ".join(_MODULES)
        raise PictureError("unsupported", f"{path}: {format} is not supported; allowed: {allowed}")
    return cast(Codec, import_module(f"{__package__}.{_MODULES[format]}"))
