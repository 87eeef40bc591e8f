"""Coding a JPEG whose sampling, tables or colour model Pillow cannot be told to write.

Each component is coded as a grey JPEG with its own quantisation table; its Huffman tables and coded
data then become one scan of the picture. That is plain sequential JPEG with a scan a component
(T.81, A.2.2), where a component alone has exactly the blocks of a grey picture of its size.
"""

from __future__ import annotations

import io
import struct

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline.anonymize.images import jpeg_segments
from pipeline.anonymize.images.jpeg_segments import DHT, SOS, Component, Jpeg
from pipeline.anonymize.images.model import Pixels

Plane = NDArray[np.uint8]
# JFIF 1.02: RGB to YCbCr
_TO_YCC = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32
)


def encode(pixels: Pixels, source: Jpeg) -> bytes:
    """A sequential JPEG of grey, RGB or CMYK samples with every parameter of ``source``.

    Args:
        pixels: ``[H, W]``, ``[H, W, 3]`` RGB or ``[H, W, 4]`` CMYK counting ink.
    """
    parts = [b"\xff\xd8", _adobe(source), *_tables(source), _frame(source)]
    for component, plane in zip(source.components, _planes(pixels, source), strict=True):
        parts += _scan(plane, component, source.tables[component.table])
    return b"".join([*parts, b"\xff\xd9"])


def _planes(pixels: Pixels, source: Jpeg) -> list[Plane]:
    """The component planes as they are coded, each at its own size."""
    model = source.colour_model
    channels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    if model == "cmyk":
        channels = 255 - channels
    elif model in ("ycc", "ycck"):
        # what a YCCK file holds as YCC is, by Adobe's custom of storing inverted ink, ink as RGB
        ycc = channels[:, :, :3].astype(np.float32) @ _TO_YCC.T + np.array([0, 128, 128], np.float32)
        coded = np.clip(np.rint(ycc), 0, 255).astype(np.uint8)
        channels = coded if model == "ycc" else np.dstack([coded, 255 - channels[:, :, 3]])
    return [_sampled(channels[:, :, i], source, component) for i, component in enumerate(source.components)]


def _sampled(plane: Plane, source: Jpeg, component: Component) -> Plane:
    """The mean over each sample's pixels, edges repeated."""
    most_h, most_v = max(c.h for c in source.components), max(c.v for c in source.components)
    height, width = -(-plane.shape[0] * component.v // most_v), -(-plane.shape[1] * component.h // most_h)
    if (height, width) == plane.shape:
        return plane
    repeated = np.repeat(np.repeat(plane, component.v, axis=0), component.h, axis=1)
    pad = ((0, height * most_v - repeated.shape[0]), (0, width * most_h - repeated.shape[1]))
    boxes = np.pad(repeated, pad, mode="edge").reshape(height, most_v, width, most_h)
    return np.rint(boxes.mean(axis=(1, 3))).astype(np.uint8)


def _scan(plane: Plane, component: Component, table: tuple[int, ...]) -> list[bytes]:
    """Huffman tables and coded data of one component."""
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(plane)).save(out, "JPEG", qtables=[list(table)], optimize=True)
    parts = []
    for segment in jpeg_segments.parse(out.getvalue()).coding:
        if segment[1] == DHT:
            parts.append(segment)
        elif segment[1] == SOS:
            parts.append(segment[:5] + bytes((component.id,)) + segment[6:])
    return parts


def _tables(source: Jpeg) -> list[bytes]:
    parts = []
    for number in sorted({c.table for c in source.components}):
        values = source.tables[number]
        wide = max(values) > 255
        body = bytes((wide << 4 | number,)) + struct.pack(
            ">64H" if wide else ">64B", *jpeg_segments.zigzag(values)
        )
        parts.append(jpeg_segments.segment(0xDB, body))
    return parts


def _frame(source: Jpeg) -> bytes:
    wide = any(max(source.tables[c.table]) > 255 for c in source.components)
    body = struct.pack(">BHHB", 8, source.height, source.width, len(source.components))
    body += b"".join(struct.pack(">BBB", c.id, c.h << 4 | c.v, c.table) for c in source.components)
    return jpeg_segments.segment(0xC1 if wide else 0xC0, body)


def _adobe(source: Jpeg) -> bytes:
    if source.adobe is None:
        return b""
    return jpeg_segments.segment(0xEE, b"Adobe" + struct.pack(">HHHB", 100, 0, 0, source.adobe))
