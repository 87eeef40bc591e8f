"""A detector for every test of the anonymizer: a small, real SavedModel (see standin.py)."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import anonymize
from pipeline.anonymize.detect import SavedModelDetector, load_detector
from tests.anonymize import standin
from tests.anonymize.standin import save


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the stand-in SavedModel, built once for all workers."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if base.name.startswith("popen-") else base
    return standin.build_once(shared)


@pytest.fixture(scope="session")
def detector(model: Path) -> SavedModelDetector:
    detector = load_detector(model, runtime="tensorflow")
    assert isinstance(detector, SavedModelDetector)
    return detector


@dataclass(frozen=True)
class Ran:
    """One run of the real command line, in this process."""

    code: int
    out: Path
    shown: str

    @property
    def manifest(self) -> dict[str, Any]:
        lines = (self.out / "manifest.jsonl").read_text("utf-8").splitlines()
        return {entry["path"]: entry for entry in map(json.loads, lines)}

    @property
    def report(self) -> dict[str, Any]:
        return dict(json.loads((self.out / "report.json").read_text("utf-8")))

    def reasons(self) -> dict[str, str]:
        return {path: line["reason"] for path, line in self.manifest.items() if line["status"] == "left_out"}


Run = Callable[..., Ran]


@pytest.fixture
def run(model: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """``run(data, "redact=solid", …)``: ``python anonymize.py data=… …`` without a new process."""

    def call(data: Path, *overrides: str, out: Path | None = None) -> Ran:
        capsys.readouterr()
        given = [f"data={data}", f"detector.model={model}", *overrides]
        code = anonymize.main(given + ([f"out={out}"] if out else []))
        printed = capsys.readouterr()
        return Ran(code, out or data.with_name(f"{data.name}-anonymized"), printed.out + printed.err)

    return call


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """``a.png`` and ``sub/b.png`` with faces, ``sub/none.png`` without, ``a.jpg`` of the same stem."""
    folder = tmp_path / "photos"
    save(folder / "a.png", [(20, 30, 100, 140)])
    save(folder / "a.jpg", [(120, 60, 200, 170)])
    save(folder / "sub" / "b.png", [(10, 10, 70, 90), (150, 100, 230, 210)])
    save(folder / "sub" / "none.png", [])
    return folder
