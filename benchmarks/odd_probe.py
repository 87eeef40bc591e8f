"""What became of a picture, told from the two files alone; shares no code with either tool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, ImageSequence

from benchmarks.odd_pictures import SHIFT

Box = tuple[int, int, int, int]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Probed:
    """One frame.

    Attributes:
        damage: of what is no face: the mean square error, or more than 1. words: the same for people.
        hidden: whether the face is; None: nobody knows where it would be.
    """

    damage: float
    words: str
    hidden: bool | None


def describe(source: Path, output: Path, face: Box) -> str:
    """A few words: form, surroundings and face in the worst of the frames, metadata.

    Args:
        source: upright, it shows the face at the place ``face`` in its first frame, and :data:`SHIFT` rows
            lower in each that follows.
    """
    if not output.exists():
        return "no output"
    if not output.stat().st_size:
        return "a 0-byte file is left behind"
    try:
        before, after = _frames(source), _frames(output)
    except Exception as error:
        return f"output cannot be read ({type(error).__name__})"
    words = [
        *_form(source, output, len(before), len(after)),
        *_pixels(before, after, face),
        *_told(output),
    ]
    return ", ".join(words)


def _form(source: Path, output: Path, frames: int, kept: int) -> list[str]:
    words = []
    if frames != kept:
        words.append(f"{frames} frames become {kept}")
    bits = [_bits(path) for path in (source, output)]
    if bits[0] != bits[1]:
        words.append(f"{bits[0]} bit become {bits[1]}")
    modes = [Image.open(path).mode for path in (source, output)]
    if modes[0] != modes[1] and bits[0] == bits[1] != 16:
        words.append(f"{modes[0]} becomes {modes[1]}")
    return words


def _pixels(before: Sequence[Values], after: Sequence[Values], face: Box) -> list[str]:
    """The worst that was done to the surroundings of any frame, and to any face."""
    pairs = zip(before, after, strict=False)  # how many frames are gone is told with the form
    frames = [_probed(*pair, face, SHIFT * number) for number, pair in enumerate(pairs)]
    hidden = [each.hidden for each in frames]
    words = [max(frames, key=lambda each: each.damage).words]
    if False in hidden:
        return [*words, "FACE LEFT"]
    return words if None in hidden else [*words, "face redacted"]


def _probed(before: Values, after: Values, face: Box, down: int) -> Probed:
    """A frame that shows everything ``down`` rows lower than the first."""
    if before.shape != after.shape:
        return Probed(4, "another size", None)
    change = np.abs(before - after).max(axis=2)
    outside = np.ones(change.shape, bool)
    outside[20:300, 120:340] = False  # generous: head and collar
    outside[310:420, 105:240] = False  # the mission's patch, which a detector may take for a face
    outside = np.roll(outside, down, axis=0)
    inside = np.zeros(change.shape, bool)
    inside[face[1] + down : face[3] + down, face[0] : face[2]] = True
    turned = any(np.abs(np.rot90(before, k) - after).mean() < 0.04 for k in (1, 2, 3))
    if turned and np.abs(before - after).mean() > 0.1:
        hidden = any(_changed(np.rot90(before, k), after, np.rot90(inside, k)) for k in (1, 2, 3))
        return Probed(3, "lies on its side or head", hidden)
    hidden = bool(change[inside].mean() > 0.04)
    if np.median(change[outside]) > 0.15:
        return Probed(2, "picture destroyed", hidden)
    error = float((np.abs(before - after)[outside] ** 2).mean())
    words = f"{10 * np.log10(1 / error):.0f} dB outside" if error else "identical outside"
    return Probed(error, words, hidden)


def _changed(before: Values, after: Values, inside: NDArray[np.bool_]) -> bool:
    return bool(np.abs(before - after)[inside].mean() > 0.04)


def _told(output: Path) -> list[str]:
    """Metadata that stayed, and should not have."""
    exif = Image.open(output).getexif()
    told = []
    if exif.get_ifd(0x8825):
        told.append("GPS kept")
    if exif.get(0x013B):
        told.append("artist kept")
    data = output.read_bytes()
    if output.suffix == ".jpg" and data.count(b"\xff\xd8\xff") > 1:
        told.append("THUMBNAIL SHOWS THE FACE")
    return told


def _bits(path: Path) -> int:
    if path.suffix in (".gif", ".webp"):
        return 8
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return 8 * pixels.dtype.itemsize if pixels is not None else 8


def _frames(path: Path) -> list[Values]:
    """Upright frames as RGB from 0 to 1."""
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) if path.suffix == ".png" else None
    if pixels is not None and pixels.dtype == np.uint16:
        colour = pixels[..., ::-1] if pixels.ndim == 3 else np.repeat(pixels[:, :, None], 3, axis=2)
        return [colour / 65535.0]
    with Image.open(path) as image:
        frames = [
            ImageOps.exif_transpose(frame.copy()).convert("RGB") for frame in ImageSequence.Iterator(image)
        ]
    return [np.asarray(frame) / 255.0 for frame in frames]
