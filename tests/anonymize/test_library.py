from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import pipeline.anonymize as library
from pipeline.anonymize import (
    PictureError,
    anonymize_array,
    anonymize_file,
    anonymize_folder,
    stages,
    verify_folder,
)
from pipeline.anonymize.redact import regions
from pipeline.boxes import Boxes
from pipeline.config.schema import (
    AnonymizeConfig,
    DetectorConfig,
    LimitsConfig,
    Method,
    RedactConfig,
    VerifyConfig,
    VerifyOutputConfig,
)
from pipeline.errors import UserError
from tests.anonymize.quick import QuickDetector
from tests.anonymize.standin import background, paint_face, save


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_an_array(dtype: type) -> None:
    pixels = background(200, 160)
    paint_face(pixels, (30, 20, 110, 130))
    pixels = pixels.astype(dtype) * (257 if dtype is np.uint16 else 1)
    before = pixels.copy()
    done = anonymize_array(pixels, QuickDetector())
    assert (pixels == before).all() and done.pixels.dtype == dtype
    np.testing.assert_allclose(done.faces.boxes.xyxy, [[30, 20, 110, 130]], atol=1)
    changed = (done.pixels != before).any(axis=2)
    assert changed[20:97, 30:110].mean() > 0.9
    # by default the box grows first: by 17.7 pixels to each side, 24.4 up and down
    assert done.regions[0].box == (12, 0, 128, 107)
    changed[done.regions[0].window] = False
    assert not changed.any()


def test_an_array_that_uses_12_of_its_16_bits() -> None:
    """As scientific cameras write them: not black to the detector."""
    pixels = background(200, 160)
    paint_face(pixels, (30, 20, 110, 130))
    done = anonymize_array(pixels.astype(np.uint16) << 4, QuickDetector())
    np.testing.assert_allclose(done.faces.boxes.xyxy, [[30, 20, 110, 130]], atol=1)


def test_a_grey_array() -> None:
    assert anonymize_array(np.zeros((50, 60), np.uint8), QuickDetector()).pixels.shape == (50, 60)


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3)),
        np.zeros(4, np.uint8),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_wrong_arrays_are_refused(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected"):
        anonymize_array(pixels, QuickDetector())


def test_wrong_values_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="top_fraction"):
        anonymize_array(background(9, 9), QuickDetector(), RedactConfig(top_fraction=0))
    with pytest.raises(UserError, match="strength"):
        anonymize_folder(
            tmp_path, detector=QuickDetector(), config=AnonymizeConfig(redact=RedactConfig(strength=99))
        )
    with pytest.raises(UserError, match="data"):
        anonymize_folder(tmp_path / "nowhere", detector=QuickDetector())


WRONG = [
    (AnonymizeConfig(detector=DetectorConfig(score_threshold=5)), "detector.score_threshold: 5; allowed"),
    (
        AnonymizeConfig(detector=DetectorConfig(review_threshold=0.9)),
        "detector.review_threshold: 0.9; allowed",
    ),
    (AnonymizeConfig(redact=RedactConfig(top_fraction=0)), "redact.top_fraction: 0; allowed"),
    (AnonymizeConfig(verify=VerifyConfig(score_threshold=5)), "verify.score_threshold: 5; allowed"),
]


@pytest.mark.parametrize(("config", "message"), WRONG)
def test_no_face_passes_for_the_sake_of_a_wrong_value(
    tmp_path: Path, config: AnonymizeConfig, message: str
) -> None:
    source = save(tmp_path / "data" / "a.png", [(20, 30, 100, 140)])
    with pytest.raises(UserError, match=message):
        anonymize_folder(tmp_path / "data", detector=QuickDetector(), config=config)
    with pytest.raises(UserError, match=message):
        anonymize_file(source, tmp_path / "b.png", QuickDetector(), config)
    assert {path.name for path in tmp_path.iterdir()} == {"data"}


