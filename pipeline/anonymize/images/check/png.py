"""PNG, for the check: each chunk must be on the list, and the picture data must be the picture alone."""

from __future__ import annotations

import zlib

from pipeline.anonymize.images.check import exif, icc

_PICTURE = {"IHDR", "IDAT", "IEND", "acTL", "fcTL", "fdAT"}
_COLOUR = {"gAMA": 4, "cHRM": 32, "sRGB": 1, "cICP": 4, "mDCV": 24, "cLLI": 8, "pHYs": 9}  # exact sizes
_SHORT = {"sBIT": 4, "bKGD": 6}  # at most


def findings(data: bytes) -> list[str]:
    found: list[str] = []
    at, name, colour, palette = 8, "", data[25], 0
    streams: list[zlib._Decompress] = []
    while name != "IEND":
        length = int.from_bytes(data[at : at + 4], "big")
        name = data[at + 4 : at + 8].decode("latin1")
        body = data[at + 8 : at + 8 + length]
        at += 12 + length
        if name == "fcTL" or (name == "IDAT" and not streams):
            streams.append(zlib.decompressobj())
        if name in ("IDAT", "fdAT"):
            _skim(streams[-1], body[4 if name == "fdAT" else 0 :])
        if name == "PLTE":
            palette = len(body)
            found += [] if colour == 3 and palette <= 768 else ["chunk PLTE"]
        elif name == "tRNS":
            longest = {0: 2, 2: 6, 3: palette // 3}.get(colour, 0)
            found += [] if len(body) <= longest else ["bytes in chunk tRNS"]
        else:
            found += _judge(name, body)
    if any(not stream.eof or stream.unused_data for stream in streams):
        found.append("bytes beside the picture data")
    if at != len(data):
        found.append(f"{len(data) - at} bytes after the end of the picture")
    return found


def _skim(inflater: zlib._Decompress, body: bytes) -> None:
    """Inflate in small pieces and forget: only where the stream ends matters."""
    while body and not inflater.eof:
        inflater.decompress(body, 1 << 20)
        body = inflater.unconsumed_tail


def _judge(name: str, body: bytes) -> list[str]:
    if name in _PICTURE:
        return []
    if name in _COLOUR or name in _SHORT:
        fits = len(body) == _COLOUR[name] if name in _COLOUR else len(body) <= _SHORT[name]
        return [] if fits else [f"bytes in chunk {name}"]
    if name == "eXIf":
        return exif.findings(body)
    if name == "iCCP":
        title, _, packed = body.partition(b"\0")
        return ([] if title == b"icc" else ["the ICC profile's name"]) + icc.findings(
            zlib.decompress(packed[1:])
        )
    return [f"chunk {name}"]
