from __future__ import annotations

import base64
import json
import re
import tracemalloc
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pipeline.anonymize import Summary, anonymize_folder
from pipeline.anonymize.entry import Entry, Face
from pipeline.anonymize.images.jpeg import JpegFrame
from pipeline.anonymize.manifest import Entries
from pipeline.anonymize.report import write
from pipeline.anonymize.report.detections import coco
from pipeline.anonymize.report.document import by_score, by_size
from pipeline.anonymize.report.thumbnails import thumbnails
from pipeline.config.schema import AnonymizeConfig, LimitsConfig, Method, RecordConfig, RedactConfig
from tests.anonymize.conftest import Run
from tests.anonymize.quick import QuickDetector
from tests.anonymize.standin import background, paint_face, save


@pytest.fixture
def summary(tmp_path: Path) -> Summary:
    data = tmp_path / "data"
    save(data / "face.png", [(20, 30, 100, 140)])
    save(data / "none.png", [])
    save(data / "rather.png", [(20, 30, 100, 140)], strength=0.48)
    save(data / "perhaps.jpg", [(60, 30, 140, 140), (160, 100, 200, 160)], strength=0.3, quality=95)
    (data / "bad <i>.jpg").write_bytes(b"\xff\xd8\xff")
    config = AnonymizeConfig(record=RecordConfig("The <controller>", "a purpose", None))
    return anonymize_folder(data, tmp_path / "out", detector=QuickDetector(), config=config)


def page(summary: Summary) -> str:
    return (summary.out / "report.html").read_text("utf-8")


def report(summary: Summary) -> dict[str, object]:
    return dict(json.loads((summary.out / "report.json").read_text()))


def test_the_report_tells_all(summary: Summary) -> None:
    told = report(summary)
    assert told["totals"] == {
        "pictures": 4,
        "faces": 1,
        "without_face": 3,
        "left_out": 1,
        "ignored": 0,
        "to_review": 2,
        "findings": 0,
        "labels": 0,
    }
    assert [each["path"] for each in told["review"]] == ["rather.png", "perhaps.jpg"]  # type: ignore[attr-defined]
    assert told["left_out"][0]["reason"] == "corrupt"  # type: ignore[index]
    assert told["without_face"] == ["none.png", "perhaps.jpg", "rather.png"]
    record = told["record"]
    assert record["controller"] == "The <controller>" and record["retention"] is None  # type: ignore[index]
    html = page(summary)
    assert "bad &lt;i&gt;.jpg" in html and "The &lt;controller&gt;" in html
    assert re.search(r"<th>retention</th><td>not stated</td>", html)
    assert html.index("rather.png") < html.index("perhaps.jpg")


def test_the_page_needs_nothing_else(summary: Summary) -> None:
    html = page(summary)
    assert not re.search(r"""(src|href)=["'](?!data:|[\w%./-]+["'])""", html)
    assert "http://" not in html and "https://" not in html and "<script" not in html
    assert str(summary.data.parent) not in html, "the page tells where it was made"
    assert "compliant" not in html.lower()


def test_thumbnails_show_where_and_not_who(summary: Summary) -> None:
    """The doubtful face stands in the output; in the report it is pixelated, and outlined."""
    sources = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page(summary))
    assert len(sources) == 4  # two pictures, each whole and close up
    whole = _thumbnail(page(summary))
    assert whole.shape[:2] == (240, 260)
    outline = whole[29:31, 20:100]
    assert (outline[..., 0] > 200).all() and (outline[..., 2] < 90).all(), "drawn in yellow"
    assert _edges(whole[40:130, 30:90]) <= 8, "only the edges of a few cells remain"


