"""The second look, inside a run and by itself."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import anonymize
from pipeline.anonymize import Detections, anonymize_folder, verify_folder
from pipeline.anonymize.entry import Face
from pipeline.anonymize.images import open_picture
from pipeline.anonymize.redact import Region
from pipeline.anonymize.verify import Redacted, exposed_share, look_again, redacted_regions
from pipeline.config.schema import (
    AnonymizeConfig,
    LimitsConfig,
    Method,
    RedactConfig,
    Shape,
    VerifyConfig,
    VerifyOutputConfig,
)
from tests.anonymize.conftest import Run
from tests.anonymize.quick import QuickDetector
from tests.anonymize.standin import background, paint_face, save

FACE = Face(0, [100, 100, 200, 200], 0.9, [100, 100, 200, 170])
TIGHT = RedactConfig(margin=0)


@pytest.mark.parametrize(
    ("box", "exposed"),
    [
        ([100, 100, 200, 200], 0.0),  # the same again
        ([75, 75, 225, 225], 0.56),  # half as large again: 70 of 105 rows, 100 of 150 columns
        ([90, 95, 210, 225], 0.36),
        ([100, 100, 160, 160], 0.0),  # a part of it
        ([100, 170, 200, 230], 1.0),  # the chin that stays
        ([300, 100, 400, 200], 1.0),
    ],
)
def test_exposed_share(box: list[float], exposed: float) -> None:
    redacted = redacted_regions([FACE], TIGHT, (500, 500))
    assert [region.box for region in redacted] == [(100, 100, 200, 170)]
    share = exposed_share(np.array(box, float), redacted, TIGHT, (500, 500))
    assert share == pytest.approx(exposed, abs=0.01)


@pytest.mark.parametrize(
    ("box", "exposed"),
    [
        ([100, 100, 200, 200], 0.0),  # the same again
        ([70, 70, 230, 230], 0.09),  # larger still: 107 of its 112 rows, 152 of 160 columns are hidden
        ([120, 170, 180, 230], 0.74),  # the chin that stays: 31 of its 42 rows
        ([226, 100, 326, 200], 1.0),  # beside the region, whose edge is at 226
    ],
)
def test_a_margin_hides_more_and_is_no_part_of_the_face(box: list[float], exposed: float) -> None:
    hidden = replace(FACE, region=[74, 74, 226, 181])  # what a margin of 0.2 makes of it
    redacted = redacted_regions([hidden], RedactConfig(margin=0.2), (500, 500))
    share = exposed_share(np.array(box, float), redacted, RedactConfig(margin=0.2), (500, 500))
    assert share == pytest.approx(exposed, abs=0.01)


@pytest.mark.parametrize("shape", list(Shape))
def test_what_was_redacted_is_read_and_not_computed_again(shape: Shape) -> None:
    """An output that an older Veil made, with another margin, is judged by what it hid."""
    now = RedactConfig(margin=0.5, shape=shape)
    redacted = redacted_regions([FACE, replace(FACE, region=None)], now, (500, 500))
    assert [region.box for region in redacted] == [(100, 100, 200, 170)]
    assert exposed_share(np.array([55, 100, 99, 160], float), redacted, now, (500, 500)) == 1.0


@pytest.mark.parametrize("margin", [0.2, 1.0])
def test_what_is_hidden_around_a_face_does_not_hide_the_face(margin: float) -> None:
    config = RedactConfig(margin=margin)
    sides = [(0, 0, 500, 200), (0, 228, 500, 500), (0, 0, 200, 500), (240, 0, 500, 500)]
    around = [Region(side, side, 8.0) for side in sides]
    assert exposed_share(np.array([200, 200, 240, 240], float), around, config, (500, 500)) == 1.0


def test_the_corners_beside_an_ellipse_are_exposed() -> None:
    """A face in the corner of another's box, where the ellipse leaves the pixels as they are."""
    corner = np.array([100, 100, 115, 120], float)
    for shape, exposed in ((Shape.box, 0.0), (Shape.ellipse, 1.0)):
        config = RedactConfig(shape=shape, margin=0)
        redacted = redacted_regions([FACE], config, (500, 500))
        assert exposed_share(corner, redacted, config, (500, 500)) == pytest.approx(exposed, abs=0.15)
        assert exposed_share(np.array(FACE.box), redacted, config, (500, 500)) == 0.0


VIEWS = [(1.0, 0), (0.5, 0), (2.0, 0), (1.5, 90), (1.0, 180), (0.7, 270), (2.0, 270)]


