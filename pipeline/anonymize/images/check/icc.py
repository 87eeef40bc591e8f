"""ICC profiles, for the check: no words beyond a colour space's name, no maker, no date of its own."""

from __future__ import annotations

import io
import re
import struct

from PIL import ImageCms

_NEUTRAL = re.compile(r"^(|none|[A-Z0-9]{1,4} profile)$")
_SPACES = re.compile(
    r"^(sRGB( built-in| IEC61966-2\.1| IEC61966-2-1 black scaled| v4 ICC preference)?|uRGB|c2|Display P3"
    r"|Apple (Wide Color Sharing Profile|RGB)|Adobe RGB \(1998\)|(ProPhoto|ROMM) RGB"
    r"|Rec\. ITU-R BT\.(709-5|2020-1)|Generic (RGB|Gray|CMYK|Gray Gamma 2\.2) Profile|Dot Gain \d\d%"
    r"|Gray Gamma 2\.2|Coated FOGRA39 \(ISO 12647-2:2004\)|U\.S\. Web Coated \(SWOP\) v2)$"
)
_PRIVATE = (
    b"dmnd",
    b"dmdd",
    b"vcgt",
    b"targ",
    b"calt",
    b"mmod",
    b"ndin",
    b"meta",
    b"DevD",
    b"CIED",
    b"pseq",
    b"psid",
)

_FIXED = {b"XYZ ": 20, b"sf32": 44, b"sig ": 12, b"meas": 36, b"view": 36, b"cicp": 12}
_NUMBERS = {*_FIXED, b"curv", b"para", b"mft1", b"mft2", b"mAB ", b"mBA ", b"mpet", b"chrm"}


def findings(profile: bytes) -> list[str]:
    """Texts and private elements of a profile, read by LittleCMS."""
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile
    except (OSError, ImageCms.PyCMSError):
        return ["an ICC profile that cannot be read"]
    found = []
    for name in (
        "profile_description",
        "copyright",
        "manufacturer",
        "model",
        "screening_description",
        "target",
    ):
        text = (getattr(opened, name) or "").strip()
        if not (_NEUTRAL.match(text) or _SPACES.match(text)):
            found.append(f"ICC {name}")
    if any(profile[48:56]) or any(profile[80:100]):
        found.append("ICC maker, model or digest")
    if profile[24:36] != bytes.fromhex("07d000010001000000000000"):
        found.append("ICC date")
    count = int.from_bytes(profile[128:132], "big")
    table = [profile[132 + 12 * i : 136 + 12 * i] for i in range(count)]
    found += [f"ICC {tag.decode('latin1')}" for tag in table if tag in _PRIVATE]
    for i in range(count):
        tag, start, size = struct.unpack_from(">4sII", profile, 132 + 12 * i)
        kind = profile[start : start + 4]
        if tag not in (b"desc", b"cprt") and kind not in _NUMBERS:
            found.append(f"ICC {tag.decode('latin1')} of type {kind.decode('latin1')}")
        if size > _FIXED.get(kind, size):
            found.append(f"bytes in ICC {tag.decode('latin1')}")
    return found
