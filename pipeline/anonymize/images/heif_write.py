"""Writing the boxes of a HEIF file: one fixed, bare form."""

from __future__ import annotations

import struct

from pipeline.anonymize.images.heif_boxes import Heif
from pipeline.anonymize.images.heif_tables import Item, Property

BRANDS = frozenset(
    b"mif1 mif2 miaf MiHA MiHB MiHE MiPr heic heix heim heis hevc hevx avif avis avio MA1A MA1B tmap".split()
)


def assemble(heif: Heif) -> bytes:
    """The file. Item numbers, properties and references stay; names and gaps do not."""
    items = [heif.items[number] for number in sorted(heif.items)]
    ftyp = _box(b"ftyp", _brands(heif.brand))
    # offsets have a fixed width: a first pass with zeros tells how long everything before the data is
    start = len(ftyp) + len(_meta(heif, items, 0)) + 8
    mdat = _box(b"mdat", b"".join(item.data for item in items))
    return ftyp + _meta(heif, items, start) + mdat


def _brands(body: bytes) -> bytes:
    """The major brand and those compatible ones that say something of a still picture."""
    compatible = [body[at : at + 4] for at in range(8, len(body) - 3, 4)]
    return body[:4] + bytes(4) + b"".join(dict.fromkeys(each for each in compatible if each in BRANDS))


def _meta(heif: Heif, items: list[Item], start: int) -> bytes:
    parts = [
        _full(b"hdlr", bytes(4) + b"pict" + bytes(13)),
        _full(b"pitm", struct.pack(">I", heif.primary), version=1),
        _iloc(items, start),
        _full(b"iinf", struct.pack(">I", len(items)) + b"".join(map(_infe, items)), version=1),
        _iref(heif),
        _iprp(items),
    ]
    return _full(b"meta", b"".join(parts))


def _iloc(items: list[Item], start: int) -> bytes:
    body = bytes((0x44, 0x00)) + struct.pack(">I", len(items))
    for item in items:
        body += struct.pack(">IHHHII", item.id, 0, 0, 1, start, len(item.data))
        start += len(item.data)
    return _full(b"iloc", body, version=2)


def _infe(item: Item) -> bytes:
    return _full(
        b"infe", struct.pack(">IH4s", item.id, 0, item.kind) + b"\0", version=3, flags=int(item.hidden)
    )


def _iref(heif: Heif) -> bytes:
    boxes = [
        _box(kind, struct.pack(f">IH{len(to)}I", source, len(to), *to))
        for kind, source, to in heif.references
    ]
    return _full(b"iref", b"".join(boxes), version=1) if boxes else b""


def _iprp(items: list[Item]) -> bytes:
    table: list[Property] = []
    places: dict[tuple[bytes, bytes], int] = {}
    body = struct.pack(">I", len(items))
    for item in items:
        body += struct.pack(">IB", item.id, len(item.properties))
        for found in item.properties:
            key = (found.kind, found.body)
            if key not in places:
                table.append(found)
                places[key] = len(table)
            body += struct.pack(">H", found.essential << 15 | places[key])
    ipco = _box(b"ipco", b"".join(_box(p.kind, p.body) for p in table))
    return _box(b"iprp", ipco + _full(b"ipma", body, version=1, flags=1))


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", len(body) + 8, kind) + body


def _full(kind: bytes, body: bytes, version: int = 0, flags: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags) + body)