@pytest.mark.parametrize(("scale", "rotation"), VIEWS)
def test_boxes_of_every_view_come_back_upright(tmp_path: Path, scale: float, rotation: int) -> None:
    """A rotated face has its magenta part elsewhere, so its box is checked by where that part lies."""
    pixels = background(300, 220)
    paint_face(pixels, (40, 30, 85, 95))  # magenta: 40..85, 30..69
    Image.fromarray(pixels).save(tmp_path / "x.png")
    picture = open_picture(tmp_path / "x.png", LimitsConfig())
    config = VerifyConfig(scales=[scale], rotations=[rotation])
    ((finding,),) = look_again(QuickDetector(), [Redacted(picture)], config, RedactConfig())
    assert finding.view == f"scale {scale:g}, rotation {rotation}"
    xmin, ymin, xmax, ymax = finding.box
    tops = {0: (40, 30, 85, 95), 90: (10, 30, 85, 69), 180: (40, 4, 85, 69), 270: (40, 30, 115, 69)}
    np.testing.assert_allclose([xmin, ymin, xmax, ymax], tops[rotation], atol=4)


def test_redacted_faces_are_no_findings_and_others_are(tmp_path: Path) -> None:
    save(tmp_path / "x.png", [(20, 30, 100, 140), (150, 30, 230, 140)])
    picture = open_picture(tmp_path / "x.png", LimitsConfig())
    redacted = Redacted(picture, [Face(0, [20, 30, 100, 140], 0.9, [20, 30, 100, 107])])
    ((finding,),) = look_again(QuickDetector(), [redacted], VerifyConfig(scales=[1]), RedactConfig())
    assert finding.box[0] == 150 and finding.exposed == 1.0


def test_a_lower_threshold_finds_what_was_not_redacted(run: Run, photos: Path) -> None:
    save(photos / "doubtful.png", [(20, 30, 100, 140)], strength=0.4)
    assert run(photos).code == 0
    ran = run(photos, "verify.score_threshold=0.3")
    assert ran.code == 3 and "1 findings of the second look" in ran.shown
    (finding,) = ran.report["findings"]
    assert finding["path"] == "doubtful.png" and 0.3 < finding["score"] < 0.5
    assert run(photos, "verify.score_threshold=0.3").code == 3, "a finding stays one"


def test_a_threshold_below_the_review_list_looks_again(run: Run, photos: Path) -> None:
    """The first look kept nothing of a face that scores 0.14: the detector must run once more."""
    save(photos / "faint.png", [(20, 30, 100, 140)], strength=0.2)
    assert run(photos).manifest["faint.png"]["candidates"] == []
    ran = run(photos, "verify.score_threshold=0.1")
    assert [finding["path"] for finding in ran.report["findings"]] == ["faint.png"] and ran.code == 3


