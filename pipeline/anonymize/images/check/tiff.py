"""TIFF, for the check: own walk through the directories; only tags that describe the picture may stand.

Every byte must belong to a directory, a value, a strip or a tile; what lies between is alignment: zeros.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise

from pipeline.anonymize.images.check import icc, jpeg

_PICTURE = {
    *(254, 256, 257, 258, 259, 262, 273, 274, 277, 278, 279, 282, 283, 284, 296, 301, 317, 318, 319, 320),
    *(322, 323, 324, 325, 332, 338, 339, 347, 529, 530, 531, 532, 34675),
}
_COUNTS = {318: {2}, 319: {6}, 529: {3}, 530: {2}, 532: {6}}
_ANY = {273, 279, 324, 325, 347, 34675}  # strips, tiles, and bytes that are looked at by themselves
_COLOURS = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3}
_SIZES = dict(enumerate((0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4))) | {16: 8, 17: 8, 18: 8}
_LETTERS = {1: "B", 3: "H", 4: "I", 7: "B", 16: "Q"}


@dataclass
class _Walk:
    data: bytes
    order: str
    big: bool
    used: list[tuple[int, int]] = field(default_factory=list)

    def read(self, letters: str, at: int) -> tuple[int, ...]:
        return struct.unpack_from(self.order + letters, self.data, at)

    def directory(self, at: int) -> tuple[dict[int, tuple[int, int, int]], int]:
        """Type, count and place of each tag's value, and where the next directory is."""
        head, each, inline = (8, 20, 8) if self.big else (2, 12, 4)
        word = "Q" if self.big else "I"
        (count,) = self.read("Q" if self.big else "H", at)
        entries = {}
        for place in range(at + head, at + head + count * each, each):
            tag, kind, number = self.read("HHQ" if self.big else "HHI", place)
            size = _SIZES.get(kind, 1) * number
            where = place + each - inline
            if size > inline:
                (where,) = self.read(word, where)
                self.used.append((where, where + size))
            entries[tag] = (kind, number, where)
        end = at + head + count * each
        self.used.append((at, end + inline))
        return entries, self.read(word, end)[0]

    def numbers(self, entry: tuple[int, int, int] | None) -> list[int]:
        if entry is None:
            return []
        kind, number, at = entry
        return list(self.read(f"{number}{_LETTERS[kind]}", at))


def findings(data: bytes) -> list[str]:
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", data, 2)[0] == 43
    walk = _Walk(data, order, big, [(0, 16 if big else 8)])
    (at,) = walk.read("Q" if big else "I", 8 if big else 4)
    found: list[str] = []
    seen = set[int]()
    while at:
        if at in seen:
            return [*found, "directories in a circle"]
        seen.add(at)
        entries, at = walk.directory(at)
        found += _judge(walk, entries)
    return found + _gaps(walk)


def _judge(walk: _Walk, entries: dict[int, tuple[int, int, int]]) -> list[str]:
    found = [f"TIFF tag {tag}" for tag in entries if tag not in _PICTURE]
    found += _miscounted(walk, entries)
    if any(value & 1 for value in walk.numbers(entries.get(254))):
        found.append("a preview page")
    if 34675 in entries:
        _, size, at = entries[34675]
        found += icc.findings(walk.data[at : at + size])
    starts = walk.numbers(entries.get(273) or entries.get(324))
    sizes = walk.numbers(entries.get(279) or entries.get(325))
    (compression,) = walk.numbers(entries.get(259)) or [1]
    for start, size in zip(starts, sizes, strict=True):
        walk.used.append((start, start + size))
        if compression == 7:
            found += jpeg.findings(walk.data[start : start + size])
        if compression in (8, 32946) and _goes_on(walk.data[start : start + size]):
            found.append("bytes behind a strip or tile")
    if compression == 1 and sum(sizes) > _uncompressed(walk, entries, len(sizes)):
        found.append("bytes behind a strip or tile")
    return found


def _miscounted(walk: _Walk, entries: dict[int, tuple[int, int, int]]) -> list[str]:
    """Tags with more, or other, values than their meaning asks for: they may say anything."""
    bits, samples, photometric = (_first(walk, entries, tag, 1) for tag in (258, 277, 262))
    counts = _COUNTS | {
        258: {1, samples},
        339: {1, samples},
        301: {1 << bits, 3 << bits},
        320: {3 << bits} if photometric == 3 else set(),
        338: {samples - _COLOURS.get(photometric, samples)},
    }
    found = [
        f"TIFF tag {tag} with {number} values"
        for tag, (_, number, _) in entries.items()
        if tag in _PICTURE - _ANY and number not in counts.get(tag, {1})
    ]
    curves = walk.numbers(entries.get(301))
    if any(low > high for i, (low, high) in enumerate(pairwise(curves), 1) if i % (1 << bits)):
        found.append("a transfer function that falls")
    return found


def _first(walk: _Walk, entries: dict[int, tuple[int, int, int]], tag: int, default: int) -> int:
    return (walk.numbers(entries.get(tag)) or [default])[0]


def _goes_on(segment: bytes) -> bool:
    """Whether something follows the compressed stream."""
    inflater = zlib.decompressobj()
    while segment and not inflater.eof:
        inflater.decompress(segment, 1 << 20)
        segment = inflater.unconsumed_tail
    return bool(inflater.unused_data)


def _uncompressed(walk: _Walk, entries: dict[int, tuple[int, int, int]], segments: int) -> int:
    """Bytes of the page's pixels, with the padding of tiles."""
    number = partial(_first, walk, entries)
    separate, samples = number(284, 1) == 2, number(277, 1)
    width, rows = number(322, number(256, 0)), number(323, number(257, 0))
    row = (width * (1 if separate else samples) * number(258, 1) + 7) // 8
    if 323 in entries:
        return segments * rows * row
    return rows * row * (samples if separate else 1)


def _gaps(walk: _Walk) -> list[str]:
    reached, stray = 0, 0
    for start, end in [*sorted(walk.used), (len(walk.data), len(walk.data))]:
        between = walk.data[reached:start]
        stray += len(between) if len(between) > 8 or any(between) else 0
        reached = max(reached, end)
    return [f"{stray} bytes that no directory names"] if stray else []
