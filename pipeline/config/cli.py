"""The command line of the entry scripts: compose, check, run, and turn what happens into an exit code.

``train.py`` is then a table of contents::

    def main(config: TrainConfig) -> int: ...

    if __name__ == "__main__":
        sys.exit(cli.run(main, TrainConfig, "train"))

Hydra's compose interface is used rather than ``@hydra.main``: nothing changes the working folder or
writes ``outputs/.hydra``, every configuration of a sweep is checked before the first one starts, and
wrong input ends in one message.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from pipeline.config.compose import compose, sweep, to_yaml
from pipeline.config.manual import manual
from pipeline.config.plain import without_password
from pipeline.errors import UserError

T = TypeVar("T")

DONE, INTERNAL_ERROR, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130


def run(
    main: Callable[[T], int | None],
    schema: type[T],
    config_name: str,
    argv: Sequence[str] | None = None,
    usage: str = "",
) -> int:
    """Run ``main`` with the configuration that the command line asks for.

    Args:
        main: takes an instance of ``schema``, already checked; returns its exit code (None is 0).
            Called once, or once for each combination of a sweep (``-m``).
        schema: ``TrainConfig`` or ``AnonymizeConfig``.
        config_name: the file in ``conf/`` that holds the defaults, without ``.yaml``.
        argv: the arguments without the program's name; default: ``sys.argv[1:]``.
        usage: words that stand between the program's name and the fields, for the manual.

    Returns:
        What ``main`` returned; 2 after a :class:`UserError` (one message on stderr, no traceback),
        130 after Ctrl-C, 1 after any other exception (with its traceback). A sweep runs to its end
        and returns the first code that is not 0.
    """
    quiet_tensorflow()
    arguments = list(sys.argv[1:] if argv is None else argv)
    program = f"{_program()} {usage}".strip()
    return exit_code(lambda: _run(main, schema, config_name, arguments, program))


def _program() -> str:
    """What stands behind ``python`` to start this again: a file, or ``-m`` and a module."""
    started = sys.modules["__main__"].__spec__
    if started and started.origin == sys.argv[0]:
        return f"-m {started.name.removesuffix('.__main__')}"
    return Path(sys.argv[0]).name


def exit_code(work: Callable[[], int | None]) -> int:
    """Call ``work``; exceptions become a message on stderr and an exit code as :func:`run` says."""
    try:
        return work() or DONE
    except UserError as error:
        _say(f"error: {error}")
        return WRONG_INPUT
    except KeyboardInterrupt:
        _say("interrupted")
        return INTERRUPTED
    except BrokenPipeError:  # `… --help | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception:
        _say(traceback.format_exc().rstrip())
        return INTERNAL_ERROR


def quiet_tensorflow() -> None:
    """Silence what TensorFlow tells of itself at import; its warnings and errors stay."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")


def _run(
    main: Callable[[T], int | None], schema: type[T], config_name: str, arguments: list[str], program: str
) -> int:
    flags, overrides = _split_flags(arguments)
    if "help" in flags:
        print(manual(schema, config_name, program), end="")
        return DONE
    if "multirun" in flags:
        return _sweep(main, sweep(schema, config_name, overrides))
    config = compose(schema, config_name, overrides)
    if "cfg" in flags:
        print(to_yaml(config), end="")
        return DONE
    return main(config) or DONE


def _split_flags(arguments: list[str]) -> tuple[set[str], list[str]]:
    names = {"-h": "help", "--help": "help", "-m": "multirun", "--multirun": "multirun", "--cfg": "cfg"}
    flags = {names[argument] for argument in arguments if argument in names}
    return flags, [argument for argument in arguments if argument not in names]


def _sweep(main: Callable[[T], int | None], jobs: list[tuple[list[str], T]]) -> int:
    codes = []
    for number, (overrides, config) in enumerate(jobs, start=1):
        _say(f"[{number}/{len(jobs)}] {' '.join(overrides)}")
        codes.append(exit_code(lambda config=config: main(config)))  # type: ignore[misc]
        if codes[-1] == INTERRUPTED:
            break
    return next((code for code in codes if code), DONE)


def _say(message: str) -> None:
    print(without_password(message), file=sys.stderr)
