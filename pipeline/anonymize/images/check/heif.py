"""HEIC and AVIF, for the check: own walk; only pictures as items, and every byte of data is one's."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.anonymize.images.check import icc

_TOP = {b"ftyp", b"meta", b"mdat"}
_META = {b"hdlr", b"pitm", b"iloc", b"iinf", b"iref", b"iprp"}
_PICTURES = {b"hvc1", b"av01", b"grid", b"iovl", b"iden"}
_PROPERTIES = {
    *(
        b"ispe",
        b"pixi",
        b"hvcC",
        b"av1C",
        b"colr",
        b"irot",
        b"imir",
        b"pasp",
        b"auxC",
        b"clap",
        b"a1op",
        b"a1lx",
    ),
    *(b"lsel", b"clli", b"mdcv", b"cclv", b"amve"),
}

_LONGEST = {
    b"ispe": 12,
    b"irot": 1,
    b"imir": 1,
    b"pixi": 21,
    b"pasp": 8,
    b"clap": 32,
    b"clli": 4,
    b"mdcv": 24,
}


def _number(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _walk(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(data):
        size = _number(data[at : at + 4])
        if size < 8 or at + size > len(data):
            raise ValueError("box size")
        yield data[at + 4 : at + 8], data[at + 8 : at + size]
        at += size


def findings(data: bytes) -> list[str]:
    found, coded, named = [], 0, 0
    for kind, body in _walk(data):
        if kind == b"ftyp" and (any(body[4:8]) or len(body) > 80 or not body.isascii()):
            found.append("bytes among the brands")
        if kind not in _TOP:
            found.append(f"box {kind.decode('latin1')}")
        coded += len(body) if kind == b"mdat" else 0
        for inner, content in _walk(body[4:]) if kind == b"meta" else ():
            found += _judge(inner, content)
            named += _lengths(content) if inner == b"iloc" else 0
    return found if coded == named else [*found, f"{coded - named} bytes of data that no item names"]


def _judge(kind: bytes, body: bytes) -> list[str]:
    if kind not in _META:
        return [f"box {kind.decode('latin1')}"]
    if kind == b"hdlr":
        return ["a handler's name"] if any(body[12:]) else []
    if kind == b"iinf":
        return [w for _, entry in _walk(body[8:]) for w in _item(entry)]
    if kind == b"iref":
        links = [name for name, _ in _walk(body[4:])]
        return [
            f"reference {name.decode('latin1')}" for name in links if name not in (b"dimg", b"auxl", b"prem")
        ]
    if kind == b"iprp":
        (container,) = (content for name, content in _walk(body) if name == b"ipco")
        return [w for name, content in _walk(container) for w in _property(name, content)]
    return []


def _item(entry: bytes) -> list[str]:
    kind = entry[10:14]
    found = [] if kind in _PICTURES else [f"item {kind.decode('latin1').strip()}"]
    return found if not any(entry[14:]) else [*found, "an item's name"]


def _property(kind: bytes, body: bytes) -> list[str]:
    if kind == b"colr" and body[:4] in (b"prof", b"rICC"):
        return icc.findings(body[4:])
    if kind == b"auxC" and b"alpha" not in body and not body.endswith(b"auxid:1\0"):
        return ["an auxiliary picture"]
    if kind == b"colr" and (body[:4] not in (b"nclx", b"nclc") or len(body) > 11):
        return ["colr of an unknown kind"]
    if len(body) > _LONGEST.get(kind, len(body)):
        return [f"bytes in property {kind.decode('latin1')}"]
    return [] if kind in _PROPERTIES else [f"property {kind.decode('latin1')}"]


def _lengths(body: bytes) -> int:
    """The sum of all items' lengths, in the one form of iloc that Veil writes."""
    if body[0] != 2 or body[4:6] != b"\x44\0":
        raise ValueError("iloc form")
    return sum(_number(body[10 + 18 * i + 14 : 10 + 18 * i + 18]) for i in range(_number(body[6:10])))