def _thumbnail(html: str) -> NDArray[np.int_]:
    """The first one, RGB."""
    source = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', html)[0]
    decoded = cv2.imdecode(np.frombuffer(base64.b64decode(source), np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(decoded)[..., ::-1].astype(int)


def _edges(face: NDArray[np.int_]) -> int:
    """Rows across which green changes: many in a painted face, few between the cells of a hidden one."""
    return int((np.abs(np.diff(face[..., 1], axis=0)).max(axis=1) > 12).sum())


def test_lists_that_the_page_cuts_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.anonymize.report.page.LISTED", 1)
    data = tmp_path / "data"
    for name in "abc":
        save(data / f"{name}.png", [])
        (data / f"{name}.txt").write_text("0 0.5 0.5 0.1 0.1\n")
        (data / f"{name}.jpg").write_bytes(b"\xff\xd8\xff")
    summary = anonymize_folder(data, tmp_path / "out", detector=QuickDetector())
    assert (len(summary.labels), len(summary.left_out)) == (3, 3)
    assert page(summary).count("… and 2 more, in report.json") == 3  # labels, left out, without a face


@pytest.mark.parametrize("turn", [1, 6])
def test_thumbnails_of_a_large_jpeg_are_made_from_a_smaller_one(
    tmp_path: Path, turn: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They show the same; a small face is shown from every pixel there is."""
    raster = cv2.resize(background(400, 300), (2403, 1801), interpolation=cv2.INTER_CUBIC)
    exif = Image.Exif()
    exif[0x0112] = turn
    Image.fromarray(raster).save(tmp_path / "large.jpg", quality=97, exif=exif)
    Image.fromarray(raster).save(tmp_path / "large.png", compress_level=1, exif=exif)
    factors = []
    view = JpegFrame.view
    monkeypatch.setattr(JpegFrame, "view", lambda *given: factors.append(view(*given).factor) or view(*given))
    for size in (600, 40):
        doubtful = Face(0, [500, 700, 500 + size, 700 + size], 0.4)
        other = Face(0, [300, 1400, 300 + size, 1400 + size], 0.9)
        shots = []
        for name in ("large.jpg", "large.png"):
            entry = Entry(path=name, kind="picture", status="done", candidates=[doubtful], faces=[other])
            shots.append(
                [_thumbnail(f'src="{shot}"') for shot in thumbnails(tmp_path, entry, LimitsConfig())]
            )
        for small, full in zip(*shots, strict=True):
            assert small.shape == full.shape and small.shape[0] > 0
            assert np.abs(small - full).mean() < 4
    assert factors == [8, 1]


def test_a_file_of_many_pages_is_as_doubtful_as_its_most_doubtful_page(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    pages = []
    for strength in (0.34, 0.48):
        pixels = background(260, 240)
        paint_face(pixels, (20, 30, 100, 140), strength=strength)
        pages.append(Image.fromarray(pixels))
    pages[0].save(data / "pages.tif", save_all=True, append_images=pages[1:])
    save(data / "one.png", [(20, 30, 100, 140)], strength=0.4)
    summary = anonymize_folder(data, tmp_path / "out", detector=QuickDetector())
    assert [len(each.candidates) for each in summary.review] == [2, 1]
    assert [each.path for each in summary.review] == ["pages.tif", "one.png"]
    assert [each["path"] for each in report(summary)["review"]] == ["pages.tif", "one.png"]  # type: ignore[attr-defined]
    assert summary.review[0].doubtful[0].frame == 1
    assert re.search(r"pages\.tif</a><br>0\.4\d, 0\.2\d · frame 1", page(summary))


@pytest.mark.parametrize("shown", ["redact=none", "found by the second look"])
def test_thumbnails_hide_every_face_that_the_output_shows(tmp_path: Path, shown: str) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    data.mkdir()
    weak = background(260, 240)
    paint_face(weak, (20, 30, 100, 140), strength=0.48)
    paint_face(weak, (160, 60, 220, 140))
    weak[62:114:4, 160:220, 1] += 60  # stripes, to tell a face from its cells
    Image.fromarray(weak).save(data / "two.png")
    config = AnonymizeConfig(redact=RedactConfig(method=Method.none))
    summary = anonymize_folder(data, out, detector=QuickDetector(), config=config)
    entry = summary.entries["two.png"]
    assert len(entry.faces) == len(entry.candidates) == 1
    if shown != "redact=none":
        (face,) = entry.faces
        found = {"frame": 0, "box": face.box, "score": face.score}
        entry = replace(entry, faces=[], verified={"settings": "", "findings": [found]})
    bare = _thumbnail(f'src="{thumbnails(out, replace(entry, faces=[], verified=None), config.limits)[0]}"')
    hidden = _thumbnail(f'src="{thumbnails(out, entry, config.limits)[0]}"')
    where = np.s_[64:110, 168:212]
    assert _edges(bare[where]) > 12 and _edges(hidden[where]) <= 8


def test_it_is_written_anew_only_when_something_changed(summary: Summary) -> None:
    before = (summary.out / "report.html").stat().st_mtime_ns
    config = AnonymizeConfig(record=RecordConfig("The <controller>", "a purpose", None))
    anonymize_folder(summary.data, summary.out, detector=QuickDetector(), config=config)
    assert (summary.out / "report.html").stat().st_mtime_ns == before
    config.record.retention = "two years"
    anonymize_folder(summary.data, summary.out, detector=QuickDetector(), config=config)
    assert "two years" in page(summary)


def test_tables_of_faces() -> None:
    scores = [0.5, 0.65, 1.0]
    assert list(by_size([10.0, 16.0, 300.0]).values()) == [1, 1, 0, 1]
    assert by_score(scores, 0.5) == {
        "0.5 to 0.6": 1,
        "0.6 to 0.7": 1,
        "0.7 to 0.8": 0,
        "0.8 to 0.9": 0,
        "0.9 to 1": 1,
    }
    assert list(by_score(scores, 0.65)) == ["0.65 to 0.7", "0.7 to 0.8", "0.8 to 0.9", "0.9 to 1"]


@pytest.mark.parametrize("faces", [True, False])
def test_detections_are_one_json_text(tmp_path: Path, faces: bool) -> None:
    """They are written in parts: what comes out is what ``json.dumps`` makes of the whole."""
    save(tmp_path / "data" / "ł.png", [(20, 30, 100, 140), (160, 60, 220, 140)] if faces else [])
    save(tmp_path / "data" / "two.png", [(20, 30, 100, 140)] if faces else [])
    summary = anonymize_folder(tmp_path / "data", detector=QuickDetector())
    text = (summary.out / "detections.json").read_text()
    told = json.loads(text)
    assert text == json.dumps(told, indent=1) + "\n"
    assert [image["id"] for image in told["images"]] == [1, 2]
    ids = [(each["id"], each["image_id"]) for each in told["annotations"]]
    assert ids == ([(1, 1), (2, 2), (3, 2)] if faces else [])
    empty = replace(summary, removed=list(summary.entries))
    assert json.loads("".join(coco(empty)))["images"] == []


def test_the_report_of_a_large_folder_takes_the_memory_of_a_small_one(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        entries, out = Entries(), tmp_path / str(count)
        for number in range(count):
            faces = [Face(0, [316.56, 84.68, 364.87, 143.85], 0.6424, [306, 72, 375, 131])] * 5
            form = {"format": "JPEG", "width": 512, "height": 366, "orientation": 1, "frames": 1}
            entries[f"{number}.jpg"] = Entry(f"{number}.jpg", "picture", "done", picture=form, faces=faces)
        summary = Summary(tmp_path, out, entries, "model", "tensorflow")
        tracemalloc.start()
        try:
            write(summary, AnonymizeConfig(data="data"))
            taken = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert report(summary)["faces_by_score"]["0.6 to 0.7"] == 5 * count  # type: ignore[index]
        return taken

    assert peak(1000) < 1.5 * peak(10)


def test_the_terminal_points_to_it(run: Run, photos: Path) -> None:
    ran = run(photos)
    assert f"report: {ran.out}/report.html" in ran.shown
