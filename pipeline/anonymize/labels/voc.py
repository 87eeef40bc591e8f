"""Pascal VOC: one XML a picture. Edits are textual, so that everything else stays byte for byte."""

from __future__ import annotations

import re
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from pipeline.anonymize.labels.pictures import IGNORE, Carried, LabelError, Pictures, refuse_embedded

PATH = re.compile(r"(<(path|folder|filename)>)([^<]*)(</\2\s*>)")
"""Elements that tools write absolute paths into."""
END = re.compile(r"</annotation\s*>(?=(?:\s|(?><!--.*?-->)|(?><\?.*?\?>))*+\Z)", re.DOTALL)
"""Where the root element ends: comments may follow. Nothing is tried twice, lest a file take for ever."""


def carry(path: str, data: bytes, pictures: Pictures) -> Carried | None:
    """The file for OUT; None when it is no VOC file.

    Raises:
        LabelError: its picture was left out, it embeds data, or nothing can be added to it.
    """
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        return None  # no labelling tool writes these, and entities are how XML harms its reader
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError, LookupError):
        return None
    if root.tag != "annotation":
        return None
    refuse_embedded(re.split("[<>]", data.decode(_encoding(data))))  # tags, texts and comments alike
    beside = pictures.of_stem(path)
    named = pictures.named((root.findtext("filename") or "").strip(), path)
    named = [each for each in named if each in beside] or named or beside
    pictures.refuse_left_out(named)
    return _edited(root, data, named, pictures)


def _edited(root: ElementTree.Element, data: bytes, named: list[str], pictures: Pictures) -> Carried:
    encoding = _encoding(data)
    text, notes = data.decode(encoding), []
    moved = PATH.sub(lambda match: match[1] + _moved(match[3], pictures) + match[4], text)
    if moved != text:
        notes.append("its absolute path now leads into OUT")
    if pictures.ignore_faces and len(named) == 1:
        size = tuple(int(root.findtext(f"size/{side}") or 0) for side in ("width", "height"))
        objects = _objects(named[0], (size[0], size[1]), pictures)
        if objects:
            moved = END.sub(lambda match: "".join(objects) + match[0], moved, count=1)
            _expect_objects(len(root.findall("object")) + len(objects), moved.encode(encoding))
            notes.append(f"{len(objects)} redacted regions added as {IGNORE}")
    return Carried(moved.encode(encoding) if notes else data, notes)


def _moved(text: str, pictures: Pictures) -> str:
    """An element's text; the path in it may stand between blanks."""
    reference = text.strip()
    plain = _unescaped(reference)
    new = pictures.moved(plain)
    return text if new == plain else text.replace(reference, escape(new))


def _expect_objects(count: int, data: bytes) -> None:
    """Whoever reads the edited file must find every object, the added ones too."""
    try:
        found = len(ElementTree.fromstring(data).findall("object"))
    except ElementTree.ParseError:
        found = -1
    if found != count:
        raise LabelError("corrupt", f"the end of its <annotation> was not found, to add {IGNORE} there")


def _objects(picture: str, size: tuple[int, int], pictures: Pictures) -> list[str]:
    """``difficult`` is how VOC says 'do not count'."""
    boxes, _ = pictures.ignored_boxes(picture, size)
    return [
        f"<object><name>{IGNORE}</name><pose>Unspecified</pose><truncated>0</truncated>"
        f"<difficult>1</difficult><bndbox><xmin>{x0:.0f}</xmin><ymin>{y0:.0f}</ymin>"
        f"<xmax>{x1:.0f}</xmax><ymax>{y1:.0f}</ymax></bndbox></object>\n"
        for x0, y0, x1, y1 in boxes
    ]


def _encoding(data: bytes) -> str:
    declared = re.match(rb"<\?xml[^>]*encoding=[\"']([\w-]+)", data.removeprefix(b"\xef\xbb\xbf"))
    return declared[1].decode() if declared else "utf-8"


def _unescaped(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
