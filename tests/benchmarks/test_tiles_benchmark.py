"""What benchmarks/tiles.py measures: labels carried into large pictures, recall by size, and the page."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks import tiles
from benchmarks.mosaics import HEIGHT, WIDTH, enlarged, mosaics
from benchmarks.tiles import Counting, measured
from benchmarks.tiles_report import BEGIN, EDGES, END, Row, report, settings, write
from pipeline.anonymize.detect.canvas import canvas_sizes
from pipeline.anonymize.tiles import tiled
from pipeline.config.schema.tiling import TilesConfig
from pipeline.errors import UserError
from pipeline.evaluation.labelled import LabelledFaces
from pipeline.evaluation.predict import read_picture
from tests.anonymize.squares import SquareDetector, boxes_of, scene

SMALL, LARGE = (100, 120, 60), (600, 300, 300)


@pytest.fixture
def pictures(tmp_path: Path) -> list[LabelledFaces]:
    made = []
    for number, (width, height) in enumerate([(1024, 768), (2048, 1200)]):
        path = tmp_path / f"{number}.jpg"
        Image.fromarray(scene(width, height, [SMALL, LARGE], number)).save(path, quality=95)
        faces = boxes_of([SMALL, LARGE])
        ignored = np.array([False, number == 1])
        made.append(
            LabelledFaces(
                number, path, path.name, "made", width, height, faces, ("face",) * 2, ("made",) * 2, ignored
            )
        )
    return made


def test_labels_are_carried_into_large_pictures(pictures: list[LabelledFaces], tmp_path: Path) -> None:
    (mosaic,) = mosaics(pictures, 1, tmp_path / "made")
    (large,) = enlarged(pictures, 1, tmp_path / "made")
    assert (mosaic.width, mosaic.height, len(mosaic.boxes)) == (WIDTH, HEIGHT, 32)
    assert (large.width, large.height) == (4096, 3072)
    assert int(mosaic.ignored.sum()) == 8
    detector = SquareDetector(input_size=WIDTH)
    for picture in (mosaic, large):
        (found,) = detector.detect([read_picture(picture)])
        assert (picture.boxes.iou(found.boxes).max(axis=1) > 0.85).all()


def test_recall_by_size_and_cost_are_of_the_real_tool(pictures: list[LabelledFaces], tmp_path: Path) -> None:
    made = mosaics(pictures, 1, tmp_path / "made")
    config = TilesConfig(outputs=str(tmp_path / "out"), docs=str(tmp_path / "page.md"), looks=["off", "48"])
    detector = Counting(SquareDetector())
    off, auto = (
        measured(look, made, tiled(detector, *settings(look)), detector, config) for look in config.looks
    )
    assert (off.views, auto.views) == (1, 7)
    assert sum(off.faces) == 24  # ignored ones are not counted
    sizes = dict(zip(EDGES, zip(off.found, auto.found, auto.faces, strict=False), strict=False))
    assert sizes[48] == (0, 8, 8)  # 60 pixels, as they are
    assert sizes[24] == (0, 0, 8)  # 30 pixels: smaller than asked for
    assert sizes[96] == (8, 8, 8)
    assert off.shown[0] == 8 and off.shown[1] == 8  # 6 and 11 pixels of the network's square
    assert auto.exposed == pytest.approx(1 / 3) and auto.precision == 1

    text = report({"mosaics": [off, auto]}, {"mosaics": 1}, detector, config)
    assert "| auto, min_face=48 | 7.0 |" in text
    Path(config.docs or "").write_text(f"before\n{BEGIN}\nstale\n{END}\nafter\n")
    write(text, {"mosaics": [off, auto]}, config)
    page = Path(config.docs or "").read_text()
    assert page.startswith("before\n") and page.endswith("after\n")
    assert "stale" not in page and "min_face=48" in page


def test_the_first_way_to_look_does_not_pay_for_first_calls(
    pictures: list[LabelledFaces], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = SquareDetector()
    detector.oblong = True  # type: ignore[attr-defined]
    seen: list[tuple[int, ...]] = []

    def spied(*arguments: Any) -> Row:
        seen.extend(size for call in detector.shown for size in call)
        return measured(*arguments)

    monkeypatch.setattr(tiles, "prepare", lambda dataset: SimpleNamespace(name="made"))
    monkeypatch.setattr(tiles, "split_files", lambda version, split: [])
    monkeypatch.setattr(tiles, "read_labelled", lambda files: pictures)
    monkeypatch.setattr(tiles, "load_detector", lambda *_, **__: detector)
    monkeypatch.setattr(tiles, "measured", spied)
    tiles.main(TilesConfig(looks=["off"], mosaics=0, enlarged=0, outputs=str(tmp_path)))
    assert seen == canvas_sizes(768, oblong=True) and len(seen) > 1


def test_a_page_without_a_place_for_figures_is_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("text\n")
    with pytest.raises(UserError, match="no place for figures"):
        write("figures", {}, TilesConfig(outputs=str(tmp_path), docs=str(page)))
    assert page.read_text() == "text\n"


@pytest.mark.parametrize(
    ("look", "expected"), [("off", ("off", 40.0)), ("32", ("auto", 32.0)), ("3x", ("3", 40.0))]
)
def test_ways_to_look(look: str, expected: tuple[str, float]) -> None:
    assert settings(look) == expected


@pytest.mark.parametrize("look", ["on", "9x", "4", "nan"])
def test_ways_to_look_that_are_not_there(look: str) -> None:
    with pytest.raises(UserError, match="looks: "):
        settings(look)
