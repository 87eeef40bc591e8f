"""JPEG, for the check: each segment must be one that codes the picture, or an allowed and bare one."""

from __future__ import annotations

from pipeline.anonymize.images.check import exif, icc

_PICTURE = {0xC0, 0xC1, 0xC2, 0xC4, 0xDB, 0xDD}


def findings(data: bytes) -> list[str]:
    found: list[str] = []
    profile = b""
    at = 2
    while True:
        if data[at] != 0xFF:
            return [*found, f"stray bytes at {at}"]
        kind = data[at + 1]
        if kind == 0xD9:
            break
        length = data[at + 2] << 8 | data[at + 3]
        body = data[at + 4 : at + 2 + length]
        at += 2 + length
        if kind == 0xDA:
            at = _after_scan(data, at)
        elif kind == 0xE2 and body[:12] == b"ICC_PROFILE\0":
            profile += body[14:]
        elif kind not in _PICTURE:
            found += _other(kind, body)
    if at + 2 != len(data):
        found.append(f"{len(data) - at - 2} bytes after the end of the picture")
    return found + (icc.findings(profile) if profile else [])


def _after_scan(data: bytes, at: int) -> int:
    """The next marker that is neither a stuffed byte nor a restart."""
    while True:
        at = data.index(b"\xff", at)
        if data[at + 1] != 0 and not 0xD0 <= data[at + 1] <= 0xD7:
            return at
        at += 2


def _other(kind: int, body: bytes) -> list[str]:
    if kind == 0xE0 and body[:5] == b"JFIF\0":
        return [] if len(body) == 14 and body[12:14] == b"\0\0" else ["a JFIF thumbnail"]
    if kind == 0xEE and body[:5] == b"Adobe":
        return [] if len(body) == 12 else ["bytes in the Adobe marker"]
    if kind == 0xE1 and body[:6] == b"Exif\0\0":
        return exif.findings(body[6:])
    return ["a comment" if kind == 0xFE else f"segment FF{kind:02X}"]
