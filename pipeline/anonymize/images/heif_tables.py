"""The tables of a HEIF file: items, their properties, references and places (ISO/IEC 14496-12, 8.11)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.anonymize.images.icc import clean_profile

_PROPERTIES = frozenset(
    b"ispe pixi hvcC av1C colr irot imir pasp auxC clap a1op a1lx lsel clli mdcv cclv amve".split()
)
_SIZES = {
    b"ispe": 12, b"irot": 1, b"imir": 1, b"pasp": 8, b"clap": 32, b"a1op": 1, b"lsel": 2, b"clli": 4,
    b"mdcv": 24, b"cclv": 37, b"amve": 8,
}  # fmt: skip
"""Bytes of properties that have always as many, at most (cclv)."""
_COLOURS = {b"nclx": 11, b"nclc": 10}
"""Bytes of a colr property by its type, but for profiles."""
METHOD_FILE, METHOD_IDAT = 0, 1


class BoxError(ValueError):
    """The box structure is broken."""


class BoxRefused(ValueError):
    """A structure that is fine, but cannot be written again."""


@dataclass(frozen=True)
class Property:
    kind: bytes
    body: bytes
    essential: bool = False


@dataclass(frozen=True)
class Item:
    """One item: its type, properties, and data."""

    id: int
    kind: bytes
    hidden: bool
    properties: tuple[Property, ...] = ()
    data: bytes = b""

    def find(self, kind: bytes) -> bytes | None:
        """The body of its first property of a kind."""
        return next((p.body for p in self.properties if p.kind == kind), None)


def boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Type, start and end of the content of each box.

    Raises:
        BoxError: a box runs beyond its parent.
    """
    while at < end:
        if at + 8 > end:
            raise BoxError("stray bytes between boxes")
        size, kind, head = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        size = size or end - at
        if size < head or at + size > end:
            raise BoxError("a box runs beyond the file: it is truncated")
        yield kind, at + head, at + size
        at += size


def infos(data: bytes, at: int, end: int) -> dict[int, Item]:
    items = {}
    for kind, start, _ in boxes(data, at + (6 if data[at] == 0 else 8), end):
        if kind != b"infe" or data[start] not in (2, 3):
            raise BoxRefused("items of an old version")
        wide = data[start] == 3
        number, _, name = struct.unpack_from(">IH4s" if wide else ">HH4s", data, start + 4)
        items[number] = Item(number, name, bool(data[start + 3] & 1))
    return items


def properties(data: bytes, at: int, end: int, removed: list[str]) -> dict[int, tuple[Property, ...]]:
    found: list[tuple[bytes, bytes]] = []
    of: dict[int, tuple[Property, ...]] = {}
    parts = list(boxes(data, at, end))
    for kind, start, stop in parts:
        if kind == b"ipco":
            found = [(k, data[a:b]) for k, a, b in boxes(data, start, stop)]
    for kind, start, _ in parts:
        if kind == b"ipma":
            for number, essential, index in _associations(data, start):
                if index:
                    kept = _property(*found[index - 1], essential, removed)
                    of[number] = of.get(number, ()) + ((kept,) if kept else ())
    return of


def _associations(data: bytes, at: int) -> Iterator[tuple[int, bool, int]]:
    version, wide = data[at], data[at + 3] & 1
    (count,) = struct.unpack_from(">I", data, at + 4)
    at += 8
    for _ in range(count):
        size = 2 if version < 1 else 4
        number = int.from_bytes(data[at : at + size], "big")
        entries = data[at + size]
        at += size + 1
        for _ in range(entries):
            value = int.from_bytes(data[at : at + 1 + wide], "big")
            at += 1 + wide
            bit = 15 if wide else 7
            yield number, bool(value >> bit), value & ((1 << bit) - 1)


def _property(kind: bytes, body: bytes, essential: bool, removed: list[str]) -> Property | None:
    if kind == b"colr" and body[:4] in (b"prof", b"rICC"):
        profile = clean_profile(body[4:])
        if profile is None:
            removed.append("ICC profile (damaged)")
            return None
        return Property(kind, body[:4] + profile, essential)
    if kind in _PROPERTIES and (kind != b"colr" or body[:4] in _COLOURS):
        return Property(kind, body[: _length(kind, body)], essential)
    if essential:
        raise BoxRefused(f"the essential property {kind.decode('latin1')}")
    removed.append(f"property {kind.decode('latin1')}")
    return None


def _length(kind: bytes, body: bytes) -> int:
    """Bytes that a property has; a codec's settings, whose form is the codec's own, are taken whole."""
    if kind == b"auxC":
        return body.index(b"\0", 4) + 1
    if kind == b"colr":
        return _COLOURS[body[:4]]
    if kind == b"pixi":
        return 5 + body[4]
    if kind == b"a1lx":
        return 1 + 3 * (4 if body[0] & 1 else 2)
    return _SIZES.get(kind, len(body))


def references(data: bytes, at: int, end: int) -> list[tuple[bytes, int, tuple[int, ...]]]:
    letter = "I" if data[at] else "H"
    found = []
    for kind, start, _ in boxes(data, at + 4, end):
        number, count = struct.unpack_from(f">{letter}H", data, start)
        to = struct.unpack_from(f">{count}{letter}", data, start + struct.calcsize(f">{letter}H"))
        found.append((kind, number, to))
    return found


def locations(data: bytes, at: int, end: int) -> dict[int, tuple[int, list[tuple[int, int]]]]:
    """For each item the construction method, and offset and length of its extents."""
    version = data[at]
    sizes = data[at + 4] >> 4, data[at + 4] & 15, data[at + 5] >> 4, data[at + 5] & 15
    offset_size, length_size, base_size, index_size = sizes[0], sizes[1], sizes[2], sizes[3] if version else 0
    at += 6

    def number(size: int) -> int:
        nonlocal at
        if at + size > end:
            raise BoxError("item locations are truncated")
        at += size
        return int.from_bytes(data[at - size : at], "big")

    found = {}
    for _ in range(number(2 if version < 2 else 4)):
        item = number(2 if version < 2 else 4)
        method = number(2) & 15 if version else METHOD_FILE
        if number(2):
            raise BoxRefused("data in another file")
        base = number(base_size)
        extents = []
        for _ in range(number(2)):
            number(index_size)
            extents.append((base + number(offset_size), number(length_size)))
        found[item] = (method, extents)
    return found
