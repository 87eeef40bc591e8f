"""ICC profiles: the colour is kept, the words and dates are not.

A profile may name its maker, a monitor and its serial number, the day somebody calibrated it. Only
elements that change colour are copied; description and copyright are required by the format, so
they are written anew. A description that is the public name of a standard space stays, because
software goes by it. Layout: ICC.1:2022, 7.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

_COLOUR_TAGS = frozenset(
    b"A2B0 A2B1 A2B2 A2B3 B2A0 B2A1 B2A2 B2A3 D2B0 D2B1 D2B2 D2B3 B2D0 B2D1 B2D2 B2D3 "
    b"rXYZ gXYZ bXYZ rTRC gTRC bTRC kTRC wtpt bkpt chad chrm lumi gamt pre0 pre1 pre2 cicp "
    b"tech view meas rig0 rig2 ciis".split()
)
_PUBLIC_NAMES = frozenset(
    {
        "sRGB",
        "sRGB built-in",
        "sRGB IEC61966-2.1",
        "sRGB IEC61966-2-1 black scaled",
        "sRGB v4 ICC preference",
        "Display P3",
        "Adobe RGB (1998)",
        "ProPhoto RGB",
        "ROMM RGB",
        "Rec. ITU-R BT.709-5",
        "Rec. ITU-R BT.2020-1",
        "Generic RGB Profile",
        "Generic Gray Profile",
        "Generic CMYK Profile",
        "Generic Gray Gamma 2.2 Profile",
        "Dot Gain 20%",
        "Dot Gain 15%",
        "Gray Gamma 2.2",
        "Coated FOGRA39 (ISO 12647-2:2004)",
        "U.S. Web Coated (SWOP) v2",
        "Apple RGB",
        "Apple Wide Color Sharing Profile",
        "c2",
        "uRGB",
    }
)
_SPACES = {b"RGB ": "RGB", b"GRAY": "GRAY", b"CMYK": "CMYK", b"Lab ": "LAB", b"XYZ ": "XYZ", b"YCbr": "YCBR"}
_CLASSES = (b"mntr", b"scnr", b"prtr", b"spac")
_DATE = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)


def clean_profile(profile: bytes) -> bytes | None:
    """The profile with neutral words, or None when it is damaged (viewers ignore it then, too).

    Transforms through the result are those of the source.
    """
    try:
        tags = _tags(profile)
    except (struct.error, ValueError):
        return None
    version4, space = profile[8] >= 4, _SPACES.get(profile[16:20])
    if (
        profile[8] not in (2, 4)
        or profile[12:16] not in _CLASSES
        or not space
        or profile[20:24] not in _SPACES
    ):
        return None
    name = _description(tags.get(b"desc", b""))
    kept = {key: _cut(data) for key, data in tags.items() if key in _COLOUR_TAGS and data[:4] in _TYPES}
    if not kept:
        return None
    words = {b"desc": name if name in _PUBLIC_NAMES else f"{space} profile", b"cprt": "none"}
    encode = _mluc if version4 else _text
    kept = {key: encode(key, text) for key, text in words.items()} | kept
    return _assemble(_clean_header(profile[:128]), kept)


def _tags(profile: bytes) -> dict[bytes, bytes]:
    if len(profile) < 132 or profile[36:40] != b"acsp":
        raise ValueError("no ICC profile")
    (count,) = struct.unpack_from(">I", profile, 128)
    if count > 200:
        raise ValueError("too many tags")
    tags = {}
    for i in range(count):
        key, start, size = struct.unpack_from(">4sII", profile, 132 + 12 * i)
        if start + size > len(profile):
            raise ValueError("tag outside the profile")
        tags[key] = profile[start : start + size]
    return tags


def _cut(element: bytes) -> bytes:
    """The element without what follows it; of a transform in parts, which lie anywhere, all of it."""
    return element[: _LENGTHS[element[:4]](element)] if element[:4] in _LENGTHS else element


def _curve(element: bytes) -> int:
    return 12 + 2 * int.from_bytes(element[8:12], "big")


def _parametric(element: bytes) -> int:
    return 12 + 4 * {0: 1, 1: 3, 2: 4, 3: 5, 4: 7}.get(int.from_bytes(element[8:10], "big"), 0)


def _table(element: bytes) -> int:
    """``mft1`` and ``mft2``: channels in and out, points of the grid, then curves, grid, curves."""
    inner, outer, points = element[8:11]
    if element[:4] == b"mft1":
        return int(48 + 256 * inner + points**inner * outer + 256 * outer)
    first, last = struct.unpack_from(">HH", element, 48)
    return int(52 + 2 * (first * inner + points**inner * outer + last * outer))


_LENGTHS: dict[bytes, Callable[[bytes], int]] = {
    b"XYZ ": lambda _: 20,
    b"curv": _curve,
    b"para": _parametric,
    b"sf32": lambda _: 44,  # chad alone has one: nine numbers
    b"mft1": _table,
    b"mft2": _table,
    b"sig ": lambda _: 12,
    b"meas": lambda _: 36,
    b"view": lambda _: 36,
    b"cicp": lambda _: 12,
    b"chrm": lambda element: 12 + 8 * int.from_bytes(element[8:10], "big"),
}
"""Bytes that an element of a type has (ICC.1:2022, 10)."""
_TYPES = frozenset({*_LENGTHS, b"mAB ", b"mBA ", b"mpet"})
"""What changes colour: none of them holds words."""


def _description(element: bytes) -> str:
    """The first text of a ``desc`` (version 2) or ``mluc`` (version 4) element."""
    if element[:4] == b"desc" and len(element) >= 12:
        (length,) = struct.unpack_from(">I", element, 8)
        return element[12 : 12 + length].rstrip(b"\0").decode("ascii", "replace")
    if element[:4] == b"mluc" and len(element) >= 28:
        length, start = struct.unpack_from(">II", element, 20)
        return element[start : start + length].decode("utf-16-be", "replace").rstrip("\0")
    return ""


def _clean_header(header: bytes) -> bytes:
    """Version, class, spaces, attributes, intent and illuminant stay; maker, model, dates and digest go."""
    kept = bytearray(128)
    for start, end in ((8, 24), (36, 40), (56, 64), (64, 80)):
        kept[start:end] = header[start:end]
    kept[24:36] = _DATE
    return bytes(kept)


def _assemble(header: bytes, tags: dict[bytes, bytes]) -> bytes:
    """Identical elements (the three curves, mostly) are stored once, as makers do."""
    start = 132 + 12 * len(tags)
    table, body, places = b"", b"", dict[bytes, int]()
    for key, data in tags.items():
        if data not in places:
            places[data] = start + len(body)
            body += data + bytes(-len(data) % 4)
        table += struct.pack(">4sII", key, places[data], len(data))
    return struct.pack(">I", start + len(body)) + header[4:] + struct.pack(">I", len(tags)) + table + body


def _mluc(_: bytes, text: str) -> bytes:
    encoded = text.encode("utf-16-be")
    return struct.pack(">4sIII2s2sII", b"mluc", 0, 1, 12, b"en", b"US", len(encoded), 28) + encoded


def _text(key: bytes, text: str) -> bytes:
    ascii_text = text.encode("ascii") + b"\0"
    if key == b"cprt":
        return b"text" + bytes(4) + ascii_text
    return b"desc" + bytes(4) + struct.pack(">I", len(ascii_text)) + ascii_text + bytes(4 + 4 + 2 + 1 + 67)