def test_no_face_passes_for_the_sake_of_a_wrong_value_in_memory(tmp_path: Path) -> None:
    pixels = background(50, 50)
    for threshold in (5, 0.01, float("nan")):
        with pytest.raises(UserError, match=r"score_threshold: .*; allowed"):
            anonymize_array(pixels, QuickDetector(), score_threshold=threshold)
    boxes = Boxes(np.array([[1, 1, 9, 9]]))
    with pytest.raises(UserError, match="top_fraction: -1; allowed"):
        regions(boxes, RedactConfig(top_fraction=-1), (50, 50))
    picture = stages.decode(save(tmp_path / "a.png", [(20, 30, 100, 140)]), LimitsConfig())
    (found,) = stages.detect(QuickDetector(), [picture])
    with pytest.raises(UserError, match="score_threshold: 5; allowed"):
        stages.paint(picture, found, RedactConfig(), DetectorConfig(score_threshold=5))
    wrong = VerifyOutputConfig(out=str(tmp_path), verify=VerifyConfig(score_threshold=5))
    with pytest.raises(UserError, match=r"verify\.score_threshold: 5; allowed"):
        verify_folder(wrong, QuickDetector())


def test_a_file(tmp_path: Path) -> None:
    source = save(tmp_path / "a.png", [(20, 30, 100, 140)])
    config = AnonymizeConfig(redact=RedactConfig(method=Method.solid))
    entry = anonymize_file(source, tmp_path / "new" / "b.png", QuickDetector(), config)
    assert (np.asarray(Image.open(tmp_path / "new" / "b.png"))[31:106, 20:100] == 0).all()
    assert entry.output and entry.source and len(entry.faces) == 1
    with pytest.raises(UserError, match="exists"):
        anonymize_file(source, source, QuickDetector())
    with pytest.raises(PictureError, match="does not exist"):
        anonymize_file(tmp_path / "c.png", tmp_path / "d.png", QuickDetector())
    assert not (tmp_path / "d.png").exists()


def test_a_folder_tells_as_it_goes(tmp_path: Path) -> None:
    class Watch:
        seen: list[str] = []

        def start(self, files: int) -> None:
            self.seen.append(str(files))

        def advance(self, path: str, entry: library.Entry) -> None:
            self.seen.append(path)

    save(tmp_path / "data" / "a.png", [(20, 30, 100, 140)])
    save(tmp_path / "data" / "b.png", [])
    summary = anonymize_folder(tmp_path / "data", detector=QuickDetector(), watch=Watch())
    assert Watch.seen == ["2", "a.png", "b.png"]
    assert (summary.exit_code, summary.faces, len(summary.pictures)) == (0, 1, 2)
    assert summary.out == tmp_path / "data-anonymized"


def test_every_name_is_there() -> None:
    for name in library.__all__:
        assert getattr(library, name) is not None


@pytest.mark.parametrize("first", ["anonymize_array", "anonymize_folder", "verify_folder"])
def test_no_name_turns_into_a_module_once_another_was_imported(root: Path, first: str) -> None:
    check = (
        f"from pipeline.anonymize import {first}; import pipeline.anonymize as library, types;"
        "names = {*library.__all__, *library._HOMES};"
        "wrong = [n for n in names if isinstance(getattr(library, n), types.ModuleType)];"
        "assert not wrong, wrong"
    )
    done = subprocess.run([sys.executable, "-c", check], cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_an_unknown_name_is_said_so() -> None:
    with pytest.raises(AttributeError, match="it has Anonymized"):
        _ = library.nothing


HEAVY = (
    "tensorflow",
    "tf_keras",
    "official",
    "mlflow",
    "albumentations",
    "pipeline.data",
    "pipeline.training",
)


@pytest.mark.parametrize(
    "work",
    [
        "import pipeline.anonymize.folder, pipeline.anonymize.recheck, pipeline.anonymize.library",
        "import anonymize; assert anonymize.main(['data=nowhere']) == 2",
        "import anonymize; assert anonymize.main(['--help']) == 0",
    ],
)
def test_nothing_heavy_is_imported_before_it_is_needed(root: Path, work: str) -> None:
    check = f"import sys; {work}; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], cwd=root, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1:] == ["[]"], done.stdout + done.stderr


def test_the_example_in_the_docs_runs(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    """Every block of docs/library.md, one after the other, as in a notebook."""
    text = (root / "docs" / "library.md").read_text("utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) >= 4
    save(tmp_path / "portrait.jpg", [(20, 30, 100, 140)])
    save(tmp_path / "photos" / "a.jpg", [(20, 30, 100, 140)])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "efficientdet_d2").symlink_to(model)
    scope: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "docs/library.md", "exec"), scope)
    assert (tmp_path / "photos-anonymized" / "a.jpg").exists()
