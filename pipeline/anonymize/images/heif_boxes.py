"""HEIF (HEIC, AVIF) as its boxes: ISO/IEC 23008-12 and 14496-12.

A file is a set of items (coded pictures, grids of them, EXIF, thumbnails) with properties. It is
written anew from the primary picture, what that is made of, and its alpha; nothing else has a place.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field, replace

from pipeline.anonymize.images import heif_tables as tables
from pipeline.anonymize.images.heif_tables import (
    METHOD_FILE,
    METHOD_IDAT,
    BoxError,
    BoxRefused,
    Item,
    Property,
    boxes,
)

_ALPHA = (b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1")
_PICTURES = (b"hvc1", b"av01", b"grid", b"iovl", b"iden")
_NAMES = {b"Exif": "EXIF", b"mime": "XMP", b"uri ": "uri item", b"tmap": "gain map"}


@dataclass
class Heif:
    """A parsed file, reduced to what is kept."""

    brand: bytes  # the payload of ftyp
    primary: int
    items: dict[int, Item]
    references: list[tuple[bytes, int, tuple[int, ...]]]
    removed: list[str] = field(default_factory=list)

    @property
    def first(self) -> Item:
        return self.items[self.primary]

    def size(self, item: Item | None = None) -> tuple[int, int]:
        """Width and height before rotation, by the header.

        Raises:
            BoxError: none is given.
        """
        body = (item or self.first).find(b"ispe")
        if body is None or len(body) < 12:
            raise BoxError("a picture without a size (ispe)")
        width, height = struct.unpack_from(">II", body, 4)
        return width, height


def parse(data: bytes) -> Heif:
    """Read the items and keep what belongs to the primary picture.

    Raises:
        BoxError: broken or truncated. BoxRefused: cannot be written again.
    """
    try:
        return _parse(data)
    except (struct.error, IndexError, KeyError) as error:
        raise BoxError("the structure of items is damaged") from error


def _parse(data: bytes) -> Heif:
    top = {kind: (at, end) for kind, at, end in boxes(data, 0, len(data))}
    if b"moov" in top:
        raise BoxRefused("an image sequence")
    at, end = top[b"meta"]
    parts = {kind: (start, stop) for kind, start, stop in boxes(data, at + 4, end)}
    removed = [
        f"box {k.decode('latin1')}" for k in top if k not in (b"ftyp", b"meta", b"mdat", b"free", b"skip")
    ]
    start, stop = parts[b"pitm"]
    primary = int.from_bytes(data[start + 4 : stop], "big")
    items = tables.infos(data, *parts[b"iinf"])
    properties = tables.properties(data, *parts[b"iprp"], removed)
    references = tables.references(data, *parts[b"iref"]) if b"iref" in parts else []
    idat = data[slice(*parts[b"idat"])] if b"idat" in parts else b""
    places = tables.locations(data, *parts[b"iloc"])
    kept = _kept(items, properties, references, primary, removed)
    whole = {
        i: replace(items[i], properties=properties.get(i, ()), data=_data(places[i], data, idat))
        for i in kept
    }
    links = [(k, f, tuple(t for t in to if t in kept)) for k, f, to in references if f in kept]
    links = [link for link in links if link[0] in (b"dimg", b"auxl", b"prem") and link[2]]
    return Heif(data[slice(*top[b"ftyp"])], primary, whole, links, removed)


def _data(place: tuple[int, list[tuple[int, int]]], data: bytes, idat: bytes) -> bytes:
    method, extents = place
    if method not in (METHOD_FILE, METHOD_IDAT):
        raise BoxRefused("items made of other items' bytes")
    source = data if method == METHOD_FILE else idat
    if sum(length for _, length in extents) > len(source):
        raise BoxError("an item is longer than the file: it is truncated")
    parts = []
    for start, length in extents:
        length = length or len(source) - start
        if start + length > len(source):
            raise BoxError("an item lies beyond the file: it is truncated")
        parts.append(source[start : start + length])
    return b"".join(parts)


def _kept(
    items: dict[int, Item],
    properties: dict[int, tuple[Property, ...]],
    references: list[tuple[bytes, int, tuple[int, ...]]],
    primary: int,
    removed: list[str],
) -> set[int]:
    """The primary picture, what it is derived from, and its alpha with what that is derived from."""
    kept, queue = set[int](), [primary]
    while queue:
        number = queue.pop()
        if number in kept:
            continue
        kept.add(number)
        if items[number].kind not in _PICTURES:
            raise BoxRefused(f"a picture of kind {items[number].kind.decode('latin1')}")
        queue += [t for kind, source, to in references if kind == b"dimg" and source == number for t in to]
        queue += [
            s
            for kind, s, to in references
            if kind == b"auxl" and number in to and _alpha(properties.get(s, ()))
        ]
    side = {s for kind, s, _ in references if kind in (b"auxl", b"thmb")}
    parts = {t for kind, _, to in references if kind == b"dimg" for t in to}
    for number in items.keys() - kept:
        item = items[number]
        if item.kind in _PICTURES and number not in side | parts and not item.hidden:
            raise BoxRefused("several pictures in one file")
        what = (
            "auxiliary or thumbnail picture"
            if item.kind in _PICTURES
            else f"item {item.kind.decode('latin1')}"
        )
        removed.append(_NAMES.get(item.kind, what))
    return kept


def _alpha(properties: tuple[Property, ...]) -> bool:
    return any(p.kind == b"auxC" and p.body[4:].rstrip(b"\0") in _ALPHA for p in properties)
