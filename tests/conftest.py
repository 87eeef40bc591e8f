"""Fixtures for every test."""

from __future__ import annotations

import os
import signal
from pathlib import Path

# Before anything imports them: albumentations must not ask the network for updates, TensorFlow
# need not tell which CPU it found, and plots need no screen.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import pytest

# A background job of a shell starts with Ctrl-C ignored, and so does all that it starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's root folder."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real photographs that is no part of the project; skips where it is absent."""
    folder = Path(os.environ.get("VEIL_SHARED", ROOT.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"real photographs are not here: {folder / 'data'} (set VEIL_SHARED)")
    return folder


SLOWEST_FIRST = ("test_end_to_end.py", "test_efficientdet.py", "test_export.py", "test_server.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files start first, so that no worker is left alone with one at the end."""
    rank = {name: place for place, name in enumerate(SLOWEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.timeout(0))


class Unfinished:
    """Names, at the end of a session that was interrupted, the tests that had begun and never ended."""

    def __init__(self) -> None:
        self.begun: dict[str, None] = {}

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.begun[nodeid] = None

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self.begun.pop(nodeid, None)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for nodeid in self.begun:
            terminalreporter.write_line(f"NEVER ENDED: {nodeid}")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Unfinished())
