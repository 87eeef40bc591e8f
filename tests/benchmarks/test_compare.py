from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.compare import main, report, selection, write
from benchmarks.contenders import Comparison, check
from benchmarks.deface_peer import deface_environment, run_deface
from pipeline.anonymize.detect.canvas import canvas_sizes
from pipeline.boxes import Boxes
from pipeline.config.compose import compose, defaults
from pipeline.config.schema import CompareConfig, ContenderConfig, ContenderKind, EvaluationConfig
from pipeline.errors import UserError
from pipeline.evaluation.labelled import LabelledFaces
from tests.anonymize.tiny import SIDE, build_tiny

FACE = [20.0, 20, 60, 70]

FAKE_CENTERFACE = """
import numpy as np
class CenterFace:
    backend = "fake"
    def __call__(self, picture, threshold):
        faces = np.array([[20, 20, 60, 70, 0.4], [90, 10, 91, 11, 0.6]], dtype=np.float32)
        return faces[faces[:, 4] > threshold], None
"""
FAKE_DEFACE = """
def anonymize_frame(faces, frame, scale, method, ellipse, draw_scores, replace, mosaic):
    assert (scale, method, ellipse) == (1.3, "blur", True)
    for x1, y1, x2, y2, _ in faces:
        if x2 - x1 < 2:
            raise ValueError("empty kernel")
        frame[int(y1):int(y2), int(x1):int(x2)] ^= 1
"""


@pytest.fixture
def pictures(tmp_path: Path) -> list[LabelledFaces]:
    """Two pictures with a face each; the second is stored lying on its side."""
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (120, 80)).save(tmp_path / "0.png")
    Image.new("RGB", (80, 120)).save(tmp_path / "1.jpg", exif=turned)
    return [
        LabelledFaces(
            number,
            tmp_path / name,
            name,
            "drawn",
            120,
            80,
            Boxes(np.array([FACE])),
            ("mask",),
            ("drawn",),
            np.array([False]),
        )
        for number, name in enumerate(("0.png", "1.jpg"))
    ]


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """A Python whose deface is a stand-in of the same interface."""
    package = tmp_path / "site" / "deface"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "centerface.py").write_text(FAKE_CENTERFACE)
    (package / "deface.py").write_text(FAKE_DEFACE)
    launcher = tmp_path / "python"
    launcher.write_text(f'#!/bin/sh\nPYTHONPATH="{tmp_path / "site"}" exec "{sys.executable}" "$@"\n')
    launcher.chmod(0o755)
    return launcher


def test_what_deface_draws_is_read_off_its_drawing(tmp_path: Path, pictures, python: Path) -> None:
    seen: list[int] = []
    run = run_deface(python, pictures, [0.2, 0.5], tmp_path / "work", lambda done, _: seen.append(done))
    assert (run.backend, run.failures, seen) == ("fake", 4, [1, 2])  # the one-pixel face, at each threshold
    assert [each.scores.tolist() for each in run.predictions.detections] == [pytest.approx([0.6, 0.4])] * 2
    for mask in run.masks(0.2):
        assert mask.shape == (80, 120) and mask.sum() == 40 * 50 and mask[20:70, 20:60].all()
    assert [mask.sum() for mask in run.masks(0.5)] == [0, 0]


def test_a_python_without_deface_is_named(tmp_path: Path, pictures) -> None:
    with pytest.raises(UserError, match=r"(?s)failed to run deface.*No module named 'deface'"):
        run_deface(Path(sys.executable), pictures, [0.2], tmp_path / "work")


def test_comparison(tmp_path: Path, pictures, python: Path) -> None:
    contenders = {
        "deface": ContenderConfig(ContenderKind.deface, None, 0.2),
        "deface at 0.5": ContenderConfig(ContenderKind.deface, None, 0.5),
        "yunet": ContenderConfig(ContenderKind.yunet, "yunet.onnx", 0.5),
        "veil": ContenderConfig(ContenderKind.veil, str(tmp_path / "no model"), 0.5),
    }
    config = CompareConfig(contenders=contenders, deface_python=str(python), outputs=str(tmp_path))
    results = Comparison(config, pictures, "drawn test", tmp_path).run()
    first, second, third, fourth = results
    assert first.evaluation and second.evaluation
    assert (first.evaluation.exposed["all"].hits, second.evaluation.exposed["all"].hits) == (0, 2)
    assert (
        first.evaluation.metrics["recall_at_threshold"],
        second.evaluation.metrics["recall_at_threshold"],
    ) == (1, 0)
    assert third.evaluation is None and third.note.startswith("peers: no value given")
    assert fourth.evaluation is None and "saved_model.pb" in fourth.note
    text = report(results, "drawn test", 2)
    assert "| deface | 0.2 | 0.000 (0.000–0.842) |" in text and "| yunet | 0.5 | left out: peers:" in text
    write(results, text, tmp_path / "out")
    assert [each["name"] for each in json.loads((tmp_path / "out" / "compare.json").read_text())] == list(
        contenders
    )
    assert Image.open(tmp_path / "out" / "compare.png").size[0] > 500


