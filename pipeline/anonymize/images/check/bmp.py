"""BMP, for the check: every byte belongs to a header, the palette, the rows or a clean profile."""

from __future__ import annotations

from pipeline.anonymize.images.check import icc


def _number(data: bytes, at: int, size: int = 4) -> int:
    return int.from_bytes(data[at : at + size], "little")


def findings(data: bytes) -> list[str]:
    found = []
    start, header = _number(data, 10), _number(data, 14)
    core = header == 12
    width, height, bits = (
        (_number(data, 18, 2), _number(data, 20, 2), _number(data, 24, 2))
        if core
        else (_number(data, 18), _number(data, 22), _number(data, 28, 2))
    )
    height = min(height, 2**32 - height)
    masks = 0 if core or header != 40 else {3: 12, 6: 16}.get(_number(data, 30), 0)
    colours = 0 if bits > 8 else (0 if core else _number(data, 46)) or 1 << bits
    if start != 14 + header + masks + colours * (3 if core else 4):
        found.append("bytes before the pixels")
    row = -(-width * bits // 8)
    stride = -(-row // 4) * 4
    end = start + stride * height
    if stride > row and any(
        data[start + i * stride + row : start + (i + 1) * stride] != bytes(stride - row)
        for i in range(height)
    ):
        found.append("bytes in the rows' padding")
    if any(data[6:10]):
        found.append("bytes in the file header")
    if header == 124 and data[70:74] == b"KNIL":
        found.append("a linked profile")
    if header == 124 and data[70:74] == b"DEBM":
        size = _number(data, 14 + 116)
        found += icc.findings(data[end : end + size])
        end += size
    return found if end == len(data) else [*found, f"{len(data) - end} bytes after the end of the picture"]
