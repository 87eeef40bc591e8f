"""Walks DATA: every file and link in it, each with what it is, or why it is left out."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from fnmatch import fnmatch
from pathlib import Path

from pipeline.anonymize.images.sniff import HEAD, sniff
from pipeline.anonymize.paths import OWN_FILES, OWN_PREFIX


def _suffixes(text: str) -> frozenset[str]:
    return frozenset(f".{suffix}" for suffix in text.split())


PICTURES = _suffixes("jpg jpeg jpe jfif png apng tif tiff webp gif bmp dib avif heic heif hif")
"""Suffixes of what Veil reads."""

OTHER_PICTURES = _suffixes(
    "jp2 j2k jxl psd ico icns tga pcx ppm pgm pbm pnm exr hdr qoi svg dng cr2 cr3 nef arw raf orf rw2 pef srw"
)
"""Suffixes of pictures that Veil refuses by name."""

VIDEOS = _suffixes("mp4 m4v mov avi mkv webm mpg mpeg wmv flv 3gp mts m2ts ogv")


class Kind(Enum):
    picture = "picture"
    label = "label"
    other = "other"


@dataclass(frozen=True)
class Found:
    """One file, link or unreadable folder of DATA.

    Attributes:
        path: relative to DATA, with forward slashes.
        kind: ``other`` may still turn out to be a label file (see :mod:`pipeline.anonymize.labels`).
        reason: why it is left out, in one word; None when it is to be done.
        message: the same for people.
        ignored: left out because the user's ``ignore`` says so, which is no failure.
    """

    path: str
    kind: Kind
    reason: str | None = None
    message: str = ""
    ignored: bool = False


def scan(data: Path, ignore: Sequence[str] = (), follow_links: bool = False) -> list[Found]:
    """Everything in DATA, sorted by path. Files are only opened to see their first bytes."""
    return sorted(_Walk(data, ignore, follow_links).folder(data, ""), key=lambda found: found.path)


def ignored(path: str) -> Found:
    """A file or folder that the user's ``ignore`` names, or what lies in such a folder."""
    return Found(path, _by_suffix(path), "ignored", "left out as `ignore` asks", ignored=True)


@dataclass(frozen=True)
class _Walk:
    data: Path
    ignore: Sequence[str]
    follow_links: bool

    def folder(self, folder: Path, prefix: str, above: frozenset[str] = frozenset()) -> Iterator[Found]:
        above |= {os.path.realpath(folder)}
        try:
            with os.scandir(folder) as listing:
                entries = list(listing)
        except OSError as error:
            yield Found(prefix.rstrip("/") or ".", Kind.other, *_refused(error))
            return
        for entry in entries:
            path = prefix + entry.name
            if any(fnmatch(entry.name, pattern) or fnmatch(path, pattern) for pattern in self.ignore):
                yield ignored(path)
            else:
                yield from self._entry(entry, path, above)

    def _entry(self, entry: os.DirEntry[str], path: str, above: frozenset[str]) -> Iterator[Found]:
        if _is_reserved(path):
            yield Found(path, _by_suffix(path), "reserved_name", "Veil gives this name to files of its own")
            return
        linked = entry.is_symlink()
        try:
            mode = Path(entry.path).stat().st_mode
        except OSError as error:
            yield Found(path, _by_suffix(path), *(_broken_link(error) if linked else _refused(error)))
            return
        if linked and (refusal := self._link(entry.path, stat.S_ISDIR(mode), above)):
            yield Found(path, Kind.other if stat.S_ISDIR(mode) else _by_suffix(path), *refusal)
        elif stat.S_ISDIR(mode):
            yield from self.folder(Path(entry.path), f"{path}/", above)
        elif not stat.S_ISREG(mode):
            yield Found(path, _by_suffix(path), "not_a_file", "a pipe, socket or device, not a file")
        else:
            yield _file(entry.path, path)

    def _link(self, path: str, is_folder: bool, above: frozenset[str]) -> tuple[str, str] | None:
        """Why a link that leads somewhere is not followed."""
        target = os.path.realpath(path)
        if is_folder and target in above:
            return "link_loop", "a link to a folder that holds it"
        if self.follow_links:
            return None
        if not Path(target).is_relative_to(os.path.realpath(self.data)):
            return "link_outside", "a link that leaves DATA (follow_links=true reads it)"
        return (
            ("linked_folder", "a link to a folder of DATA, whose files are done there") if is_folder else None
        )


def _is_reserved(path: str) -> bool:
    """Whether what Veil writes in OUT lies there, or is swept from there, under this name."""
    name = path.casefold()
    return name in OWN_FILES or name.rpartition("/")[2].startswith(OWN_PREFIX)


def _file(absolute: str, path: str) -> Found:
    kind = _by_suffix(path)
    if kind is Kind.picture:
        return Found(path, kind)
    if Path(path).suffix.lower() in VIDEOS:
        return Found(path, kind, "video", "videos are not supported")
    try:
        with Path(absolute).open("rb") as file:
            head = file.read(HEAD)
    except OSError as error:
        return Found(path, kind, *_refused(error))
    return Found(path, Kind.picture if sniff(head) not in (None, "PDF") else kind)


def _by_suffix(path: str) -> Kind:
    suffix = Path(path).suffix.lower()
    return Kind.picture if suffix in PICTURES | OTHER_PICTURES else Kind.other


def _broken_link(error: OSError) -> tuple[str, str]:
    if error.errno == errno.ELOOP:
        return "link_loop", "a link that leads to itself"
    return "link_broken", "a link that leads nowhere"


def _refused(error: OSError) -> tuple[str, str]:
    if error.errno == errno.ENAMETOOLONG:
        return "name_too_long", "its path is too long for the system"
    return "unreadable", f"the system refuses to read it ({error.strerror})"
