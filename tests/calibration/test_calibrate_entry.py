"""python -m pipeline.calibration as it is called: a copy is made, and nothing else is lost."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.anonymize.detect import model_digest
from pipeline.calibration.__main__ import check_out, main
from pipeline.config import cli
from pipeline.config.schema import CalibrateConfig
from pipeline.detector.initialize import config_of
from pipeline.errors import UserError


def call(*arguments: str) -> int:
    return cli.run(main, CalibrateConfig, "calibrate", list(arguments))


@pytest.fixture
def arguments(root: Path, tmp_path: Path) -> list[str]:
    """The released D0, and a YOLO set of four pictures."""
    generator = np.random.default_rng(0)
    for folder in ("images", "labels"):
        (tmp_path / "set" / folder).mkdir(parents=True)
    for number in range(4):
        pixels = generator.integers(0, 256, (64, 64, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "set" / "images" / f"{number}.png")
        (tmp_path / "set" / "labels" / f"{number}.txt").write_text("0 0.25 0.5 0.5 1\n")
    (tmp_path / "set" / "classes.txt").write_text("mask\nno_mask\n")
    return [
        "dataset=adityap237",
        f"dataset.versions={tmp_path / 'versions'}",
        f"dataset.sources.adityap237.root={tmp_path / 'set'}",
        f"evaluation.model={root / 'models' / 'efficientdet_d0'}",
        "evaluation.split=all",
    ]


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_a_copy_says_what_it_is_and_can_be_calibrated_again(
    root: Path, tmp_path: Path, arguments: list[str]
) -> None:
    source, out, beside = root / "models" / "efficientdet_d0", tmp_path / "mine", tmp_path / "mine.partial"
    beside.mkdir()
    (beside / "a.txt").write_text("somebody's")
    assert call(*arguments, f"out={out}") == 0
    assert files(beside) == {"a.txt": b"somebody's"}
    card, of_source = (json.loads((each / "model_card.json").read_text()) for each in (out, source))
    assert (card["name"], card["stages"]) == ("efficientdet_d0", of_source["stages"])
    assert not {"metrics", "intervals", "gates", "calibration"} & set(card), "those are of other scores"
    assert config_of(out) == config_of(source)
    assert model_digest(out) != model_digest(source)
    check_out(out, source)


def test_what_is_no_copy_is_refused_before_anything_is_predicted(
    tmp_path: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(tmp_path / "set")
    assert call(*arguments, f"out={tmp_path / 'set'}") == 2
    shown = capsys.readouterr().err
    assert f"out: {tmp_path / 'set'} would be replaced, and holds classes.txt, images, labels; " in shown
    assert "Traceback" not in shown
    assert files(tmp_path / "set") == before


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("new/deep", ""),
        ("empty", ""),
        ("copy", ""),
        ("model", "is evaluation.model itself"),
        ("here/../model", "is evaluation.model itself"),
        ("link", "is evaluation.model itself"),
        ("other", "would be replaced, and holds README.md, reference-640x640.npz; allowed: a new or"),
        (".", "would be replaced, and holds copy, empty, file"),
        ("part", "would be replaced, and holds no saved_model.pb"),
        ("file", "is a file; allowed: a new or empty folder, or a copy that this command made"),
    ],
)
def test_where_a_copy_may_be_written(
    out: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    held = {
        "empty": [],
        "here": [],
        "copy": ["saved_model.pb", "variables", "calibration.json", "model_card.json", "reliability.png"],
        "model": ["saved_model.pb", "variables"],
        "other": ["saved_model.pb", "README.md", "reference-640x640.npz"],  # another release
        "part": ["variables"],
    }
    for folder, names in held.items():
        Path(folder).mkdir()
        for name in names:
            (Path(folder) / name).touch()
    Path("file").touch()
    Path("link").symlink_to("model")
    if not message:
        check_out(Path(out), Path("model"))
        return
    with pytest.raises(UserError) as refused:
        check_out(Path(out), tmp_path / "model")
    assert str(refused.value).startswith(f"out: {Path(out)} ") and message in str(refused.value)
