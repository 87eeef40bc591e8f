"""TIFF and BigTIFF, page by page: compression, strips or tiles, byte order and depth stay.

A strip or tile without a region is copied as it was coded. Sub-directories, previews and private tags
are not written.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from pipeline.anonymize.images import orientation, tiff_tags
from pipeline.anonymize.images.icc import clean_profile
from pipeline.anonymize.images.limits import check_size, check_total
from pipeline.anonymize.images.model import Frame, Picture, PictureError, Pixels
from pipeline.anonymize.images.palette import PaletteFrame
from pipeline.anonymize.images.raster import RasterFrame, changed_or_none
from pipeline.anonymize.images.tiff_segments import COMPRESSIONS, JPEG, Layout, clean_jpeg, without_tail
from pipeline.anonymize.images.tiff_tags import Directory
from pipeline.config.schema import LimitsConfig

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # damaged files are told by PictureError
_COLOURS = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3}  # photometric interpretation -> colour samples
_DNG_VERSION = 50706
_MODES = {0: "L", 1: "L", 2: "RGB", 3: "P", 5: "CMYK", 6: "RGB"}
_ALLOWED = (
    "allowed: 1, 8 or 16 bits unsigned; grey, RGB, palette (8 bits), CMYK, with at most one alpha; "
    "no compression, LZW, Deflate, PackBits, LZMA, Zstandard, or JPEG of 8 bits"
)


@dataclass
class _Page:
    directory: Directory
    layout: Layout
    photometric: int
    path: Path
    number: int

    @property
    def colours(self) -> int:
        return _COLOURS[self.photometric]

    @property
    def turn(self) -> int:
        return orientation.valid(int(self.directory.tags.get(274, (1,))[0]))

    def samples(self) -> NDArray[Any]:
        """``[H, W, S]``.

        Raises:
            PictureError: ``corrupt``.
        """
        try:
            return self.layout.decode(self.directory.segments)
        except Exception as error:
            raise PictureError("corrupt", f"{self.path}: page {self.number}: {error}") from error

    @cached_property
    def frame(self) -> Frame:
        samples = self.samples()
        colour = samples[:, :, 0] if self.colours == 1 else samples[:, :, : self.colours]
        alpha = samples[:, :, self.colours] if samples.shape[2] > self.colours else None
        if self.photometric == 3:
            table = np.array(self.directory.tags[320], np.uint32).reshape(3, -1).T
            return PaletteFrame(
                colour, (table >> 8 if table.max() > 255 else table).astype(np.uint8), None, self.turn
            )
        if self.layout.bits == 1:
            colour = colour * np.uint8(255)
        return RasterFrame(colour, self.turn, alpha, white_is_zero=self.photometric == 0)

    def encoded(self, redacted: Pixels | None) -> list[bytes]:
        pixels = None if redacted is None else changed_or_none(self.frame.pixels, redacted)
        if pixels is None:
            return self.directory.segments
        before = self.samples()
        after = before.copy()
        if isinstance(self.frame, PaletteFrame):
            after[:, :, 0] = self.frame.requantised(pixels)
        elif self.layout.bits == 1:
            after[:, :, 0] = pixels >= 128
        else:
            after[:, :, : self.colours] = pixels.reshape(*pixels.shape[:2], -1)
            self._level_unknown(after, before)
        return self.layout.encode(after, before, self.directory.segments)

    def _level_unknown(self, after: NDArray[Any], before: NDArray[Any]) -> None:
        """A channel that is not declared as opacity becomes its mean where the colours changed."""
        if before.shape[2] == self.colours or int(self.directory.tags.get(338, (0,))[0]) in (1, 2):
            return
        changed = (after != before).any(axis=2)
        if changed.any():
            after[changed, self.colours] = np.rint(before[changed, self.colours].mean())


class _Frames(Sequence[Frame]):
    """The pages; only the last one asked for is held decoded."""

    def __init__(self, pages: list[_Page]) -> None:
        self.pages = pages

    def __len__(self) -> int:
        return len(self.pages)

    def __getitem__(self, index: int) -> Frame:  # type: ignore[override]
        for page in self.pages:
            if page is not self.pages[index]:
                page.__dict__.pop("frame", None)
        return self.pages[index].frame


@dataclass
class _State:
    pages: list[_Page]
    byteorder: str
    big: bool


def read(data: bytes, path: Path, limits: LimitsConfig) -> Picture:
    removed: list[str] = []
    with tifffile.TiffFile(io.BytesIO(data)) as file:
        found = [page for page in file.pages if isinstance(page, tifffile.TiffPage)]
        if len(found) != len(file.pages):
            file.pages.useframes = False
            found = [page for page in file.pages if isinstance(page, tifffile.TiffPage)]
        _refuse_camera_raw(found, path)
        kept = [page for page in found if not page.subfiletype & 1]
        if len(kept) < len(found):
            removed.append("preview pages")
        check_total(path, ((p.imagewidth, p.imagelength) for p in kept), limits)
        pages = [_page(p, data, path, limits, removed, i) for i, p in enumerate(kept)]
        state = _State(pages, file.byteorder, file.is_bigtiff)
    if not pages:
        raise PictureError("corrupt", f"{path}: TIFF without a page")
    first = pages[0]
    mode = _MODES[first.photometric] + ("A" if first.layout.samples > first.colours else "")
    return Picture(path, data, "TIFF", mode, first.layout.bits, _Frames(pages), sorted(set(removed)), state)


def _refuse_camera_raw(pages: Sequence[tifffile.TiffPage], path: Path) -> None:
    """A raw picture mostly lies in a sub-directory, which is not read: its preview must not pass for it.

    Raises:
        PictureError: ``unsupported``.
    """
    if any(_DNG_VERSION in page.tags for page in pages):
        raise PictureError("unsupported", f"{path}: camera raw (DNG) is not supported; {_ALLOWED}")
    if pages and all(page.subfiletype & 1 for page in pages):
        message = "TIFF of nothing but previews, as cameras write it around raw pictures"
        raise PictureError("unsupported", f"{path}: {message}; {_ALLOWED}")


def _page(
    page: tifffile.TiffPage, data: bytes, path: Path, limits: LimitsConfig, removed: list[str], number: int
) -> _Page:
    where = f"{path}: page {number}"
    check_size(path, page.imagewidth, page.imagelength, limits)
    _refuse_unsupported(page, where)
    tags: dict[int, Any] = {}
    photometric, samples = int(page.photometric), page.samplesperpixel
    form = tiff_tags.Form(page.bitspersample, samples, samples - _COLOURS[photometric], photometric == 3)
    for tag in page.tags:
        value = tiff_tags.kept(tag.code, tag.value, form)
        if value is not None:
            tags[tag.code] = value
        elif tag.code not in tiff_tags.PLACES:
            removed.append(f"TIFF {tag.name}")
    if form.palette and 320 not in tags:
        raise PictureError("corrupt", f"{where}: its palette does not have {1 << form.bits} colours")
    _clean_tags(tags, removed)
    layout = _layout(page, tags)
    segments = _segments(page, data, layout, where)
    return _Page(Directory(tags, segments), layout, photometric, path, number)


def _refuse_unsupported(page: tifffile.TiffPage, where: str) -> None:
    def refuse(what: str) -> None:
        raise PictureError("unsupported", f"{where}: TIFF with {what}; {_ALLOWED}")

    photometric, bits, samples = int(page.photometric), page.bitspersample, page.samplesperpixel
    if photometric not in _COLOURS or (photometric == 6 and page.compression != JPEG):
        refuse(f"colours of kind {page.photometric!s}")
    if page.compression not in COMPRESSIONS:
        refuse(f"compression {page.compression!s}")
    if page.sampleformat != 1 or not isinstance(bits, int) or bits not in (1, 8, 16):
        refuse(f"{bits} bits of sample format {page.sampleformat}")
    if (bits == 1 and (samples > 1 or photometric == 3)) or (photometric == 3 and bits != 8):
        refuse(f"{bits} bits in colour or palette")
    if page.compression == JPEG and (bits != 8 or samples not in (1, 3) or page.planarconfig == 2):
        refuse("JPEG of that depth, alpha or planes")
    if samples - _COLOURS[photometric] not in (0, 1):
        refuse(f"{samples} samples a pixel")
    if page.imagedepth != 1 or page.fillorder != 1 or page.predictor not in (1, 2):
        refuse("depth, reversed bits, or a predictor for floats")


def _clean_tags(tags: dict[int, Any], removed: list[str]) -> None:
    """Take the words out of the profile, and what has no meaning out of the rest."""
    tags[254] = (int(tags.get(254, (0,))[0]) & 2,)
    profile = tags.pop(34675, None)
    if profile is not None:
        clean = clean_profile(bytes(profile))
        if clean is None:
            removed.append("ICC profile (damaged)")
        else:
            tags[34675] = clean
    if 347 in tags:
        tags[347] = clean_jpeg(bytes(tags[347]))


def _layout(page: tifffile.TiffPage, tags: dict[int, Any]) -> Layout:
    rows = min(page.rowsperstrip, page.imagelength) or page.imagelength
    block = (page.tilelength, page.tilewidth) if page.is_tiled else (rows, page.imagewidth)
    return Layout(
        page.imagelength,
        page.imagewidth,
        block,
        page.is_tiled,
        page.samplesperpixel,
        page.bitspersample,
        page.planarconfig == 2 and page.samplesperpixel > 1,
        int(page.compression),
        page.predictor == 2,
        page.parent.byteorder,
        int(page.photometric) == 6,
        bytes(tags.get(347, b"")),
    )


def _segments(page: tifffile.TiffPage, data: bytes, layout: Layout, where: str) -> list[bytes]:
    """The coded strips or tiles; a JPEG one without application segments."""
    places = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    if len(places) < layout.count:
        raise PictureError("corrupt", f"{where}: {len(places)} strips or tiles instead of {layout.count}")
    places = places[: layout.count]
    if any(count < 1 or start + count > len(data) for start, count in places):
        raise PictureError("corrupt", f"{where}: a strip or tile lies beyond the file: it is truncated")
    if sum(count for _, count in places) > len(data):
        raise PictureError("corrupt", f"{where}: strips or tiles overlap")
    segments = [data[start : start + count] for start, count in places]
    if layout.compression == JPEG:
        return [clean_jpeg(segment) for segment in segments]
    coded = zip(segments, layout.sizes(), strict=True)
    return [without_tail(segment, layout.compression, size) for segment, size in coded]


def encode(picture: Picture, redacted: Mapping[int, Pixels]) -> tuple[bytes, bool]:
    state: _State = picture.state
    pages = []
    for number, page in enumerate(state.pages):
        segments = page.encoded(redacted.get(number))
        page.__dict__.pop("frame", None)
        pages.append(Directory(page.directory.tags, segments))
    changed = any(
        new.segments is not old.directory.segments for new, old in zip(pages, state.pages, strict=True)
    )
    return tiff_tags.write(pages, state.byteorder, state.big), changed
