"""WebP, for the check: the chunks of the picture, a clean profile, a bare EXIF."""

from __future__ import annotations

from pipeline.anonymize.images.check import exif, icc

_CODED = {b"VP8 ", b"VP8L", b"ALPH"}
_SIZES = {b"VP8X": 10, b"ANIM": 6}


def findings(data: bytes) -> list[str]:
    end = 8 + int.from_bytes(data[4:8], "little")
    found = [] if end == len(data) else [f"{len(data) - end} bytes after the end of the picture"]
    return found + _walk(data[:end], 12)


def _walk(data: bytes, at: int) -> list[str]:
    found: list[str] = []
    while at < len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        body = data[at + 8 : at + 8 + size]
        if len(body) != size or any(data[at + 8 + size : at + 8 + size + (size & 1)]):
            found.append("a chunk that runs over, or bytes in its padding")
        at += 8 + size + (size & 1)
        if name == b"ANMF":
            found += _walk(body, 16)
        elif name == b"EXIF":
            found += exif.findings(body)
        elif name == b"ICCP":
            found += icc.findings(body)
        elif name not in _CODED and _SIZES.get(name) != size:
            found.append(f"chunk {name.decode('latin1').strip()}")
    return found
