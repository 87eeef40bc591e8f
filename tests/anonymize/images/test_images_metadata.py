"""Metadata is an allow-list: secrets in every corner of a format are gone, and the checker sees each."""

from __future__ import annotations

import io
import json
import shutil
import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from pipeline.anonymize.images import check_clean, tiff_tags, write_picture
from pipeline.anonymize.images.png_chunks import chunk
from tests.anonymize.images.makers import (
    SECRET,
    by_tifffile,
    encoded,
    exif,
    opened,
    profile,
    rewritten,
    texture,
)

AFTER = "bytes after the end of the picture"
JPEG_PARTS = {
    "comment": (b"\xff\xfe", SECRET),
    "XMP": (b"\xff\xe1", b"http://ns.adobe.com/xap/1.0/\0<x>" + SECRET + b"</x>"),
    "XMP (extended)": (b"\xff\xe1", b"http://ns.adobe.com/xmp/extension/\0" + SECRET),
    "Photoshop and IPTC": (b"\xff\xed", b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x0b" + SECRET),
    "MPF (further pictures)": (b"\xff\xe2", b"MPF\0" + SECRET),
    "JFXX thumbnail": (b"\xff\xe0", b"JFXX\0\x10" + SECRET),
    "APP5": (b"\xff\xe5", SECRET),
    "JUMBF (provenance)": (b"\xff\xeb", b"JP" + SECRET),
    "EXIF Make": (b"\xff\xe1", exif(6, thumbnail=True)),
}


def _segment(marker: bytes, payload: bytes) -> bytes:
    return marker + struct.pack(">H", len(payload) + 2) + payload


def jpeg(*names: str, trailer: bytes = b"") -> bytes:
    plain = encoded(texture(40, 56), "JPEG", quality=90)
    return plain[:20] + b"".join(_segment(*JPEG_PARTS[name]) for name in names) + plain[20:] + trailer


def jfif_thumbnail() -> bytes:
    plain = encoded(texture(40, 56), "JPEG", quality=90)
    thumbnail = (SECRET * 2)[: 3 * 7]
    return plain[:2] + _segment(b"\xff\xe0", plain[6:18] + b"\x07\x01" + thumbnail) + plain[20:]


def between_scans() -> bytes:
    """A comment between the scans of a progressive JPEG, where few look."""
    data = encoded(texture(40, 56), "JPEG", progressive=True)
    second = data.index(b"\xff\xda", data.index(b"\xff\xda") + 2)
    return data[:second] + _segment(b"\xff\xfe", SECRET) + data[second:]


def png(*chunks: tuple[bytes, bytes], trailer: bytes = b"", late: bool = False) -> bytes:
    plain = encoded(texture(40, 56), "PNG")
    at = len(plain) - 12 if late else 33
    return plain[:at] + b"".join(chunk(*c) for c in chunks) + plain[at:] + trailer


def hidden_in_idat() -> bytes:
    """Bytes after the compressed stream, inside the picture data chunk."""
    plain = encoded(texture(20, 20), "PNG")
    at = plain.index(b"IDAT")
    (size,) = struct.unpack_from(">I", plain, at - 4)
    return plain[: at - 4] + chunk(b"IDAT", plain[at + 4 : at + 4 + size] + SECRET) + plain[at + 8 + size :]


def webp(*chunks: tuple[bytes, bytes], **options: object) -> bytes:
    plain = encoded(texture(40, 56), "WEBP", exif=exif(6), xmp=SECRET, **options)  # type: ignore[arg-type]
    body = plain[8:] + b"".join(n + struct.pack("<I", len(b)) + b + bytes(len(b) & 1) for n, b in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def gif() -> bytes:
    frames = [Image.fromarray(texture(30, 40, seed=i)).quantize(64) for i in range(3)]
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:], duration=70, loop=2, comment=SECRET)
    data = out.getvalue()
    xmp = b"\x21\xff\x0bXMP DataXMP" + bytes((len(SECRET),)) + SECRET + b"\0"
    plain_text = b"\x21\x01\x0c" + bytes(12) + bytes((len(SECRET),)) + SECRET + b"\0"
    application = b"\x21\xff\x0bPRIVATE 1.0" + bytes((len(SECRET),)) + SECRET + b"\0"
    return data[:-1] + xmp + plain_text + application + b"\x3b" + SECRET


