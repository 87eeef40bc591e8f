"""Makes a release: train → calibrate → measure → gate → publish. See ``python release.py --help``."""

from __future__ import annotations

import sys

from pipeline.config import cli
from pipeline.config.schema import ReleaseConfig

GATE_FAILED = 3


def main(config: ReleaseConfig) -> int:
    from pipeline.release.run import make_release

    release = make_release(config)
    print(release.table)
    if not release.failed:
        print(f"released: {release.folder}")
        return 0
    for gate in release.failed:
        print(f"gate failed: {gate.name}: {gate.says}", file=sys.stderr)
    names = ",".join(gate.name for gate in release.failed)
    print(f"nothing is released; to release it nevertheless: 'release.accept=[{names}]'", file=sys.stderr)
    return GATE_FAILED


if __name__ == "__main__":
    sys.exit(cli.run(main, ReleaseConfig, "release"))