@dataclass
class Counting:
    """How many canvases are looked at."""

    detector: QuickDetector = field(default_factory=QuickDetector)
    input_size: int = 512
    shapes: list[tuple[int, ...]] = field(default_factory=list)
    digest: str = "counting"

    def detect(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        self.shapes += [picture.shape for picture in pictures]
        return self.detector.detect(pictures)


@pytest.mark.parametrize(
    ("turned", "first", "second"),
    [([], (472, 512), (472, 512)), ([3], (512, 512), (472, 512))]
    + [([0, 1, 2, 3, 4], (512, 308), (512, 308))],
)
def test_pictures_share_a_canvas_and_each_gets_its_own_findings(
    tmp_path: Path, turned: list[int], first: tuple[int, int], second: tuple[int, int]
) -> None:
    """Of 260 x 240 pixels each, or 144 x 240; one that stands among others needs the height of a square."""
    faces = [
        [(20, 30, 100, 140)],
        [],
        [(150, 30, 230, 140), (20, 100, 90, 190)],
        [(90, 60, 180, 180)],
        [(5, 5, 80, 90)],
    ]
    outputs = []
    for number, boxes in enumerate(faces):
        path = save(tmp_path / f"{number}.png", boxes)
        if number in turned:
            Image.open(path).resize((144, 240)).save(path)
        outputs.append(Redacted(open_picture(path, LimitsConfig())))
    detector = Counting()
    found = look_again(detector, outputs, VerifyConfig(scales=[0.5]), RedactConfig())
    assert detector.shapes == [(*first, 3), (*second, 3)], "four on one canvas, the fifth on another"
    narrower = 144 / 260
    for number in turned:
        faces[number] = [(x0 * narrower, y0, x1 * narrower, y1) for x0, y0, x1, y1 in faces[number]]
    for findings, boxes in zip(found, faces, strict=True):
        assert len(findings) == len(boxes)
        seen, painted = (sorted(each) for each in ([each.box for each in findings], boxes))
        np.testing.assert_allclose(np.reshape(seen, (-1, 4)), np.reshape(painted, (-1, 4)), atol=4)
        assert all(each.view == "scale 0.5, rotation 0" for each in findings)


@pytest.mark.parametrize(
    ("box", "candidates", "found"),
    [
        ((150, 30, 230, 140), [], True),  # nothing of it was redacted
        ((95, 30, 175, 140), [], True),  # hardly anything
        ((60, 75, 140, 185), [], False),  # the first look saw no face there: it came with the blur
        ((60, 75, 140, 185), [(62, 70, 140, 180)], True),  # it saw one, and left it
    ],
)
def test_what_only_redaction_made_look_like_a_face_is_no_finding(
    tmp_path: Path, box: tuple[int, ...], candidates: list[tuple[int, ...]], found: bool
) -> None:
    save(tmp_path / "x.png", [box])  # type: ignore[list-item]
    known = [Face(0, list(each), 0.3, None) for each in candidates]
    picture = open_picture(tmp_path / "x.png", LimitsConfig())
    redacted = Redacted(picture, [Face(0, [20, 30, 100, 140], 0.9, [20, 30, 100, 107])], known)
    (findings,) = look_again(QuickDetector(), [redacted], VerifyConfig(scales=[1]), TIGHT)
    assert bool(findings) is found


def test_what_was_redacted_below_a_face_did_not_make_it(tmp_path: Path) -> None:
    """A seventh of its box was redacted, for the face below it, and nothing of its top."""
    save(tmp_path / "x.png", [(20, 20, 100, 130)])
    picture = open_picture(tmp_path / "x.png", LimitsConfig())
    redacted = Redacted(picture, [Face(0, [20, 114, 100, 224], 0.9, [20, 114, 100, 191])])
    ((finding,),) = look_again(QuickDetector(), [redacted], VerifyConfig(scales=[1]), TIGHT)
    assert finding.exposed == 1


class Failing(QuickDetector):
    """Sees nothing in pictures that were redacted already: it breaks."""

    def detect(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        if any(len(found) and found.scores.max() < 0.8 for found in super().detect(pictures)):
            raise RuntimeError("no such luck")
        return super().detect(pictures)


def test_a_detector_that_fails_at_the_second_look_ends_no_run(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for name in ("a.png", "b.png"):
        save(data / name, [(20, 30, 100, 140)])
    off = AnonymizeConfig(verify=VerifyConfig(enabled=False))
    assert anonymize_folder(data, tmp_path / "out", detector=Failing(), config=off).exit_code == 0
    again = anonymize_folder(data, tmp_path / "out", detector=Failing())
    assert again.exit_code == 1
    assert {entry.path: entry.reason for entry in again.left_out} == dict.fromkeys(
        ("a.png", "b.png"), "internal_error"
    )
    config = VerifyOutputConfig(out=str(tmp_path / "out"))
    told = verify_folder(config, Failing())
    assert {(each.path, each.kind) for each in told.problems} == {
        ("a.png", "internal_error"),
        ("b.png", "internal_error"),
    }


def test_what_cannot_be_looked_at_again_is_not_left_standing(tmp_path: Path) -> None:
    save(tmp_path / "data" / "a.png", [(20, 30, 100, 140)])
    save(tmp_path / "data" / "none.png", [])
    ended = anonymize_folder(tmp_path / "data", tmp_path / "out", detector=Failing())
    assert [entry.path for entry in ended.left_out] == ["a.png"] and ended.exit_code == 1
    assert not (tmp_path / "out" / "a.png").exists() and (tmp_path / "out" / "none.png").exists()


def test_what_is_withdrawn_is_not_said_to_stand(tmp_path: Path) -> None:
    """It had replaced the output of an earlier run already."""
    save(tmp_path / "data" / "a.png", [(20, 30, 100, 140)])
    config = AnonymizeConfig(redact=RedactConfig(method=Method.none))
    anonymize_folder(tmp_path / "data", tmp_path / "out", detector=QuickDetector(), config=config)
    ended = anonymize_folder(tmp_path / "data", tmp_path / "out", detector=Failing())
    assert not (tmp_path / "out" / "a.png").exists()
    (entry,) = ended.left_out
    assert entry.output is None and "still there" not in entry.message


class Choking(QuickDetector):
    """Breaks on a picture with a face of little strength in it, once it is redacted."""

    def detect(self, pictures: Sequence[NDArray[np.uint8]]) -> list[Detections]:
        for picture in pictures:
            blue = (picture == (0, 0, 255)).all(axis=2).sum()
            if blue and max(super().detect([picture])[0].scores, default=0) < 0.8:
                raise RuntimeError("no such luck")
        return super().detect(pictures)


def test_one_that_cannot_be_looked_at_again_takes_no_other_with_it(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png"):
        save(tmp_path / "data" / name, [(20, 30, 100, 140)])
    pixels = np.asarray(Image.open(tmp_path / "data" / "b.png")).copy()
    pixels[180:, 180:] = (0, 0, 255)
    Image.fromarray(pixels).save(tmp_path / "data" / "b.png")
    ended = anonymize_folder(tmp_path / "data", tmp_path / "out", detector=Choking())
    assert [entry.path for entry in ended.left_out] == ["b.png"]
    assert {path.name for path in (tmp_path / "out").glob("*.png")} == {"a.png", "c.png"}


def test_a_folder_with_an_equals_sign_is_no_override(
    run: Run, photos: Path, model: Path, tmp_path: Path
) -> None:
    out = run(photos, out=tmp_path / "a=b").out
    assert anonymize.main(["verify", str(out), f"detector.model={model}"]) == 0


def test_the_manual_names_the_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert anonymize.main(["verify", "--help"]) == 0
    usage = capsys.readouterr().out.splitlines()[0]
    assert usage.startswith("usage: python ") and " verify OUT [field=value" in usage


def test_the_second_look_can_be_left(run: Run, photos: Path) -> None:
    assert run(photos, "verify.enabled=false").manifest["a.png"]["verified"] is None


def output(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    save(data / "face.png", [(20, 30, 100, 140)])
    save(data / "none.jpg", [])
    save(data / "doubtful.png", [(20, 30, 100, 140)], strength=0.4)
    return anonymize_folder(data, tmp_path / "out", detector=QuickDetector()).out


def problems(out: Path, **verify: object) -> set[tuple[str, str]]:
    config = VerifyOutputConfig(out=str(out), verify=VerifyConfig(**verify))  # type: ignore[arg-type]
    return {(each.path, each.kind) for each in verify_folder(config, QuickDetector()).problems}


def test_an_output_against_its_manifest(tmp_path: Path) -> None:
    out = output(tmp_path)
    assert problems(out) == set()
    assert problems(out, score_threshold=0.3) == {("doubtful.png", "face")}
    assert problems(out, scales=[1.0, 2.0], rotations=[0, 90, 180, 270]) == set()
    shutil.copy(tmp_path / "data/face.png", out / "face.png")
    (out / "none.jpg").unlink()
    (out / "stray.png").write_bytes(b"?")
    assert problems(out) == {
        ("face.png", "changed"),
        ("face.png", "face"),
        ("none.jpg", "missing"),
        ("stray.png", "unknown"),
    }


def test_what_was_only_detected_is_said_so(tmp_path: Path) -> None:
    from pipeline.config.schema import Method

    save(tmp_path / "data/face.png", [(20, 30, 100, 140)])
    config = AnonymizeConfig(redact=RedactConfig(method=Method.none))
    out = anonymize_folder(tmp_path / "data", detector=QuickDetector(), config=config).out
    assert problems(out) == {("face.png", "not_redacted")}


def test_the_command(run: Run, photos: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = run(photos).out
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    assert anonymize.main(["verify", str(out), f"detector.model={model}"]) == 0
    assert "nothing found" in capsys.readouterr().out
    shutil.copy(photos / "a.png", out / "a.png")
    before[out / "a.png"] = (out / "a.png").stat().st_mtime_ns
    assert anonymize.main(["verify", str(out), f"detector.model={model}", "verify.scales=[1,0.5]"]) == 3
    assert "a.png: face: score 0.9" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*")} == before, "verify writes nothing"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["verify"], "out"),
        (["verify", "nowhere"], "nowhere"),
        (["verify", "."], "manifest.jsonl"),
        (["verify", ".", "verify.rotations=[45]"], "0, 90, 180, 270"),
        (["verify", ".", "verify.score_threshold=5"], "verify.score_threshold: 5"),
    ],
)
def test_wrong_use(
    arguments: list[str],
    message: str,
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert anonymize.main([*arguments, f"detector.model={model}"]) == 2
    assert message in capsys.readouterr().err
