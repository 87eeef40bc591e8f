"""Signals stop a training in order. They are sent to a process of their own, never to the one that tests."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

LOOP = """
import signal, sys, time
from pipeline.training.signals import Interrupted, SignalWatch, StopOnSignal

class Step:
    value = 6
    def numpy(self):
        return self.value

step, formerly = Step(), signal.getsignal(signal.SIGTERM)
try:
    with SignalWatch() as watch:
        stop = StopOnSignal(watch, step)
        print("started", flush=True)
        if sys.argv[1] == "busy":
            time.sleep(60)  # the second signal comes within a step
        while step.value < 600:
            stop()
            step.value += 1
            time.sleep(0.1)
except Interrupted as interrupted:
    print(interrupted, flush=True)
    raise
finally:
    print("restored" if signal.getsignal(signal.SIGTERM) is formerly else "lost", flush=True)
"""


@pytest.fixture
def loop(root: Path, request: pytest.FixtureRequest) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", LOOP, request.param],
        env={**os.environ, "PYTHONPATH": str(root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout and process.stdout.readline() == "started\n"
        yield process
        process.kill()


@pytest.mark.parametrize("loop", ["brief"], indirect=True)
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_after_the_step_with_the_shells_code(
    loop: subprocess.Popen[str], signum: signal.Signals
) -> None:
    loop.send_signal(signum)
    output, errors = loop.communicate(timeout=60)
    assert loop.returncode == 128 + signum, errors
    assert "stopping after this step" in errors
    said, after = output.splitlines()
    assert re.fullmatch(rf"stopped by {signum.name} at step \d+; the same command goes on", said)
    assert after == "restored"


@pytest.mark.parametrize("loop", ["busy"], indirect=True)
def test_a_second_signal_ends_at_once(loop: subprocess.Popen[str]) -> None:
    loop.send_signal(signal.SIGTERM)
    assert loop.stderr and loop.stderr.readline() == "\n"
    assert "again to stop at once" in loop.stderr.readline()
    loop.send_signal(signal.SIGTERM)
    assert loop.wait(timeout=30) == -signal.SIGTERM
