from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.config.compose import compose
from pipeline.config.schema import Format, TrainConfig
from pipeline.data import ingest
from pipeline.data.ingest.files import SourceFolder
from pipeline.data.portraits import BACKGROUNDS, background, portraits, with_mask
from pipeline.data.sample import STAMP, generate
from pipeline.data.sources import locate
from pipeline.errors import UserError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(tmp_path_factory.mktemp("sample") / "raw", pictures=12)


def test_it_is_a_valid_set_with_both_labels_and_pictures_without_faces(made: Path) -> None:
    reading = ingest.read(SourceFolder("sample", made, "images", "annotations"), Format.voc)
    assert reading.problems == []
    assert len(reading.labels) == 12
    assert {label for raw in reading.labels for label in raw.labels} == {"with_mask", "without_mask"}
    assert [len(raw.boxes) for raw in reading.labels if raw.path.stem in ("sample_0000", "sample_0006")] == [
        0,
        0,
    ]
    for raw in reading.labels:
        assert raw.frame is not None
        assert raw.boxes.clip(*raw.frame).xyxy.tolist() == raw.boxes.xyxy.tolist()
        assert raw.boxes.valid.all()


def test_the_same_seed_makes_the_same_pictures(made: Path, tmp_path: Path) -> None:
    again = generate(tmp_path / "raw", pictures=3)
    other = generate(tmp_path / "other", pictures=3, seed=1)
    for path in sorted((again / "images").iterdir()):
        assert path.read_bytes() == (made / "images" / path.name).read_bytes()
        assert path.read_bytes() != (other / "images" / path.name).read_bytes()


def test_it_is_made_once_and_anew_by_another_generator(tmp_path: Path) -> None:
    folder = generate(tmp_path / "raw", pictures=2)
    picture = folder / "images" / "sample_0000.jpg"
    picture.write_bytes(b"kept")
    generate(folder, pictures=2)
    assert picture.read_bytes() == b"kept"
    (folder / STAMP).write_text('{"generator": 1, "pictures": 2, "seed": 0}')
    generate(folder, pictures=2)
    assert picture.read_bytes() != b"kept"
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


@pytest.mark.parametrize("name", ["raw", "raw/mine.jpg", f"raw/{STAMP}"])
def test_what_somebody_else_put_there_stays(name: str, tmp_path: Path) -> None:
    theirs = tmp_path / "sample" / name
    theirs.parent.mkdir(parents=True, exist_ok=True)
    theirs.write_bytes(b"\xff mine")
    dataset = compose(TrainConfig, "train", [f"dataset.versions={tmp_path / 'versions'}"]).dataset
    with pytest.raises(UserError, match=r"sample/raw: the built-in sample is made here, and something else"):
        locate("sample", dataset.sources["sample"], dataset)
    assert theirs.read_bytes() == b"\xff mine"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [theirs]


def test_a_mask_covers_mouth_and_nose_and_leaves_the_eyes() -> None:
    for portrait in portraits():
        masked = with_mask(portrait, np.random.default_rng(0))
        x0, y0, x1, y1 = (int(value) for value in portrait.face)
        changed = (masked.rgb != portrait.rgb).any(axis=2)[y0:y1, x0:x1]
        height, width = changed.shape
        assert (
            changed[int(0.6 * height) : int(0.9 * height), int(0.3 * width) : int(0.7 * width)].mean() > 0.95
        )
        assert not changed[: int(0.3 * height), int(0.2 * width) : int(0.8 * width)].any()


def test_it_says_that_it_is_no_benchmark(made: Path, root: Path) -> None:
    assert "no benchmark" in (made / "NOTE.txt").read_text()
    assert "No benchmark" in (root / "datasets" / "sample" / "README.md").read_text()


def test_every_background_ships_and_is_credited(root: Path) -> None:
    card = (root / "datasets" / "sample" / "README.md").read_text()
    for name in BACKGROUNDS:
        assert background(name).ndim == 3
        assert name in card
