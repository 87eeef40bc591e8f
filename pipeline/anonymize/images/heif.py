"""HEIC and AVIF: without a region the coded picture is copied; with one it is coded again as a whole.

Both are lossy by nature (an AVIF with the identity matrix is taken for lossless, and stays so), and
neither can be changed in part. The quality is the highest at which a sample of the picture is not
much larger than the source. An AVIF keeps its rotation (irot, imir) as a property; libheif decodes a
HEIC upright, so that one with a region is written upright and without them.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pillow_heif
from PIL import Image
from pillow_heif import options

from pipeline.anonymize.images import heif_boxes, heif_write
from pipeline.anonymize.images.heif_boxes import Heif
from pipeline.anonymize.images.heif_tables import BoxError, BoxRefused, Property
from pipeline.anonymize.images.limits import check_size
from pipeline.anonymize.images.model import Picture, PictureError, Pixels
from pipeline.anonymize.images.raster import RasterFrame, changed_or_none
from pipeline.config.schema import LimitsConfig

_QUALITIES = (97, 94, 90, 85, 80, 75, 70, 65, 60, 55, 50, 40)
_GROWTH = 1.15  # how much larger than the source a picture coded again may be
_PADDING = 64  # pixels that an encoder adds at most, and hides by a clean aperture
_OPTIONS = threading.Lock()  # pillow-heif's are of the whole process
_SAMPLE = 256  # side of a sampled patch; nine are coded to find the quality
# (imir present, axis, irot quarter turns counter-clockwise) -> EXIF orientation; the mirror comes last
_TURNS = {
    **{(False, 0, angle): turn for angle, turn in enumerate((1, 8, 3, 6))},
    **{(True, 1, angle): turn for angle, turn in enumerate((2, 7, 4, 5))},
    **{(True, 0, angle): turn for angle, turn in enumerate((4, 5, 2, 7))},
}


@dataclass
class _State:
    heif: Heif
    chroma: str  # "444", "422", "420" or "400"
    bits: int
    nclx: dict[str, int] | None


def read(data: bytes, path: Path, limits: LimitsConfig) -> Picture:
    try:
        heif = heif_boxes.parse(data)
        for item in heif.items.values():
            check_size(path, *heif.size(item), limits)
    except BoxError as error:
        raise PictureError("corrupt", f"{path}: {error}") from error
    except BoxRefused as error:
        raise PictureError(
            "unsupported", f"{path}: {error}; allowed: HEIC or AVIF of one still picture"
        ) from error
    av1 = any(item.kind == b"av01" for item in heif.items.values())
    return _read_avif(data, path, heif) if av1 else _read_heic(data, path, heif)


def _read_heic(data: bytes, path: Path, heif: Heif) -> Picture:
    _refuse_hidden(heif, path, _PADDING)
    image = pillow_heif.open_heif(data, convert_hdr_to_8bit=False)
    bits = int(image.info["bit_depth"])
    samples = _unscaled(np.asarray(image), bits)
    nclx = image.info.get("nclx_profile")
    state = _State(heif, str(image.info.get("chroma") or 420), bits, nclx)
    return _picture(data, path, "HEIC", samples, 1, state)


def _read_avif(data: bytes, path: Path, heif: Heif) -> Picture:
    _refuse_hidden(heif, path, 1)
    samples = np.asarray(imagecodecs.avif_decode(data))
    config = _first(heif, b"av1C")
    flags = config[2]
    chroma = "400" if flags & 0x10 else {0x0C: "420", 0x08: "422"}.get(flags & 0x0C, "444")
    bits = 12 if flags & 0x20 else 10 if flags & 0x40 else 8
    body = next((p.body for p in heif.first.properties if p.kind == b"colr" and p.body[:4] == b"nclx"), b"")
    keys = ("primaries", "transfer", "matrix")
    nclx = (
        {key: int.from_bytes(body[4 + 2 * i : 6 + 2 * i], "big") for i, key in enumerate(keys)}
        if body
        else None
    )
    return _picture(data, path, "AVIF", samples, _turn(heif), _State(heif, chroma, bits, nclx))


def _first(heif: Heif, kind: bytes) -> bytes:
    """A property of the primary picture, or of the first that it is made of."""
    own = heif.first.find(kind)
    tiles = [t for k, source, to in heif.references if k == b"dimg" and source == heif.primary for t in to]
    found = own if own is not None else next(filter(None, (heif.items[t].find(kind) for t in tiles)), None)
    if found is None:
        raise BoxError(f"no {kind.decode('latin1')}")
    return found


def _refuse_hidden(heif: Heif, path: Path, most: int) -> None:
    """A clean aperture may hide an encoder's padding, not a part of the picture."""
    aperture = heif.first.find(b"clap")
    if aperture is None:
        return
    numbers = [int.from_bytes(aperture[i : i + 4], "big") for i in (0, 4, 8, 12)]
    shown = (numbers[0] / numbers[1], numbers[2] / numbers[3])
    if any(full - part >= most for full, part in zip(heif.size(), shown, strict=True)):
        raise PictureError("unsupported", f"{path}: a clean aperture (clap) that hides a part of the picture")


def _turn(heif: Heif) -> int:
    mirror, turn = heif.first.find(b"imir"), heif.first.find(b"irot")
    return _TURNS[mirror is not None, mirror[0] & 1 if mirror else 0, turn[0] & 3 if turn else 0]


