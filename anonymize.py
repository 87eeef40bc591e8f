"""A detector and a folder of pictures in, an anonymized folder with its manifest and report out."""

from __future__ import annotations

import sys

from pipeline.anonymize import commands
from pipeline.config import cli
from pipeline.config.paths import at_home
from pipeline.config.schema import AnonymizeConfig, VerifyOutputConfig


def main(arguments: list[str]) -> int:
    """``data=… [out=…]`` anonymizes a folder; ``verify OUT`` looks at an output again."""
    if arguments[:1] == ["verify"]:
        rest = [f"out={each}" if _is_folder(each) else each for each in arguments[1:]]
        return cli.run(commands.verify, VerifyOutputConfig, "verify", rest, usage="verify OUT")
    return cli.run(commands.anonymize, AnonymizeConfig, "anonymize", arguments)


def _is_folder(argument: str) -> bool:
    """Whether an argument is OUT itself: no option, and no override unless a folder has such a name."""
    return argument[:1] != "-" and ("=" not in argument or at_home(argument).is_dir())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
