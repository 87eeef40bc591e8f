"""Runs a command and says what it took; a small program, so that what it says is of the command alone.

    python measured_process.py FIGURES.json LOG COMMAND…

Writes ``{"seconds", "cpu", "peak", "code"}``: by the clock, of processor time (user and system, of the
command and all that it started), bytes of memory (resident, the whole tree at its largest), and the exit
code. What the command prints goes to LOG.

A process that a large one starts inherits its peak: this one imports next to nothing.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil  # type: ignore[import-untyped]

EVERY = 0.2
"""Seconds between two looks at the tree; the largest process's own peak is told by the system, exactly."""


def main(figures: str, log: str, *command: str) -> None:
    """See the module."""
    peaks, over = [0], threading.Event()
    with Path(log).open("wb") as output:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)

        def look() -> None:
            while not over.wait(EVERY):
                peaks.append(resident(process.pid))

        looking = threading.Thread(target=look, daemon=True)
        looking.start()
        process.wait()
        seconds = time.perf_counter() - began
    over.set()
    looking.join()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    unit = 1 if sys.platform == "darwin" else 1024
    found = {
        "seconds": seconds,
        "cpu": used.ru_utime + used.ru_stime,
        "peak": max(*peaks, used.ru_maxrss * unit),
        "code": process.returncode,
    }
    Path(figures).write_text(json.dumps(found), encoding="utf-8")


def resident(pid: int) -> int:
    """Bytes of memory of a process and of all that it started, now."""
    try:
        root = psutil.Process(pid)
        each = [root, *root.children(recursive=True)]
    except psutil.Error:
        return 0
    total = 0
    for process in each:
        try:
            total += process.memory_info().rss
        except psutil.Error:  # it ended meanwhile
            continue
    return total


if __name__ == "__main__":
    main(*sys.argv[1:])
