"""Runs deface over pictures; executed by a Python that has deface, so it imports nothing of Veil.

    python deface_runner.py JOB.json OUT

JOB.json: ``{"pictures": ["…"], "thresholds": [0.2], "floor": 0.02}``. For picture ``i`` and threshold ``t``
it writes ``OUT/i_t.png``, white where deface's own code changed pixels, and at the end
``OUT/detections.json``: boxes, scores, seconds of each picture, and how many faces deface failed to draw.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from deface.centerface import CenterFace  # type: ignore[import-not-found]
from deface.deface import anonymize_frame  # type: ignore[import-not-found]
from PIL import Image, ImageOps


def main(job_path: str, folder: str) -> None:
    """Does the job; deface's settings are its command line's defaults."""
    job = json.loads(Path(job_path).read_text(encoding="utf-8"))
    out = Path(folder)
    finder = CenterFace()
    random = np.random.default_rng(0)
    results, failures = [], 0
    finder(np.zeros((64, 64, 3), np.uint8), threshold=0.5)  # the first call builds: not what a picture costs
    for number, path in enumerate(job["pictures"]):
        # upright: deface itself ignores the orientation tag, which is another matter than what it finds
        picture = np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
        began = time.perf_counter()
        finder(picture, threshold=min(job["thresholds"]))
        seconds = time.perf_counter() - began
        faces, _ = finder(picture, threshold=job["floor"])
        for threshold in job["thresholds"]:
            mask, failed = redacted(faces[faces[:, 4] > threshold], picture.shape, random)
            failures += failed
            Image.fromarray(mask).save(out / f"{number}_{threshold:g}.png")
        results.append({"boxes": faces[:, :4].tolist(), "scores": faces[:, 4].tolist(), "seconds": seconds})
        print(number + 1, flush=True)
    content = {"backend": finder.backend, "failures": failures, "pictures": results}
    (out / "detections.json").write_text(json.dumps(content), encoding="utf-8")


def redacted(faces: Any, shape: tuple[int, ...], random: np.random.Generator) -> tuple[Any, int]:
    """Bool ``[H, W]``: what its drawing changes in a picture of noise, and the faces it could not draw."""
    noise = random.integers(0, 256, shape, dtype=np.uint8)
    drawn = noise.copy()
    failed = 0
    for face in faces:
        try:
            anonymize_frame([face], drawn, 1.3, "blur", True, False, None, 20)
        except Exception:  # a face of a pixel or two: its blur has an empty kernel
            failed += 1
    return (drawn != noise).any(axis=2), failed


if __name__ == "__main__":
    main(*sys.argv[1:])
