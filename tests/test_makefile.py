"""The Makefile with the real make and a stand-in for .venv that prints what it was given."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

TOLD = '#!/bin/sh\n[ "$1" = -c ] && exit 0\nfor word; do printf "<%s>" "$word"; done; echo\n'


@pytest.fixture
def project(root: Path, tmp_path: Path) -> Path:
    """The Makefile in a folder of its own, whose .venv is fresh."""
    folder = tmp_path / "a project"
    (folder / ".venv" / "bin").mkdir(parents=True)
    for name in ("requirements.lock", "requirements-gpu.lock", ".venv/.stamp"):
        (folder / name).touch()
    shutil.copy(root / "Makefile", folder)
    (folder / ".venv" / "bin" / "python").write_text(TOLD)
    (folder / ".venv" / "bin" / "python").chmod(0o755)
    (folder / "scripts").mkdir()
    (folder / "scripts" / "make_env").write_text("#!/bin/sh\necho environment $1\n")
    (folder / "scripts" / "make_env").chmod(0o755)
    return folder


def make(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", *arguments], cwd=folder, env=clean | environment, capture_output=True, text=True, timeout=60
    )


def test_help_is_the_default_and_explains_every_target(project: Path) -> None:
    done = make(project)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == make(project, "help").stdout
    text = (project / "Makefile").read_text()
    phony = next(line for line in text.splitlines() if line.startswith(".PHONY:")).split()[1:]
    for target in set(phony) - {"broken"}:
        assert f"\n  {target} " in done.stdout
    for name in ("DATA=", "OUT=", "DATASET=", "ROOT=", "MODEL=", "ARGS=", "EXTRA=gpu"):
        assert name in done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["anonymize", "DATA=photos"], "<anonymize.py><data=photos>"),
        (["anonymize", "DATA=my photos", 'OUT=it\'s $x "y"'], '<data=my photos><out=it\'s $x "y">'),
        (["anonymize", "DATA=a", "ARGS=redact=solid 'purpose=a b'"], "<data=a><redact=solid><purpose=a b>"),
        (["anonymize", "DATA=a", "MODEL=m n"], "<data=a><detector.model=m n>"),
        (["train"], "<train.py>\n"),
        (
            ["train", "DATASET=a,b", "ROOT=/my sets", "MODEL=d0"],
            "<dataset=a,b><dataset.root=/my sets><model=d0>",
        ),
        (["prepare", "DATASET=a"], "<train.py><stages=[prepare]><dataset=a>"),
        (["evaluate", "DATASET=a", "MODEL=m"], "<evaluate.py><evaluation.model=m><dataset=a>"),
        (["release"], "<release.py>\n"),
        (["release", "MODEL=d0", "ROOT=/my sets"], "<release.py><release=d0><root=/my sets>\n"),
        (["verify", "OUT=my photos"], "<anonymize.py><verify><my photos>\n"),
        (["verify", "OUT=a=b", "MODEL=m n"], "<anonymize.py><verify><a=b><detector.model=m n>\n"),
        (["lint"], "<-m><ruff><check><.>"),
    ],
)
def test_what_is_given_arrives_whole(project: Path, arguments: list[str], told: str) -> None:
    done = make(project, *arguments)
    assert done.returncode == 0, done.stderr
    assert told in done.stdout


def test_names_in_the_shells_environment_are_not_meant(project: Path) -> None:
    assert make(project, "train", MODEL="elsewhere", ROOT="/root", ARGS="x").stdout == "<train.py>\n"


@pytest.mark.parametrize(("target", "missing"), [("anonymize", "DATA"), ("verify", "OUT")])
def test_a_missing_name_prints_the_usage_before_anything_is_installed(
    project: Path, target: str, missing: str
) -> None:
    (project / ".venv" / ".stamp").unlink()
    done = make(project, target)
    assert done.returncode == 2
    assert f"{missing}: no value given" in done.stderr and f"usage: make {target}" in done.stderr
    assert "environment" not in done.stdout


@pytest.mark.parametrize("stale", ["missing", "older", "broken", "fresh"])
def test_the_environment_is_made_when_it_is_stale(project: Path, stale: str) -> None:
    stamp = project / ".venv" / ".stamp"
    if stale == "missing":
        stamp.unlink()
    elif stale == "older":
        os.utime(stamp, (1, 1))
    elif stale == "broken":
        (project / ".venv" / "bin" / "python").write_text("#!/bin/sh\nexit 127\n")
    assert ("environment" in make(project, "env").stdout) == (stale != "fresh")


def test_the_gpu_extra(project: Path) -> None:
    assert make(project, "env", "EXTRA=gpu").stdout == "environment gpu\n"


def test_an_unknown_extra_is_refused(root: Path, project: Path) -> None:
    shutil.copy(root / "scripts" / "make_env", project / "scripts")
    done = make(project, "env", "EXTRA=tpu")
    assert done.returncode == 2 and "EXTRA=tpu; allowed: gpu" in done.stderr


def test_without_python_311_it_says_what_to_install(root: Path, project: Path) -> None:
    shutil.copy(root / "scripts" / "make_env", project / "scripts")
    shutil.rmtree(project / ".venv")
    tools = project / "tools"
    tools.mkdir()
    for name in ("bash", "sh", "make", "dirname", "uname", "rm", "env"):
        (tools / name).symlink_to(str(shutil.which(name)))
    (tools / "python3").write_text("#!/bin/sh\necho Python 3.9.1; exit 1\n")
    (tools / "python3").chmod(0o755)
    done = make(project, "env", PATH=str(tools))
    assert done.returncode == 2
    assert "Python 3.11 is needed" in done.stderr and "Python 3.9.1" in done.stderr
    assert not (project / ".venv").exists()


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-gpu.lock"])
def test_the_locks_name_hashes_and_no_index(root: Path, lock: str) -> None:
    lines = (root / lock).read_text().splitlines()
    pinned = [
        number for number, line in enumerate(lines) if "==" in line and not line.lstrip().startswith("#")
    ]
    assert len(pinned) > 5
    assert all("--hash=sha256:" in lines[number + 1] for number in pinned)
    assert not [line for line in lines if "://" in line or "index" in line.split("#")[0].split("==")[0]]


def test_the_lock_holds_one_opencv_and_every_direct_dependency(root: Path) -> None:
    import tomllib

    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    lines = (root / "requirements.lock").read_text().splitlines()
    locked = {
        requirement.name: requirement
        for requirement in (Requirement(line.rstrip(" \\")) for line in lines if line[:1].isalnum())
    }
    assert [name for name in locked if name.startswith("opencv")] == ["opencv-python-headless"]
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["dev"]
    for requirement in map(Requirement, wanted):
        version = next(iter(locked[canonicalize_name(requirement.name)].specifier)).version
        assert requirement.specifier.contains(version), requirement
