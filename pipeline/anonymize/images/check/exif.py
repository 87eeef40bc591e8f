"""EXIF, for the check: every entry of every directory, and every byte accounted for."""

from __future__ import annotations

import struct

_ALLOWED = {0x0112: "orientation", 0x011A: "x resolution", 0x011B: "y resolution", 0x0128: "unit"}
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}


def findings(block: bytes) -> list[str]:
    """What a TIFF-structured block holds beside orientation and resolution."""
    order = {b"II": "<", b"MM": ">"}[block[:2]] if block[:2] in (b"II", b"MM") else None
    if order is None:
        return ["EXIF of unknown byte order"]
    magic, start = struct.unpack_from(order + "HI", block, 2)
    if magic != 42:
        return ["EXIF without a TIFF header"]
    (count,) = struct.unpack_from(order + "H", block, start)
    used, found = 8 + 2 + 12 * count + 4, []
    for i in range(count):
        tag, kind, items = struct.unpack_from(order + "HHI", block, start + 2 + 12 * i)
        if tag not in _ALLOWED:
            found.append(f"EXIF tag 0x{tag:04X}")
        size = _SIZES.get(kind, 1) * items
        used += size if size > 4 else 0
    (following,) = struct.unpack_from(order + "I", block, start + 2 + 12 * count)
    if following:
        found.append("EXIF IFD1 (thumbnail)")
    if used < len(block):
        found.append(f"{len(block) - used} bytes in EXIF that no entry names")
    return found
