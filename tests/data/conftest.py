"""Tiny labelled sets made on the spot; no picture of a person is needed to test the reading of labels."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import pytest
from PIL import Image

from pipeline.config.schema import DatasetConfig, Format, SourceConfig, SplitConfig

Box = tuple[float, float, float, float]
Face = tuple[str, Box]


def picture(seed: int, width: int = 64, height: int = 48) -> Image.Image:
    """Blobs that differ from seed to seed, so that no two look alike."""
    coarse = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


@dataclass
class TinySet:
    """A folder with ``images/`` and a writer for each label format."""

    folder: Path

    def add(self, name: str, seed: int, size: tuple[int, int] = (64, 48), **options: object) -> Path:
        path = self.folder / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(seed, *size).save(path, **options)
        return path

    def voc(
        self,
        stem: str,
        faces: list[Face],
        size: tuple[int, int] | None = (64, 48),
        tag: str | None = None,
    ) -> Path:
        path = self.folder / "annotations" / f"{stem}.xml"
        path.parent.mkdir(parents=True, exist_ok=True)
        objects = "".join(
            f"<object><name>{escape(label)}</name><bndbox><xmin>{b[0]}</xmin><ymin>{b[1]}</ymin>"
            f"<xmax>{b[2]}</xmax><ymax>{b[3]}</ymax></bndbox></object>"
            for label, b in faces
        )
        stated = f"<size><width>{size[0]}</width><height>{size[1]}</height></size>" if size else ""
        path.write_text(
            f"<annotation><filename>{escape(tag or stem + '.jpg')}</filename>{stated}{objects}</annotation>"
        )
        return path

    def write(self, name: str, content: object) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path


@pytest.fixture
def tiny(tmp_path: Path) -> TinySet:
    return TinySet(tmp_path / "set")


@pytest.fixture
def voc_set(tiny: TinySet) -> TinySet:
    """Twelve pictures, a face with each of two labels in every one."""
    for number in range(12):
        tiny.add(f"p{number:02}.jpg", seed=number, quality=95)
        tiny.voc(f"p{number:02}", [("face", (5, 6, 25, 30)), ("mask", (30, 10, 50, 40))])
    return tiny


@pytest.fixture
def configure(tmp_path: Path) -> Callable[..., DatasetConfig]:
    """A configuration of one source; keywords are fields of the source."""

    def make(folder: Path, format: Format = Format.voc, **fields: object) -> DatasetConfig:
        fields = {"label_map": {"face": "FACE", "mask": "FACE"}} | fields
        source = SourceConfig(format=format, root=str(folder), **fields)  # type: ignore[arg-type]
        return DatasetConfig(
            versions=str(tmp_path / "versions"),
            sources={"tiny": source},
            split=SplitConfig(val=0.25, test=0.25),
            shards=2,
        )

    return make