def _unscaled(samples: Pixels, bits: int) -> Pixels:
    """libheif's 16-bit samples, which are shifted up, as the 10- or 12-bit ones that are stored."""
    return samples >> np.uint16(16 - bits) if samples.dtype == np.uint16 else samples


def _picture(data: bytes, path: Path, format: str, samples: Pixels, turn: int, state: _State) -> Picture:
    channels = 1 if samples.ndim == 2 else samples.shape[2]
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]
    colour = samples if samples.ndim == 2 else samples[:, :, 0] if channels == 2 else samples[:, :, :3]
    alpha = samples[:, :, -1] if channels in (2, 4) else None
    frame = RasterFrame(colour, turn, alpha)
    return Picture(path, data, format, mode, state.bits, [frame], state.heif.removed, state)


def encode(picture: Picture, redacted: Mapping[int, Pixels]) -> tuple[bytes, bool]:
    state: _State = picture.state
    frame = picture.frames[0]
    pixels = changed_or_none(frame.pixels, redacted.get(0))
    if pixels is None:
        return heif_write.assemble(state.heif), False
    whole = pixels if frame.alpha is None else np.dstack([pixels, frame.alpha])
    one = _avif if picture.format == "AVIF" else _heic
    identity = state.nclx is not None and state.nclx.get("matrix") == 0
    lossless = picture.format == "AVIF" and identity and state.chroma == "444"
    quality = 100 if lossless else _quality(lambda p, q: one(p, q, state), whole, len(picture.data))
    coded = heif_boxes.parse(one(np.ascontiguousarray(whole), quality, state))
    return heif_write.assemble(_dressed(coded, state.heif, picture.format)), True


def _dressed(coded: Heif, source: Heif, format: str) -> Heif:
    """The new picture with the source's profile and, for AVIF, its rotation."""
    kinds = (b"irot", b"imir") if format == "AVIF" else ()
    wanted = [
        p for p in source.first.properties if p.kind in kinds or (p.kind == b"colr" and p.body[:4] != b"nclx")
    ]
    own = [p for p in coded.first.properties if not _is_profile(p)]
    first = replace(coded.first, properties=(*own, *wanted))
    items = coded.items | {coded.primary: first}
    return Heif(source.brand, coded.primary, items, coded.references)


def _is_profile(found: Property) -> bool:
    return found.kind == b"colr" and found.body[:4] != b"nclx"


def _avif(pixels: Pixels, quality: int, state: _State) -> bytes:
    if pixels.ndim == 2 and state.bits == 8:  # imagecodecs codes grey without loss only, three times the size
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "AVIF", quality=quality, speed=7)
        return out.getvalue()
    options: dict[str, Any] = dict(state.nclx) if state.nclx else {}
    if quality == 100:
        options["matrix"] = 0
    return bytes(
        imagecodecs.avif_encode(
            pixels,
            level=quality,
            speed=7,
            bitspersample=state.bits if state.bits > 8 else None,
            pixelformat="444" if quality == 100 else state.chroma,
            **options,
        )
    )


def _heic(pixels: Pixels, quality: int, state: _State) -> bytes:
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    mode = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]
    if state.bits > 8:
        mode = {"L": "I;16", "RGB": "RGB;16", "RGBA": "RGBA;16"}[mode]
        pixels = pixels << np.uint16(16 - state.bits)
    size = (pixels.shape[1], pixels.shape[0])
    image = pillow_heif.from_bytes(mode=mode, size=size, data=pixels.tobytes())
    if state.nclx:
        image.info["nclx_profile"] = state.nclx
    out = io.BytesIO()
    with _OPTIONS:
        hdr, options.SAVE_HDR_TO_12_BIT = options.SAVE_HDR_TO_12_BIT, state.bits == 12
        try:
            image.save(out, quality=quality, chroma=int(state.chroma) if state.chroma.isdigit() else None)
        finally:
            options.SAVE_HDR_TO_12_BIT = hdr
    return out.getvalue()


def _quality(code: Callable[[Pixels, int], bytes], pixels: Pixels, size: int) -> int:
    """The highest quality at which a sample of the picture grows by no more than allowed, by bisection."""
    sample = _patches(pixels)
    share = sample.shape[0] * sample.shape[1] / (pixels.shape[0] * pixels.shape[1])
    allowed = size * share * _GROWTH + 400
    low, high = 0, len(_QUALITIES) - 1
    while low < high:
        middle = (low + high) // 2
        if len(code(sample, _QUALITIES[middle])) <= allowed:
            high = middle
        else:
            low = middle + 1
    return _QUALITIES[low]


def _patches(pixels: Pixels) -> Pixels:
    """Nine patches from all over the picture as one; a small picture whole."""
    height, width = pixels.shape[:2]
    if min(height, width) < 4 * _SAMPLE:
        return np.ascontiguousarray(pixels)
    tops, lefts = (np.linspace(0, side - _SAMPLE, 3).astype(int) for side in (height, width))
    rows = [np.hstack([pixels[t : t + _SAMPLE, x : x + _SAMPLE] for x in lefts]) for t in tops]
    return np.ascontiguousarray(np.vstack(rows))
