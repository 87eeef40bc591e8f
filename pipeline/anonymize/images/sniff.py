"""Which format a file is, by its first bytes; its name is never asked."""

from __future__ import annotations

HEAD = 128  # bytes that :func:`sniff` wants to see

_MAGIC = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"8BPS", "Photoshop"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\0\0\1\0", "ICO"),
    (b"v/1\x01", "OpenEXR"),
    (b"qoif", "QOI"),
    (b"%PDF", "PDF"),
    (b"FUJIFILM", "camera raw"),
)
_BRANDS = {
    b"avif": "AVIF",
    b"avis": "AVIF sequence",
    b"heic": "HEIC",
    b"heix": "HEIC",
    b"heim": "HEIC",
    b"heis": "HEIC",
    b"mif1": "HEIC",
    b"msf1": "HEIC sequence",
    b"hevc": "HEIC sequence",
    b"hevx": "HEIC sequence",
    b"crx ": "camera raw",
}


def sniff(head: bytes) -> str | None:
    """The format's name, also of formats that Veil refuses; None when it is no picture known."""
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head[:2] == b"BM" and b"\0" in head[2:18]:  # a text may begin so, too, but holds no zeros
        return "BMP"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    if head[4:8] == b"ftyp":
        return _by_brand(head)
    return None


def _by_brand(head: bytes) -> str | None:
    """ISO media files name a major brand, then compatible ones; mif1 alone does not say the codec."""
    length = min(int.from_bytes(head[:4], "big"), len(head))
    compatible = [head[i : i + 4] for i in range(16, length - 3, 4)]
    major = head[8:12]
    if major in (b"mif1", b"miaf") and b"avif" in compatible:
        return "AVIF"
    return _BRANDS.get(major)
