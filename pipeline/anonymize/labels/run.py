"""Finds the label files of DATA and writes them to OUT."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path, PurePosixPath

from pipeline.anonymize.entry import Entry, FileState, digest
from pipeline.anonymize.images.atomic import write_atomically
from pipeline.anonymize.images.model import PictureError
from pipeline.anonymize.labels import coco, lists, voc, yolo
from pipeline.anonymize.labels.pictures import Carried, LabelError, Pictures
from pipeline.anonymize.manifest import Journal
from pipeline.anonymize.output import raise_if_broken
from pipeline.anonymize.plan import in_the_way, refused
from pipeline.anonymize.scan import Found, Kind
from pipeline.config.schema import LabelsConfig

Format = Callable[[str, bytes, Pictures], Carried | None]
FORMATS: dict[str, tuple[Format, ...]] = {
    ".json": (coco.carry,),
    ".xml": (voc.carry,),
    ".txt": (yolo.carry, lists.carry, yolo.carry_class_names),
    ".names": (yolo.carry_class_names,),
    ".yaml": (yolo.carry_yaml,),
    ".yml": (yolo.carry_yaml,),
}
"""By suffix; the first that knows the file carries it."""
NEITHER = "not_a_picture", "neither a picture nor labels that Veil carries along"


def candidates(found: Sequence[Found]) -> list[str]:
    """Files that may be labels, by their suffix."""
    return [each.path for each in found if _may_be_labels(each)]


def others(found: Sequence[Found]) -> list[Entry]:
    """Files that are neither pictures nor, by their suffix, labels."""
    left = [each for each in found if each.kind is not Kind.picture and not each.reason]
    return [refused(each.path, "other", *NEITHER) for each in left if not _may_be_labels(each)]


def carry(data: Path, out: Path, found: Sequence[Found], journal: Journal, config: LabelsConfig) -> list[str]:
    """Write the labels to OUT, after the pictures; every other file gets its line in the manifest.

    Returns:
        The label files that stand in OUT.

    Raises:
        OutputFails: OUT takes no more.
    """
    run = _Carry(data, out, journal, _pictures(data, out, found, journal, config), config)
    carried = []
    for each in found:
        if each.kind is Kind.picture or each.reason:
            continue
        entry = run.entry(each)
        if journal.entries.get(each.path) != entry:
            journal.done(entry)
        if entry.status == "done":
            carried.append(each.path)
    return carried


@dataclass
class _Carry:
    data: Path
    out: Path
    journal: Journal
    pictures: Pictures
    config: LabelsConfig

    def entry(self, found: Found) -> Entry:
        """The file's line, its output written."""
        old = self.journal.standing(found.path)
        if not _may_be_labels(found):
            return refused(found.path, "other", *NEITHER, old=old)
        if not self.config.carry:
            return refused(found.path, "label", "ignored", "labels.carry is false", old=old, status="ignored")
        settings = {"labels": self.context}
        if old and old.status == "done" and old.settings == settings and self._stands(old):
            return old
        try:
            return self._write(found.path, old, settings)
        except LabelError as error:
            status = "ignored" if error.ignored else "left_out"
            return refused(found.path, "label", error.reason, str(error), old=old, status=status)
        except PictureError as error:
            raise_if_broken(error)
            return refused(found.path, "label", error.reason, error.message, old=old)
        except OSError as error:
            message = f"the system refuses to read it ({error.strerror})"
            return refused(found.path, "label", "unreadable", message, old=old)

    @cached_property
    def context(self) -> str:
        """Digest of all that label files may depend on."""
        pictures = self.pictures
        regions = [[face.region for face in entry.faces] for entry in pictures.entries.values()]
        state = {path: entry.status for path, entry in pictures.entries.items()}
        added = [pictures.classes, regions] if pictures.ignore_faces else []
        folders = [str(self.data), str(self.out)]
        return digest({"pictures": state, "added": added, "folders": folders, "yolo": pictures.yolo})

    def _stands(self, old: Entry) -> bool:
        source, target = self.data / old.path, self.out / old.path
        return bool(old.source and old.output and old.source.is_same(source) and old.output.is_same(target))

    def _write(self, path: str, old: Entry | None, settings: dict[str, str]) -> Entry:
        source, target = self.data / path, self.out / path
        status = source.stat()
        content = source.read_bytes()
        carried = self._carried(path, content)
        if carried is None:
            return refused(path, "other", *NEITHER, old=old)
        if refusal := in_the_way(self.journal, path, target, old):
            return refused(path, "label", *refusal, old=old)
        self.journal.start([path])
        write_atomically(target, carried.data, lambda _: None)
        return Entry(
            path,
            "label",
            "done",
            message="; ".join(carried.notes),
            source=FileState.of(source, content, status),
            output=FileState.of(target, carried.data),
            settings=settings,
            time=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def _carried(self, path: str, content: bytes) -> Carried | None:
        """What goes into OUT, of the first format that knows the file.

        Raises:
            LabelError: it must not come along.
        """
        try:
            known = (form(path, content, self.pictures) for form in FORMATS[_suffix(path)])
            return next((each for each in known if each is not None), None)
        except LabelError:
            raise
        except Exception as error:  # damaged, or made to do harm; its own words are not repeated
            raise LabelError("corrupt", f"cannot be read as labels ({type(error).__name__})") from error


def _pictures(
    data: Path, out: Path, found: Sequence[Found], journal: Journal, config: LabelsConfig
) -> Pictures:
    entries = journal.entries.among(
        each.path
        for each in found
        if each.path in journal.entries and (each.kind is Kind.picture or _was_picture(journal, each.path))
    )
    pictures = Pictures(data, out, entries, config.ignore_faces)
    pictures = replace(pictures, yolo=any(_is_yolo(data, each, pictures) for each in found))
    return replace(pictures, classes=_next_class(data, found)) if config.ignore_faces else pictures


def _is_yolo(data: Path, found: Found, pictures: Pictures) -> bool:
    """Whether a file holds boxes of a picture."""
    if not _may_be_labels(found) or _suffix(found.path) != ".txt" or not pictures.of_stem(found.path):
        return False
    try:
        return bool(yolo.boxes_in((data / found.path).read_bytes()))
    except OSError:
        return False


def _was_picture(journal: Journal, path: str) -> bool:
    return journal.entries[path].kind == "picture"


def _next_class(data: Path, found: Sequence[Found]) -> int:
    """The first YOLO class that no file of DATA names or uses."""
    return max(
        (_classes_in(data / each.path, each.path) for each in found if _may_be_labels(each)), default=0
    )


def _classes_in(file: Path, path: str) -> int:
    """How many classes a file knows of; none, if it cannot be read: it is then left out itself."""
    try:
        content = file.read_bytes()
        if _suffix(path) in (".yaml", ".yml"):
            described = yolo.data_yaml(content)
            return 1 + max(yolo.classes_of(described), default=-1) if described else 0
        if _suffix(path) not in (".txt", ".names"):
            return 0
        return len(yolo.class_names(path, content) or []) or 1 + yolo.highest_class(content)
    except Exception:
        return 0


def _may_be_labels(found: Found) -> bool:
    return found.kind is not Kind.picture and not found.reason and _suffix(found.path) in FORMATS


def _suffix(path: str) -> str:
    return PurePosixPath(path).suffix.lower()
