"""Finds faces that nobody labelled but CenterFace and YuNet agree on. See ``--help``."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.agreement import Agreement, agree
from benchmarks.deface_peer import PACKAGES, deface_environment
from pipeline.anonymize.detect import Detections
from pipeline.boxes import Boxes
from pipeline.config import cli
from pipeline.config.schema import ConsensusConfig
from pipeline.data.consensus import overlap_share, same_face
from pipeline.data.prepare import prepare
from pipeline.errors import UserError
from pipeline.evaluation.labelled import LabelledFaces, read_labelled
from pipeline.evaluation.progress import progress_bar
from pipeline.evaluation.run import split_files

CLEAR_SHARE = 0.2
"""Boxes that overlap a label more, but not enough to be the same face, are often a badly placed label."""
RUNNER = Path(__file__).with_name("consensus_runner.py")


def main(config: ConsensusConfig) -> None:
    """Detects, compares and writes the consensus file."""
    config.dataset.consensus = None  # the question is what the labels themselves lack
    version = prepare(config.dataset)
    files = split_files(version, "all")
    digests = [image["sha256"] for file in files for image in json.loads(file.read_text())["images"]]
    pictures = dict(zip(digests, read_labelled(files), strict=True))
    found = detect(pictures, config)
    entries = [
        entry for entry in (_entry(key, pictures[key], found[key], config) for key in pictures) if entry
    ]
    out = Path(config.out or f"{config.outputs}/{version.name}.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(document(entries, config), encoding="utf-8")
    counted = Counter(face["certain"] for entry in entries for face in entry["faces"])
    print(
        f"{len(pictures)} pictures: {counted[True]} faces without a label that both detectors find, "
        f"{counted[False]} more to ignore\nWritten to {out}"
    )


def detect(
    pictures: Mapping[str, LabelledFaces], config: ConsensusConfig
) -> dict[str, dict[str, Detections]]:
    """Picture → detector → what it finds; goes on where an earlier run with the same settings stopped.

    Raises:
        UserError: the detectors fail.
    """
    job = _job(pictures, config)
    settings = {key: value for key, value in job.items() if key != "pictures"} | {"yunet": _yunet(config)[1]}
    name = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]
    out = Path(config.outputs) / f"detections-{name}.jsonl"
    out.parent.mkdir(parents=True, exist_ok=True)
    python = deface_environment(Path(config.deface_environment))
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as errors:
        path = Path(folder) / "job.json"
        path.write_text(json.dumps(job), encoding="utf-8")
        process = subprocess.Popen(
            [str(python), str(RUNNER), str(path), str(out)], stdout=subprocess.PIPE, stderr=errors, text=True
        )
        assert process.stdout is not None
        with progress_bar("CenterFace and YuNet") as progress:
            for line in process.stdout:
                if line.strip().isdigit():
                    progress(int(line), len(pictures))
        if process.wait():
            errors.seek(0)
            raise UserError(f"{python} {RUNNER.name} failed: {errors.read().strip()[-600:]}")
    lines = (json.loads(line) for line in out.read_text(encoding="utf-8").splitlines())
    return {line.pop("sha256"): {name: _detections(rows) for name, rows in line.items()} for line in lines}


def _job(pictures: Mapping[str, LabelledFaces], config: ConsensusConfig) -> dict[str, Any]:
    return {
        "pictures": [
            {"sha256": digest, "path": str(picture.path.absolute())} for digest, picture in pictures.items()
        ],
        "yunet": str(_yunet(config)[0]),
        "long_side": config.long_side,
        "largest_zoom": config.largest_zoom,
        "floor": config.ignore_score,
    }


def _yunet(config: ConsensusConfig) -> tuple[Path, str]:
    """YuNet's weights and the digest of their content."""
    path = Path(config.yunet).absolute()
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def _detections(rows: Sequence[Sequence[float]]) -> Detections:
    numbers = np.array(rows, dtype=np.float64).reshape(-1, 5)
    return Detections(Boxes(numbers[:, :4]), numbers[:, 4])


def _entry(
    digest: str, picture: LabelledFaces, found: Mapping[str, Detections], config: ConsensusConfig
) -> dict[str, Any] | None:
    """What the file says of a picture; None when its labels lack nothing."""
    both = agree(found, config.iou, config.ignore_score)
    clear = overlap_share(both.boxes, picture.boxes) < CLEAR_SHARE
    new = np.flatnonzero(~same_face(both.boxes, picture.boxes))
    faces = [_face(both, index, bool(clear[index]), config) for index in new.tolist()]
    return {"sha256": digest, "name": picture.name, "faces": faces} if faces else None


def _face(both: Agreement, index: int, clear: bool, config: ConsensusConfig) -> dict[str, Any]:
    large = both.boxes.face_sizes[index] >= config.label_size
    return {
        "box": both.boxes.xyxy[index].round(1).tolist(),
        "scores": {name: scores[index] for name, scores in both.scores.items()},
        "certain": bool(clear and large and both.least(index) >= config.label_score),
    }


def document(entries: Sequence[Mapping[str, Any]], config: ConsensusConfig) -> str:
    """The consensus file: JSON with one picture a line, so that a change shows in a comparison."""
    path, digest = _yunet(config)
    head = {
        "description": "Faces that no label names but both detectors find; boxes in upright pixels",
        "detectors": {
            "centerface": {"version": PACKAGES[0], "licence": "MIT"},
            "yunet": {"version": path.stem, "sha256": digest, "licence": "MIT"},
        },
        "settings": {
            name: getattr(config, name)
            for name in ("long_side", "largest_zoom", "iou", "label_score", "label_size", "ignore_score")
        },
    }
    pictures = ",\n".join(json.dumps(entry) for entry in entries)
    return f'{json.dumps(head, indent=1)[:-2]},\n "pictures": [\n{pictures}\n]}}\n'


if __name__ == "__main__":
    sys.exit(cli.run(main, ConsensusConfig, "consensus"))
