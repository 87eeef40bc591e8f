"""GIF, for the check: images, their controls, the loop count and a clean profile; nothing else."""

from __future__ import annotations

from pipeline.anonymize.images.check import icc


def findings(data: bytes) -> list[str]:
    found: list[str] = []
    flags = data[10]
    at = 13 + (3 * 2 ** ((flags & 7) + 1) if flags & 128 else 0)
    while data[at] != 0x3B:
        if data[at] == 0x2C:
            flags = data[at + 9]
            at += 10 + (3 * 2 ** ((flags & 7) + 1) if flags & 128 else 0) + 1
            at, _ = _skip(data, at)
        elif data[at] == 0x21:
            label = data[at + 1]
            at, body = _skip(data, at + 2)
            found += _judge(label, body)
        else:
            return [*found, f"unknown block at {at}"]
    if at + 1 != len(data):
        found.append(f"{len(data) - at - 1} bytes after the end of the picture")
    return found


def _skip(data: bytes, at: int) -> tuple[int, bytes]:
    body = b""
    while data[at]:
        body += data[at + 1 : at + 1 + data[at]]
        at += 1 + data[at]
    return at + 1, body


def _judge(label: int, body: bytes) -> list[str]:
    if label == 0xF9:
        return [] if len(body) == 4 else ["bytes in a graphic control"]
    if label == 0xFF and body[:11] == b"NETSCAPE2.0":
        return [] if len(body) == 14 else ["bytes in the loop count"]
    if label == 0xFF and body[:11] == b"ICCRGBG1012":
        return icc.findings(body[11:])
    return ["a comment" if label == 0xFE else f"extension {label:#04x}"]
