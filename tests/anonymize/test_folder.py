"""Whole runs by the real command line."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pipeline.anonymize import Summary, anonymize_folder, verify_folder
from pipeline.anonymize.detect import SavedModelDetector
from pipeline.anonymize.entry import Entry
from pipeline.config.schema import AnonymizeConfig, Method, RedactConfig, VerifyOutputConfig
from tests.anonymize.conftest import Run
from tests.anonymize.quick import QuickDetector
from tests.anonymize.standin import background, paint_face, save


def snapshot(folder: Path) -> dict[str, tuple[str, int]]:
    """Digest and time of every file."""
    return {
        path.relative_to(folder).as_posix(): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            path.stat().st_mtime_ns,
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def pixels(path: Path) -> NDArray[np.uint8]:
    return np.asarray(Image.open(path).convert("RGB"))


def test_structure_names_and_pixels(run: Run, photos: Path) -> None:
    before = snapshot(photos)
    ran = run(photos)
    assert ran.code == 0, ran.shown
    assert snapshot(photos) == before, "originals were touched"
    assert set(snapshot(ran.out)) == {
        *before,
        "manifest.jsonl",
        "detections.json",
        "report.json",
        "report.html",
    }
    source, output = pixels(photos / "sub/b.png"), pixels(ran.out / "sub/b.png")
    changed = (source != output).any(axis=2)
    for xmin, ymin, xmax, ymax in [(10, 10, 70, 90), (150, 100, 230, 210)]:
        share = 0.2 * (1 + 0.06 * max(source.shape[:2]) / max(xmax - xmin, ymax - ymin))  # the default margin
        across, down = share * (xmax - xmin), share * (ymax - ymin)
        left, right, top = round(max(xmin - across, 0)), round(xmax + across), round(max(ymin - down, 0))
        bottom = round(ymin - down + 0.7 * (1 + 2 * share) * (ymax - ymin))
        inner = changed[top + 3 : bottom - 3, left + 3 : right - 3]
        assert inner.mean() > 0.9, "the top 70 % of the grown box must be redacted"
        changed[max(top - 3, 0) : bottom + 4, max(left - 3, 0) : right + 3] = False
    assert not changed.any(), "pixels outside the faces changed"
    assert (pixels(photos / "sub/none.png") == pixels(ran.out / "sub/none.png")).all()
    assert "4 pictures" in ran.shown and "4 faces, nothing found in 1 pictures" in ran.shown


def test_detections_in_coco_form(run: Run, photos: Path) -> None:
    coco = json.loads((run(photos).out / "detections.json").read_text())
    images = {image["id"]: image for image in coco["images"]}
    assert {image["file_name"] for image in images.values()} == {
        "a.jpg",
        "a.png",
        "sub/b.png",
        "sub/none.png",
    }
    found = sorted(
        (
            each["bbox"]
            for each in coco["annotations"]
            if images[each["image_id"]]["file_name"] == "sub/b.png"
        ),
    )
    np.testing.assert_allclose(found, [[10, 10, 60, 80], [150, 100, 80, 110]], atol=3)
    assert len({each["id"] for each in coco["annotations"]}) == 4
    assert coco["categories"] == [{"id": 1, "name": "FACE"}]


def test_second_run_does_nothing(run: Run, photos: Path) -> None:
    (photos / "bad.jpg").write_bytes(b"\xff\xd8\xff nothing")
    first = run(photos)
    before = snapshot(first.out)
    second = run(photos)
    assert first.code == second.code == 3
    assert snapshot(second.out) == before
    assert "0 done now" in second.shown


def test_manifest_says_what_was_done(run: Run, photos: Path) -> None:
    ran = run(photos, "redact=pixelate")
    line = ran.manifest["sub/b.png"]
    assert line["source"]["sha256"] == hashlib.sha256((photos / "sub/b.png").read_bytes()).hexdigest()
    assert line["output"]["sha256"] == hashlib.sha256((ran.out / "sub/b.png").read_bytes()).hexdigest()
    assert line["settings"]["redact"]["method"] == "pixelate"
    assert len(line["settings"]["model"]) == 64 and line["config"] and line["time"]
    assert (line["picture"]["width"], line["picture"]["height"]) == (260, 240)
    assert all(face["region"] and face["score"] > 0.5 for face in line["faces"])
    assert line["verified"]["findings"] == []


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_honoured(run: Run, tmp_path: Path, orientation: int) -> None:
    """The face is found only upright; its region lies right in the raster, and the tag stays."""
    upright = background(260, 200)
    paint_face(upright, (30, 20, 110, 140))
    back = {1: [], 2: [0], 3: [0, 1], 4: [1], 5: ["t"], 6: [0, "t"], 7: [0, 1, "t"], 8: [1, "t"]}[orientation]
    raster = upright
    for step in back:
        raster = raster.swapaxes(0, 1) if step == "t" else (raster[:, ::-1] if step == 0 else raster[::-1])
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = tmp_path / "d"
    data.mkdir()
    Image.fromarray(np.ascontiguousarray(raster)).save(data / "x.png", exif=exif)
    ran = run(data, "redact.margin=0")
    assert ran.code == 0, ran.shown
    output = Image.open(ran.out / "x.png")
    assert output.getexif().get(0x0112, 1) == orientation
    shown = raster.astype(int) - np.asarray(output)
    for step in reversed(back):  # undo: each step is its own inverse
        shown = shown.swapaxes(0, 1) if step == "t" else (shown[:, ::-1] if step == 0 else shown[::-1])
    changed = (shown != 0).any(axis=2)
    assert changed[20:104, 30:110].mean() > 0.9
    changed[17:107, 27:113] = False
    assert not changed.any()


def test_every_frame_and_page_is_redacted(run: Run, tmp_path: Path) -> None:
    frames = []
    for i in range(3):
        frame = background(200, 160, i)
        paint_face(frame, (20 + 50 * i, 20, 70 + 50 * i, 100))
        frames.append(Image.fromarray(frame))
    data = tmp_path / "d"
    data.mkdir()
    for name in ("pages.tif", "moving.webp"):
        options = {"lossless": True, "duration": 80} if name.endswith("webp") else {}
        frames[0].save(data / name, save_all=True, append_images=frames[1:], **options)
    ran = run(data)
    assert ran.code == 0, ran.shown
    for name in ("pages.tif", "moving.webp"):
        assert [face["frame"] for face in ran.manifest[name]["faces"]] == [0, 1, 2]
        output = Image.open(ran.out / name)
        for i in range(3):
            output.seek(i)
            after = np.asarray(output.convert("RGB")).astype(int)
            top = (slice(20, 75), slice(20 + 50 * i, 70 + 50 * i))
            assert (after[top] != np.asarray(frames[i]).astype(int)[top]).any(axis=2).mean() > 0.9


def test_changed_settings_redo_and_say_so(run: Run, photos: Path) -> None:
    first = run(photos)
    blurred = (first.out / "a.png").read_bytes()
    second = run(photos, "redact.method=solid")
    assert "done again: redact.method changed" in second.shown
    assert (second.out / "a.png").read_bytes() != blurred
    third = run(photos, "redact.method=solid", "verify.scales=[1,2]")
    assert "not yet verified so" in third.shown
    assert run(photos, "redact.method=solid", "verify.scales=[1,2]").shown.count("0 done now") == 1


class StopsAtOnce:
    """Ctrl-C as soon as a file is done: more of them are finished, or in hand, by then."""

    def start(self, total: int) -> None:
        pass

    def advance(self, path: str, entry: Entry) -> None:
        raise KeyboardInterrupt


@pytest.mark.parametrize("laxer", [{"redact": RedactConfig(method=Method.none)}, {"score": 0.99}])
def test_what_a_stopped_run_made_with_other_settings_is_done_again(
    run: Run, photos: Path, detector: SavedModelDetector, laxer: dict[str, Any]
) -> None:
    first = run(photos, "detector.runtime=tensorflow")
    before = {path: (first.out / path).read_bytes() for path in first.manifest}
    config = AnonymizeConfig(redact=laxer.get("redact", RedactConfig()))
    config.detector.score_threshold = laxer.get("score", 0.5)
    with pytest.raises(KeyboardInterrupt):
        anonymize_folder(photos, first.out, detector=detector, config=config, watch=StopsAtOnce())
    assert any((first.out / path).read_bytes() != data for path, data in before.items())
    again = run(photos, "detector.runtime=tensorflow")
    assert again.code == 0, again.shown
    assert {path: (again.out / path).read_bytes() for path in again.manifest} == before


def test_an_ignored_picture_whose_output_was_made_with_other_settings(run: Run, photos: Path) -> None:
    run(photos, "redact=none")
    ran = run(photos, "ignore=[a.png]")
    assert ran.code == 3
    assert ran.reasons() == {"a.png": "ignored"}
    assert "made with other settings" in ran.shown
    (ran.out / "a.png").unlink()
    assert run(photos, "ignore=[a.png]").code == 0


def test_an_ignored_folder_is_no_way_around_other_settings(photos: Path) -> None:
    out = photos.with_name("out")

    def go(**config: Any) -> Summary:
        return anonymize_folder(photos, out, detector=QuickDetector(), config=AnonymizeConfig(**config))

    (photos / "sub" / "b.txt").write_text("0 0.5 0.5 0.25 0.25\n")
    (photos / "sub" / "b.png").rename(photos / "sub" / "b")
    go(redact=RedactConfig(method=Method.none))
    for _ in range(2):
        summary = go(ignore=["sub"])
        assert summary.exit_code == 3 and summary.removed == []
        told = verify_folder(VerifyOutputConfig(out=str(out)), detector=QuickDetector()).problems
        assert [(each.path, each.kind) for each in told] == [
            ("sub/b", "not_redacted"),
            ("sub/none.png", "not_redacted"),
        ]
        assert [each.path for each in summary.left_out] == ["sub/b", "sub/none.png"]
        assert {each.path for each in summary.ignored} == {"sub", "sub/b.txt"}
    (photos / "sub" / "none.png").unlink()
    (out / "sub" / "b").unlink()
    summary = go(ignore=["sub"])
    assert summary.exit_code == 0 and summary.removed == ["sub/none.png"]


def test_an_output_that_is_kept_keeps_its_settings(photos: Path) -> None:
    """Its source is damaged meanwhile: the blur that could not be made is not what lies there."""
    plain, out = RedactConfig(method=Method.none), photos.with_name("out")

    def go(**config: Any) -> Summary:
        return anonymize_folder(photos, out, detector=QuickDetector(), config=AnonymizeConfig(**config))

    go(redact=plain)
    (photos / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert [(each.path, each.reason) for each in go().left_out] == [("a.png", "corrupt")]
    told = verify_folder(VerifyOutputConfig(out=str(out)), detector=QuickDetector())
    assert ("a.png", "not_redacted") in {(each.path, each.kind) for each in told.problems}
    assert go().todo == [], "damage is final until the file or the settings change"
    assert go(redact=plain).todo == ["a.jpg", "a.png", "sub/b.png", "sub/none.png"]
    go()
    assert go(ignore=["a.png"]).exit_code == 3


def test_changed_and_removed_sources(run: Run, photos: Path) -> None:
    first = run(photos)
    old = (first.out / "a.png").read_bytes()
    save(photos / "a.png", [(100, 30, 180, 140)])
    (photos / "sub/b.png").unlink()
    (first.out / "sub/none.png").unlink()
    second = run(photos)
    assert second.code == 0
    assert "1 done again: source changed" in second.shown
    assert "1 done again: output missing" in second.shown
    assert "1 are gone from DATA" in second.shown and "sub/b.png" in second.shown
    assert (second.out / "a.png").read_bytes() != old
    assert (second.out / "sub/b.png").exists()
    assert second.report["removed_from_data"] == ["sub/b.png"]
    assert second.report["totals"]["pictures"] == 3


def test_a_touched_source_is_not_done_again(run: Run, photos: Path) -> None:
    run(photos)
    os.utime(photos / "a.png")
    assert "0 done now" in run(photos).shown


def test_what_veil_did_not_write_is_kept(run: Run, photos: Path) -> None:
    first = run(photos)
    (first.out / "a.png").write_bytes(b"retouched by hand")
    (first.out / "notes.md").write_text("mine")
    save(photos / "new.png", [(20, 30, 100, 140)])
    (first.out / "new.png").write_bytes(b"mine, too")
    second = run(photos, "redact.method=solid")
    assert second.code == 3
    assert second.reasons() == {"a.png": "output_changed", "new.png": "foreign_output"}
    assert (second.out / "a.png").read_bytes() == b"retouched by hand"
    assert (second.out / "new.png").read_bytes() == b"mine, too"
    assert (second.out / "notes.md").read_text() == "mine"
    assert second.report["not_of_veil"] == ["new.png", "notes.md"]
    (second.out / "a.png").unlink()
    (second.out / "new.png").unlink()
    third = run(photos, "redact.method=solid")
    assert third.code == 0 and third.reasons() == {}


def test_an_output_that_leads_back_to_data_is_not_followed(run: Run, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(photos, out=out)
    shutil.rmtree(out / "sub")
    (out / "sub").symlink_to(photos / "sub")
    (out / "a.png").unlink()
    (out / "a.png").symlink_to(photos / "a.png")
    before = snapshot(photos)
    ran = run(photos, "redact.method=solid", out=out)
    assert ran.code == 3 and snapshot(photos) == before
    assert ran.reasons()["sub/b.png"] == "foreign_output"
    assert ran.reasons()["a.png"] == "output_changed"


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("photos", "is data"),
        ("photos/sub/out", "lies inside data"),
        (".", "holds data"),
        ("link-to-photos", "is data"),
        ("link-to-photos/out", "lies inside data"),
        ("file", "is a file"),
        ("full", "no manifest.jsonl of Veil's"),
        ("other", "not of Veil's making"),
    ],
)
def test_refused_outputs(run: Run, photos: Path, tmp_path: Path, out: str, message: str) -> None:
    (tmp_path / "link-to-photos").symlink_to(photos)
    (tmp_path / "file").write_text("x")
    save(tmp_path / "full" / "a.png", [])
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "manifest.jsonl").write_text('{"path": "a.png"}\n')
    before = snapshot(tmp_path)
    ran = run(photos, out=tmp_path / out)
    assert ran.code == 2 and message in ran.shown and "Traceback" not in ran.shown
    assert snapshot(tmp_path) == before


def test_the_home_of_nobody_is_no_folder(run: Run, photos: Path) -> None:
    ran = run(Path("~nobody-of-that-name/photos"))
    assert ran.code == 2 and "data: '~nobody-of-that-name/photos'; allowed: an existing folder" in ran.shown


def test_dry_run_writes_nothing(run: Run, photos: Path) -> None:
    (photos / "bad.csv").write_text("x")
    fresh = run(photos, "dry_run=true")
    assert fresh.code == 3 and not fresh.out.exists()
    assert "bad.csv: not_a_picture" in fresh.shown
    assert "4 pictures to do: new" in fresh.shown
    done = run(photos)
    before = snapshot(done.out)
    again = run(photos, "dry_run=true", "redact=solid")
    assert snapshot(done.out) == before
    assert "4 pictures to do: redact.method changed" in again.shown


def test_method_none_only_detects(run: Run, photos: Path) -> None:
    ran = run(photos, "redact=none")
    assert ran.code == 0
    assert (pixels(photos / "a.png") == pixels(ran.out / "a.png")).all()
    line = ran.manifest["a.png"]
    assert line["faces"][0]["region"] is None and line["verified"] is None
    assert "nothing was redacted" in (ran.out / "report.html").read_text()


def test_empty_folder(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ran = run(tmp_path / "empty")
    assert ran.code == 0 and "0 pictures" in ran.shown
