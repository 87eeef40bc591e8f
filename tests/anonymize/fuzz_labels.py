"""Mutated label files: each comes along or is left out by name, and no run ends of one."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np

from pipeline.anonymize import anonymize_folder
from pipeline.config.schema import AnonymizeConfig, LabelsConfig, VerifyConfig
from tests.anonymize.fuzz import mutated
from tests.anonymize.quick import QuickDetector
from tests.anonymize.standin import save

COCO = {
    "images": [{"id": 1, "file_name": "a.png", "width": 260, "height": 240}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 3, "bbox": [1, 2, 3, 4], "segmentation": [[1, 2]]}
    ],
    "categories": [{"id": 3, "name": "hat"}],
}
VOC = (
    '<?xml version="1.0" encoding="utf-8"?><annotation><filename>a.png</filename><path>/x/a.png</path>'
    "<size><width>260</width><height>240</height></size><object><name>hat</name><bndbox><xmin>1</xmin>"
    "</bndbox></object></annotation>"
)
SEEDS = {
    ".json": json.dumps(COCO).encode(),
    ".xml": VOC.encode(),
    ".yaml": b"path: .\ntrain: images\nnc: 2\nnames:\n  0: hat\n  1: glove\n",
    ".txt": b"a.png\nb.png\na 1\nb -1\n",
}
HARMFUL = (
    *(
        b"null",
        b"-1",
        b"1e999",
        b"40.0",
        b"NaN",
        b"true",
        b'"a"',
        b"''",
        b"[]",
        b"{}",
        b"{a: b}",
        b"2001-99-99",
    ),
    *(b"9" * 5000, b"[" * 5000, b"<a>" * 5000, b"!!python/name:os.system", b"!!binary x", b"&a [*a]", b"*a"),
    *(b"\\ud800", b"\xff\xfe", b"\0", "\u2028".encode(), b"/" * 99, b"../../a.png", b"utf-16", b"nonsense"),
)


def harmed(data: bytes, random: np.random.Generator) -> bytes:
    """Bytes as a fault of the disk leaves them, or one word replaced by one that readers stumble over."""
    if random.random() < 0.3:
        return mutated(data, random)
    words = np.flatnonzero([byte in b' ":,[]{}<>=\n' for byte in data])
    first, last = sorted(random.choice(words, 2, replace=False))
    last = last if random.random() < 0.2 else words[np.searchsorted(words, first) + 1]
    return data[: first + 1] + HARMFUL[int(random.integers(len(HARMFUL)))] + data[last:]


def run(count: int, folder: Path, ignore_faces: bool) -> Counter[str]:
    """How many ended how, of files 0 to ``count``."""
    data = folder / "data"
    for name in ("a.png", "b.png"):
        save(data / name, [(20, 30, 100, 140)])
    (data / "b.txt").write_text("0 0.5 0.5 0.1 0.1\n")
    sources = {}
    for number in range(count):
        suffix, seed = list(SEEDS.items())[number % len(SEEDS)]
        sources[f"{number}{suffix}"] = harmed(seed, np.random.default_rng(number))
        (data / f"{number}{suffix}").write_bytes(sources[f"{number}{suffix}"])
    config = AnonymizeConfig(
        labels=LabelsConfig(ignore_faces=ignore_faces), verify=VerifyConfig(enabled=False)
    )
    summary = anonymize_folder(data, folder / "out", detector=QuickDetector(), config=config)
    assert summary.exit_code == 3 and summary.stopped is None
    ended: Counter[str] = Counter()
    for name, content in sources.items():
        entry, target = summary.entries[name], summary.out / name
        assert (entry.status == "done") == target.exists(), name
        if target.exists() and not entry.message:
            assert target.read_bytes() == content, name
        ended[entry.reason or "done"] += 1
    return ended
