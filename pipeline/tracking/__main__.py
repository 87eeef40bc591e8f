"""``python -m pipeline.tracking ui`` and ``… sync FOLDER``."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType

from pipeline.config.cli import exit_code
from pipeline.config.schema import TrackingConfig


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m pipeline.tracking", description=__doc__)
    parser.add_argument("--uri", help="MLflow store; default: $MLFLOW_TRACKING_URI, else outputs/mlflow")
    commands = parser.add_subparsers(dest="command", required=True)
    ui = commands.add_parser("ui", help="open MLflow's UI on the store that training writes to")
    ui.add_argument("--port", type=_port, help="default: 5000, or the next free one")
    sync = commands.add_parser("sync", help="send what a run could not, while its store was away")
    sync.add_argument("folder", type=Path, help="the run's folder, outputs/<run>")
    arguments = parser.parse_args(argv)
    if arguments.command == "ui":
        return _ui(arguments.uri, arguments.port)
    return _sync(arguments.folder, arguments.uri)


def _ui(uri: str | None, port: int | None) -> int:
    from pipeline.tracking.ui import serve

    signal.signal(signal.SIGTERM, _interrupt)
    return serve(uri, port, TrackingConfig().experiment)


def _port(text: str) -> int:
    if text.isdecimal() and 1024 <= int(text) <= 65535:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r}; allowed: a whole number from 1024 to 65535")


def _sync(folder: Path, uri: str | None) -> int:
    from pipeline.tracking.sync import sync

    left = sync(folder.absolute(), uri)
    print(f"{folder}: {left} entries are still undelivered" if left else f"{folder}: everything delivered")
    return 1 if left else 0


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(exit_code(lambda: main(sys.argv[1:])))
