"""Whether a runtime that was refused, or that is not there, passes its gate."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from pipeline.anonymize import Detections
from pipeline.anonymize.detect.open_vino import OpenVinoDetector
from pipeline.release.checks import runtimes
from pipeline.showcase import pictures
from tests.anonymize.tiny import build_tiny


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    return build_tiny(tmp_path / "models" / "tiny")


def test_a_runtime_passes_only_if_it_is_as_good_or_not_there(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed, says = runtimes(tiny, list(pictures().values()))
    assert passed and ": 0 detections are not there" in says
    for verdict in (tiny.parent / ".converted").glob("*/checked-*.json"):
        verdict.write_text(json.dumps({"differs": "scores of anchors differ by 0.1"}))
    passed, says = runtimes(tiny, [])
    assert not passed and "not as good as TensorFlow here: scores of anchors differ by 0.1" in says
    monkeypatch.setitem(sys.modules, "openvino", None)
    passed, says = runtimes(tiny, [])
    assert passed and says.startswith("not checked: OpenVINO is not there")


def test_parts_have_to_be_seen_alike_too(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = OpenVinoDetector.detect_parts
    monkeypatch.setattr(OpenVinoDetector, "detect_parts", lambda *given: [Detections() for _ in seen(*given)])
    passed, says = runtimes(tiny, list(pictures().values()))
    assert not passed and ": 0 detections are not there" not in says


def test_a_model_that_the_runtime_cannot_convert_fails(tmp_path: Path) -> None:
    without_raw = build_tiny(tmp_path / "model", signatures=["batched", "serving_default"])
    passed, says = runtimes(without_raw, [])
    assert not passed and "has no signature 'raw'" in says
