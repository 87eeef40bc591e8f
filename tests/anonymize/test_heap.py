"""Memory that is given back serves again, instead of coming anew from the system."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="needs glibc")

ROUNDS = """
import resource
from concurrent.futures import ThreadPoolExecutor
from pipeline.anonymize.heap import keep_freed

{first}

def use():
    block = bytearray(b"x") * (64 << 20)  # of a picture's size; each page is written to
    del block

def rounds():
    for _ in range(4):
        use()

rounds()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
with ThreadPoolExecutor(1) as pool:
    pool.submit(rounds).result()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(root: Path, first: str) -> int:
    """How many pages the system had to clear for large arrays of a second thread."""
    told = subprocess.run(
        [sys.executable, "-c", ROUNDS.format(first=first)],
        cwd=root,
        env={"PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(told.stdout)


def test_what_is_freed_serves_again(root: Path) -> None:
    assert page_faults(root, "assert keep_freed()") * 10 < page_faults(root, "")


def test_the_command_keeps_it(root: Path) -> None:
    """Whatever ``anonymize.py`` runs, it runs so; here its first refusal."""
    command = """
from pipeline.anonymize import commands
from pipeline.config.schema import AnonymizeConfig
try:
    commands.anonymize(AnonymizeConfig(data="/nowhere"))
except Exception:
    pass
"""
    assert page_faults(root, command) * 10 < page_faults(root, "")
