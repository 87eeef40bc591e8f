"""Finding the files of a set: pictures by name, stem or tag, whatever the case of the extension."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath, PureWindowsPath

from pipeline.data.examples import Problem
from pipeline.errors import UserError

SUFFIXES = frozenset(
    [
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".bmp",
        ".webp",
        ".tif",
        ".tiff",
        ".gif",
        ".avif",
        ".heic",
        ".heif",
    ]
)


@dataclass(frozen=True)
class SourceFolder:
    """A set on disk.

    Attributes:
        name: of the set, as in ``dataset.sources``.
        folder: the set's own folder.
        images: picture folder, relative to ``folder``.
        labels: label folder or file, relative to ``folder``.
    """

    name: str
    folder: Path
    images: str
    labels: str

    @cached_property
    def image_folder(self) -> Path:
        return self._existing("images", self.images, folder=True)

    @cached_property
    def label_folder(self) -> Path:
        return self._existing("labels", self.labels, folder=True)

    @cached_property
    def label_file(self) -> Path:
        return self._existing("labels", self.labels, folder=False)

    def _existing(self, field: str, value: str, folder: bool) -> Path:
        path = self.folder / value
        if not (path.is_dir() if folder else path.is_file()):
            inside = sorted(child.name for child in self.folder.iterdir()) if self.folder.is_dir() else []
            raise UserError(
                f"dataset.sources.{self.name}.{field}={value}: no {'folder' if folder else 'file'} {path}; "
                f"{self.folder} holds: {', '.join(inside[:12]) or 'nothing'}"
            )
        return path

    @cached_property
    def pictures(self) -> dict[str, Path]:
        """Every picture file by its path relative to the images folder, sorted."""
        found = (path for path in self.image_folder.rglob("*") if path.suffix.lower() in SUFFIXES)
        return {
            path.relative_to(self.image_folder).as_posix(): path
            for path in sorted(found)
            if path.is_file() and not path.name.startswith(".")
        }

    @cached_property
    def _by_stem(self) -> dict[str, list[str]]:
        return _index(self.pictures, _stem)

    @cached_property
    def _by_name(self) -> dict[str, list[str]]:
        return _index(self.pictures, str.casefold)

    @cached_property
    def _by_basename(self) -> dict[str, list[str]]:
        return _index(self.pictures, lambda name: PurePosixPath(name).name.casefold())

    def find(self, stem: str, tag: str | None = None) -> str | None:
        """The picture that a label file belongs to.

        The label file's own stem decides; the name written inside it (``tag``) chooses between
        ``a.jpg`` and ``a.png``, and is the fallback, since many sets renamed or converted their
        pictures after labelling and left the tag as it was.

        Args:
            stem: the label file relative to the labels folder, without its suffix.
            tag: the picture's name as the label file states it.
        """
        candidates = self._by_name.get(stem.casefold(), []) or self._by_stem.get(stem.casefold(), [])
        candidates = [name for name in candidates if name.startswith(stem)] or candidates  # the same case
        if len(candidates) > 1 and tag:
            basename = _posix(tag).name
            candidates = [name for name in candidates if PurePosixPath(name).name == basename] or candidates
        if candidates:
            return candidates[0]
        return self.find_name(tag) if tag else None

    def find_name(self, name: str) -> str | None:
        """The picture of that name: as a path, then as a file's name, then without its extension.

        Only the exact path may be one of several that differ in case.
        """
        relative = self._below_images(name)
        if relative in self.pictures:
            return relative
        basename = PurePosixPath(relative).name
        if not basename:
            return None
        found = (
            self._by_name.get(relative.casefold())
            or self._by_basename.get(basename.casefold())
            or self._by_stem.get(_stem(relative))
            or self._by_stem.get(_stem(basename))
        )
        return found[0] if found and len(found) == 1 else None

    def _below_images(self, name: str) -> str:
        return _posix(name).as_posix().removeprefix(f"{self.images.strip('/')}/")

    def owners(self, listed: Sequence[str]) -> dict[str, list[int]]:
        """Each picture that one file lists, and the places of the names that it belongs to.

        These are the exact names, or, without one, all that lead to it: so a name whose picture is not
        there cannot take the picture of another, wherever in the file it stands.
        """
        exact: dict[str, list[int]] = {}
        loose: dict[str, list[int]] = {}
        for place, name in enumerate(listed):
            if (found := self.find_name(name)) is not None:
                (exact if found == self._below_images(name) else loose).setdefault(found, []).append(place)
        return loose | exact

    def relative(self, path: Path) -> str:
        """``path`` as it is named in reports: relative to the set's folder."""
        return path.relative_to(self.folder).as_posix() if path.is_relative_to(self.folder) else str(path)

    def unlabelled(self, used: Iterable[str]) -> list[Problem]:
        """The pictures that no label names. They may show faces, so they are no negatives."""
        return [
            Problem(
                "image without label",
                self.name,
                self.relative(self.pictures[name]),
                "no label file or entry names this picture",
                "picture left out (it may show faces that nobody marked)",
            )
            for name in sorted(set(self.pictures) - set(used))
        ]

    def orphan(self, label: Path, wanted: str) -> Problem:
        return Problem(
            "label without image", self.name, self.relative(label), f"no picture {wanted}", "label left out"
        )

    def second_label(self, label: Path, picture: str) -> Problem:
        detail = f"{picture} already has a label"
        return Problem("duplicate label", self.name, self.relative(label), detail, "label left out")

    def contradiction(self, label: Path, picture: str) -> Problem:
        detail = f"{picture} is listed more than once, with different labels"
        return Problem("contradicting labels", self.name, self.relative(label), detail, "picture left out")

    def unreadable_label(self, label: Path, error: object) -> Problem:
        name = self.relative(label)
        return Problem("unreadable label", self.name, name, str(error), "picture left out")


def _posix(name: str) -> PurePosixPath:
    """A name as label files write it, with slashes or with backslashes."""
    return PurePosixPath(PureWindowsPath(name.strip()).as_posix())


def _index(names: Iterable[str], key: Callable[[str], str]) -> dict[str, list[str]]:
    index: dict[str, list[str]] = {}
    for name in names:
        index.setdefault(key(name), []).append(name)
    return index


def _stem(name: str) -> str:
    return PurePosixPath(name).with_suffix("").as_posix().casefold()


def label_files(source: SourceFolder, suffix: str) -> list[tuple[str, Path]]:
    """``(relative stem, path)`` of every label file; first those that a picture shares its stem with.

    So a stale name inside one file cannot take the picture of another, nor can a stem in another case.
    """
    folder = source.label_folder
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() == suffix and path.is_file())
    stems = [(path.relative_to(folder).with_suffix("").as_posix(), path) for path in files]
    visible = [(stem, path) for stem, path in stems if not path.name.startswith(".")]
    found = {stem: source.find(stem) for stem, _ in visible}
    exact = {name for stem, name in found.items() if name and name.startswith(stem)}

    def comes_later(stem: str) -> bool:
        name = found[stem]
        return name is None or (name in exact and not name.startswith(stem))

    return sorted(visible, key=lambda item: comes_later(item[0]))