@pytest.mark.parametrize("runtime", ["openvino", "tensorflow"])
def test_veil_is_computed_as_asked_and_warm(tmp_path: Path, pictures, runtime: str) -> None:
    veil = ContenderConfig(ContenderKind.veil, str(build_tiny(tmp_path / "tiny")), 0.5)
    config = CompareConfig(contenders={"veil": veil}, evaluation=EvaluationConfig(runtime=runtime))
    comparison = Comparison(config, pictures, "drawn test", tmp_path)
    (result,) = comparison.run()
    assert result.evaluation and result.note == runtime
    if runtime == "openvino":
        detector = comparison._detector("veil", veil, config.evaluation)
        compiled = detector._compiled  # type: ignore[attr-defined]
        assert set(compiled) == set(canvas_sizes(SIDE, oblong=True))


def test_veil_is_computed_as_the_tool_does_by_default() -> None:
    assert compose(CompareConfig, "compare").evaluation.runtime == "auto"


@pytest.mark.parametrize(
    ("given", "allowed"),
    [
        ([], None),
        (["evaluation.runtime=openvino", "evaluation.consensus=ignored", "evaluation.iou=0.4"], None),
        (["contenders.deface.score_threshold=0.05", "contenders.yunet.score_threshold=0.02"], None),
        (["score_threshold=0.3"], "evaluation.score_threshold: 0.3; allowed: .*contenders"),
        (["evaluation.model=models/efficientdet_d2"], "evaluation.model: .*; allowed: .*contenders"),
        (["contact_sheets=true"], "evaluation.contact_sheets: True; allowed: false"),
        (["evaluation.consensus=both"], "evaluation.consensus: 'both'; allowed: as_labelled or ignored"),
        (["contenders.veil.score_threshold=0.005"], r"contenders.veil.*: 0.005; allowed: at least 0.01"),
        (["contenders.deface.score_threshold=0.04"], r"contenders.deface.*: 0.04; allowed: at least 0.05"),
        (
            ["contenders.ultraface.score_threshold=0.01"],
            "contenders.ultraface.*: 0.01; allowed: at least 0.02",
        ),
    ],
)
def test_what_would_be_ignored_is_refused(given: list[str], allowed: str | None) -> None:
    config = compose(CompareConfig, "compare", given)
    if allowed is None:
        check(config)
        return
    with pytest.raises(UserError, match=allowed):
        main(config)


def test_selection_is_even(pictures) -> None:
    many = [pictures[0]] * 4 + [pictures[1]] * 4
    assert selection(many, 0) == selection(many, 8) == many
    assert [each.name for each in selection(many, 2)] == ["0.png", "1.jpg"]


def test_the_command_knows_its_contenders() -> None:
    contenders = defaults(CompareConfig, "compare").contenders
    assert contenders["deface"].score_threshold == 0.2
    assert {each.kind for each in contenders.values()} == set(ContenderKind)


@pytest.mark.slow
def test_the_real_deface(tmp_path: Path) -> None:
    """Installs it from PyPI and finds the public-domain portrait of scikit-image."""
    from skimage.data import astronaut

    try:
        python = deface_environment(tmp_path / "environment")
    except UserError as error:
        pytest.skip(str(error))
    assert subprocess.run([python, "-c", "import deface"], check=False).returncode == 0
    Image.fromarray(astronaut()).save(tmp_path / "astronaut.png")
    face = LabelledFaces(
        1,
        tmp_path / "astronaut.png",
        "",
        "",
        512,
        512,
        Boxes(np.array([[175.0, 65, 275, 205]])),
        ("",),
        ("",),
        np.array([False]),
    )
    run = run_deface(python, [face], [0.2], tmp_path / "work")
    (mask,) = run.masks(0.2)
    assert mask[80:180, 200:250].all() and mask.mean() < 0.25