def tiff() -> bytes:
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as writer:
        writer.write(
            texture(40, 56),
            photometric="rgb",
            description=SECRET.decode(),
            software=SECRET.decode(),
            datetime=True,
            subifds=1,
            iccprofile=profile(),
            resolution=(300, 300),
            resolutionunit=2,
            metadata=None,
            extratags=[
                (274, "H", 1, 6, True),
                (65000, "s", 0, SECRET.decode(), True),
                (700, "B", len(SECRET), SECRET, True),
                (33723, "B", len(SECRET), SECRET, True),
            ],
        )
        writer.write(
            texture(10, 14), photometric="rgb", subfiletype=1, description=SECRET.decode(), metadata=None
        )
    return out.getvalue() + SECRET


def tiff_with_preview() -> bytes:
    pages = [texture(40, 56), texture(10, 14)]
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as writer:
        for page, kind in zip(pages, (0, 1), strict=True):
            writer.write(page, photometric="rgb", subfiletype=kind, metadata=None, software=False)
    return out.getvalue()


def tiff_tables(*tags: tuple[int, str, int]) -> bytes:
    """Words as the numbers of tags that describe a picture: number, type and count of each."""
    extra = []
    for code, form, count in tags:
        size = struct.calcsize(f"<{count}{form[-1]}")
        numbers = struct.unpack(f"<{count}{form[-1]}", SECRET.ljust(size, b"\0")[:size])
        extra.append((code, form, count // len(form), numbers, True))
    return by_tifffile([texture(40, 56)], photometric="rgb", software=False, extratags=extra)


def tiff_jpeg() -> bytes:
    """A comment inside a strip that is a JPEG."""
    strip = jpeg("comment")
    out = io.BytesIO()
    with tifffile.TiffWriter(out) as writer:
        writer.write(
            iter([strip]), shape=(40, 56, 3), dtype=np.uint8, photometric="ycbcr", compression="jpeg",
            subsampling=(2, 2), rowsperstrip=40, metadata=None, software=False,
        )  # fmt: skip
    return out.getvalue()


def tiff_behind_a_strip(compression: str | None) -> bytes:
    """The last strip is said to be longer than it is, and holds more."""
    out = io.BytesIO()
    tifffile.imwrite(
        out, texture(40, 56), photometric="rgb", rowsperstrip=16, compression=compression, metadata=None,
        software=False,
    )  # fmt: skip
    data = bytearray(out.getvalue() + SECRET)
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as file:
        page = file.pages.first
        tag = page.tags[279]
        size = len(data) - page.dataoffsets[-1]
        form = "<H" if tag.dtype == 3 else "<I"
        struct.pack_into(form, data, tag.valueoffset + 2 * struct.calcsize(form), size)
    return bytes(data)


def bmp() -> bytes:
    plain = bytearray(encoded(texture(40, 57), "BMP"))
    plain[6:10] = b"LEAK"
    row = 57 * 3
    stride = -(-row // 4) * 4
    plain[54 + row : 54 + stride] = b"X" * (stride - row)  # padding of the first row
    return bytes(plain) + SECRET


def heif(format: str) -> Callable[[], bytes]:
    def make() -> bytes:
        import pillow_heif

        pillow_heif.register_heif_opener()
        return encoded(texture(64, 80), format, quality=70, exif=exif(1, thumbnail=True), xmp=SECRET)

    return make


MAKERS: dict[str, tuple[Callable[[], bytes], set[str]]] = {
    **{f"jpeg {name}": ((lambda n=name: jpeg(n)), {name}) for name in JPEG_PARTS},
    "jpeg trailer": (lambda: jpeg(trailer=b"\0\0\0\x18ftypmp42" + SECRET), {AFTER}),
    "jpeg jfif thumbnail": (jfif_thumbnail, {"JFIF thumbnail"}),
    "jpeg between scans": (between_scans, {"comment"}),
    "jpeg icc": (lambda: encoded(texture(30, 40), "JPEG", icc_profile=private_profile()), set()),
    "png text": (
        lambda: png(
            (b"tEXt", b"Author\0" + SECRET),
            (b"zTXt", b"Comment\0\0" + zlib.compress(SECRET)),
            (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + SECRET),
            (b"tIME", struct.pack(">HBBBBB", 2024, 1, 2, 3, 4, 5)),
        ),
        {"tEXt (text)", "zTXt (text)", "iTXt (text)", "tIME (time)"},
    ),
    "png exif": (
        lambda: png((b"eXIf", exif(6, thumbnail=True)[6:])),
        {"EXIF Make", "EXIF GPS", "EXIF thumbnail (IFD1)"},
    ),
    "png transparency": (
        lambda: png((b"tRNS", bytes(6) + SECRET)), {"tRNS (bytes that are no transparency)"}
    ),
    "png palette": (
        lambda: png((b"PLTE", SECRET + bytes(-len(SECRET) % 3))), {"PLTE (a palette that no pixel uses)"}
    ),
    "png late": (lambda: png((b"tEXt", b"Author\0" + SECRET), late=True), {"tEXt (text)"}),
    "png private": (lambda: png((b"prVt", SECRET), (b"caBX", SECRET)), {"prVt chunk", "caBX chunk"}),
    "png trailer": (lambda: png(trailer=SECRET), {AFTER}),
    "png hidden": (hidden_in_idat, set()),
    "png icc": (lambda: encoded(texture(30, 40), "PNG", icc_profile=private_profile()), set()),
    "jpeg icc, behind numbers": (
        lambda: encoded(texture(30, 40), "JPEG", icc_profile=private_profile({b"wtpt": SECRET})), set()
    ),
    "jpeg icc, words for numbers": (
        lambda: encoded(texture(30, 40), "JPEG", icc_profile=private_profile({b"tech": TEXT})), set()
    ),
    "webp": (
        lambda: webp((b"prVt", SECRET), lossless=True, icc_profile=private_profile()),
        {"XMP", "EXIF Make", "chunk prVt"},
    ),
    "webp lossy": (lambda: webp() + SECRET, {"XMP", AFTER}),
    "gif": (gif, {"comment", "XMP", "plain text extension", "application extension"}),
    "tiff": (tiff, {f"TIFF {n}" for n in ("ImageDescription", "Software", "SubIFDs", "XMP", "65000")}),
    "tiff preview": (tiff_with_preview, {"preview pages"}),
    "tiff tables": (
        lambda: tiff_tables((301, "H", 9), (320, "H", 768), (319, "2I", 14), (532, "2I", 14)),
        {"TIFF TransferFunction", "TIFF ColorMap", "TIFF PrimaryChromaticities", "TIFF ReferenceBlackWhite"},
    ),
    "tiff curve": (lambda: tiff_tables((301, "H", 256)), {"TIFF TransferFunction"}),
    "tiff unit": (lambda: tiff_tables((332, "H", 6)), set()),
    "tiff jpeg": (tiff_jpeg, set()),
    "tiff strip": (lambda: tiff_behind_a_strip(None), set()),
    "tiff deflate": (lambda: tiff_behind_a_strip("zlib"), set()),
    "bmp": (bmp, {"bytes outside the picture"}),
    "heic": (heif("HEIF"), {"EXIF", "XMP"}),
    "avif": (heif("AVIF"), {"EXIF", "XMP"}),
}  # fmt: skip


TEXT = b"text\0\0\0\0" + SECRET


def private_profile(more: dict[bytes, bytes] | None = None) -> bytes:
    """The sRGB profile, with a monitor's name and serial number where makers put them.

    Args:
        more: put behind these elements.
    """
    tags = {b"desc": SECRET + b" monitor", b"cprt": b"(c) " + SECRET, b"dmnd": SECRET, b"mmod": SECRET}
    base = profile()
    (count,) = struct.unpack_from(">I", base, 128)
    kept = {}
    for i in range(count):
        key, start, size = struct.unpack_from(">4sII", base, 132 + 12 * i)
        kept[key] = base[start : start + size]
    for key, text in tags.items():
        words = text.decode().encode("utf-16-be")
        kept[key] = struct.pack(">4sIII2s2sII", b"mluc", 0, 1, 12, b"en", b"US", len(words), 28) + words
    for key, data in (more or {}).items():
        kept[key] = kept.get(key, b"") + data
    at, table, body = 132 + 12 * len(kept), b"", b""
    for key, data in kept.items():
        table += struct.pack(">4sII", key, at + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = bytearray(base[:128])
    head[48:56] = b"ACMEmod1"
    return struct.pack(">I", at + len(body)) + bytes(head[4:]) + struct.pack(">I", len(kept)) + table + body


def _holds_secret(data: bytes) -> bool:
    return SECRET in data or SECRET.decode().encode("utf-16-be") in data or b"Artist" in data


@pytest.mark.parametrize("regions", [False, True])
@pytest.mark.parametrize("name", MAKERS)
def test_secrets_are_gone_and_named(name: str, regions: bool, tmp_path: Path) -> None:
    make, names = MAKERS[name]
    picture = opened(tmp_path, make())
    assert check_clean(tmp_path / "in.bin"), "the checker must see what the source carries"
    redacted = {}
    if regions:
        pixels = picture.frames[0].pixels.copy()
        pixels[4:12, 4:12] = 0
        redacted = {0: pixels}
    result = write_picture(picture, redacted, tmp_path / "out.bin")
    out = (tmp_path / "out.bin").read_bytes()
    assert not _holds_secret(out)
    assert check_clean(tmp_path / "out.bin") == []
    assert names <= set(result.metadata_removed)
    assert not any(SECRET.decode() in removed for removed in result.metadata_removed)


ALLOWED_BY_EXIFTOOL = {
    "Orientation",
    "XResolution",
    "YResolution",
    "ResolutionUnit",
    "JFIFVersion",
    "DCTEncodeVersion",
    "APP14Flags0",
    "APP14Flags1",
    "ColorTransform",
}
DESCRIBES = [
    "Image",
    "Bits",
    "Compression",
    "Photometric",
    "Strip",
    "Sample",
    "Rows",
    "Planar",
    "Tile",
    "Colo",
    "YCbCr",
    "JPEG",
    "Predictor",
    "Reference",
    "Ink",
    "Page",
    "Subfile",
]


@pytest.mark.skipif(not shutil.which("exiftool"), reason="exiftool is not installed")
@pytest.mark.parametrize("name", MAKERS)
def test_exiftool_agrees(name: str, tmp_path: Path) -> None:
    rewritten(tmp_path, opened(tmp_path, MAKERS[name][0]()), {})
    run = subprocess.run(
        ["exiftool", "-j", "-G1", "-a", "-u", "-ee", str(tmp_path / "out.bin")],
        capture_output=True,
        text=True,
        check=True,
    )
    (found,) = json.loads(run.stdout)
    assert SECRET.decode() not in run.stdout
    assert not [
        key
        for key in found
        if key.startswith(("GPS", "XMP", "IPTC", "Photoshop", "MPF", "IFD1", "ExifIFD", "MakerNotes"))
    ]
    odd = [key.split(":") for key in found if ":" in key]
    left = {f"{g}:{t}" for g, t in odd if g in ("IFD0", "JFIF", "Adobe") and t not in ALLOWED_BY_EXIFTOOL}
    assert not {tag for tag in left if not _describes_picture(tag)}
    assert not any(word in key for key in found for word in ("Comment", "Author", "Software", "Trailer"))


def _describes_picture(tag: str) -> bool:
    return any(word in tag for word in DESCRIBES)


CURVE = tuple(range(0, 65536, 257))
COUNTED = {
    # tag: values that a page of RGB may have, and such as may say anything
    274: ((1,), (1, 69)),
    282: ((300, 1), (300, 1, 69, 69)),
    301: (3 * CURVE, (0, *CURVE)),
    318: ((1, 3, 1, 3), (1, 3)),
    320: (None, 3 * CURVE),
    338: (None, (69, 69)),
    529: ((1, 3) * 3, (1, 3) * 4),
    531: ((1,), (1, 69)),
    532: ((1, 3) * 6, (1, 3) * 7),
}


@pytest.mark.parametrize("tag", COUNTED)
def test_a_tiff_tag_has_as_many_values_as_it_means(tag: int, tmp_path: Path) -> None:
    """For the writer and, apart from it, for the check."""
    good, bad = COUNTED[tag]
    form = tiff_tags.Form(bits=8, samples=3, extra=0, palette=False)
    page = {256: (2,), 257: (1,), 258: (8, 8, 8), 259: (1,), 262: (2,), 277: (3,), 278: (1,)}

    def findings(values: tuple[int, ...]) -> list[str]:
        directory = tiff_tags.Directory(page | {tag: values}, [bytes(6)])
        (tmp_path / "x.tif").write_bytes(tiff_tags.write([directory], "<", False))
        return check_clean(tmp_path / "x.tif")

    assert findings(bad)
    left = tiff_tags.kept(tag, bad, form)
    assert left is None or not findings(left)
    if good:
        assert tiff_tags.kept(tag, good, form) == good and not findings(good)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_what_is_allowed_stays(format: str, tmp_path: Path) -> None:
    if format == "TIFF":
        data = by_tifffile(
            [texture(30, 40)],
            photometric="rgb",
            resolution=(300, 300),
            resolutionunit=2,
            iccprofile=profile(),
            extratags=[(274, "H", 1, 6, True)],
        )  # fmt: skip
    else:
        options = {"lossless": True} if format == "WEBP" else {}
        data = encoded(texture(30, 40), format, exif=exif(6), icc_profile=profile(), **options)
    after, out = rewritten(tmp_path, opened(tmp_path, data), {})
    assert after.orientation == 6
    image = Image.open(io.BytesIO(out))
    tags = image.getexif() if format != "TIFF" else dict(image.tag_v2)  # type: ignore[attr-defined]
    assert (tags[0x0112], float(tags[0x011A]), float(tags[0x011B]), tags[0x0128]) == (6, 300, 300, 2)
    kept = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
    lab = ImageCms.createProfile("LAB")
    patches = Image.fromarray(texture(16, 16))
    turned = [
        np.asarray(ImageCms.applyTransform(patches, ImageCms.buildTransform(p, lab, "RGB", "LAB")))
        for p in (ImageCms.ImageCmsProfile(io.BytesIO(profile())), kept)
    ]
    np.testing.assert_array_equal(*turned)
    assert ImageCms.getProfileDescription(kept).strip() in ("sRGB built-in", "RGB profile")


def test_a_private_profile_loses_its_words_not_its_colours() -> None:
    from pipeline.anonymize.images.icc import clean_profile

    source = private_profile()
    clean = clean_profile(source)
    assert clean is not None and not _holds_secret(clean)
    opened_profile = ImageCms.ImageCmsProfile(io.BytesIO(clean))
    assert ImageCms.getProfileDescription(opened_profile).strip() == "RGB profile"
    assert (
        opened_profile.profile.red_colorant
        == ImageCms.ImageCmsProfile(io.BytesIO(source)).profile.red_colorant
    )


@pytest.mark.parametrize("damage", [b"", b"x" * 200, "cut", "count"])
def test_a_damaged_profile_is_dropped(damage: bytes | str, tmp_path: Path) -> None:
    from pipeline.anonymize.images.icc import clean_profile

    base = profile()
    data = {"cut": base[:200], "count": base[:128] + b"\xff" * 4 + base[132:]}.get(damage, damage)  # type: ignore[call-overload]
    assert clean_profile(data) is None
