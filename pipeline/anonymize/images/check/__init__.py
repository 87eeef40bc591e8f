"""The check after writing: what does this file carry beside the picture?

It shares no code with the writers: its own walk through each format, by an allow-list, so that what
the writer's reader overlooks is not overlooked twice. An unknown structure is a finding.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.anonymize.images.check import bmp, gif, heif, jpeg, png, tiff, webp

_CHECKS = (
    (b"\xff\xd8\xff", 0, jpeg),
    (b"\x89PNG", 0, png),
    (b"GIF8", 0, gif),
    (b"WEBP", 8, webp),
    (b"BM", 0, bmp),
    (b"ftyp", 4, heif),
    (b"II*\0", 0, tiff),
    (b"MM\0*", 0, tiff),
    (b"II+\0", 0, tiff),
    (b"MM\0+", 0, tiff),
)


def check_clean(path: Path) -> list[str]:
    """Names of what the file carries beyond picture, orientation, colour profile and resolution.

    An empty list is the good result. A file that cannot be walked to its end is a finding, too.
    """
    data = Path(path).read_bytes()
    for magic, at, module in _CHECKS:
        if data[at : at + len(magic)] == magic:
            try:
                return module.findings(data)
            except Exception as error:
                return [f"a structure that cannot be read ({type(error).__name__})"]
    return ["an unknown format"]
