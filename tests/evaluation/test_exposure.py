from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.boxes import Boxes
from pipeline.config.schema import Method, RedactConfig, Shape
from pipeline.evaluation.exposure import covered_share, grow, measure_exposure, rasterize
from pipeline.evaluation.redaction import redacted

FACE = [20, 20, 30, 40]  # its top 70 %: 10 wide, 14 high


def mask_of(*boxes: list[int], size: tuple[int, int] = (200, 100)) -> np.ndarray:
    return rasterize(Boxes(np.array(boxes, dtype=float)), size[::-1])


@pytest.mark.parametrize(
    ("mask", "uncovered", "exposed"),
    [
        pytest.param(mask_of([20, 20, 30, 34]), 0, 0, id="exactly the top"),
        pytest.param(mask_of([0, 0, 200, 100]), 0, 0, id="everything"),
        pytest.param(mask_of([22, 20, 30, 34]), 0.2, 0, id="a fifth is left: not more than a fifth"),
        pytest.param(mask_of([23, 20, 30, 34]), 0.3, 1, id="more is"),
        pytest.param(mask_of([20, 34, 30, 40]), 1, 1, id="only the chin is covered"),
        pytest.param(mask_of(), 1, 1, id="nothing"),
        pytest.param(mask_of([20, 20, 25, 34], [25, 20, 30, 34]), 0, 0, id="by two regions together"),
    ],
)
def test_exposed_by_hand(mask, uncovered, exposed, labelled) -> None:
    result = measure_exposure([labelled([FACE])], [mask])
    assert result.uncovered.tolist() == pytest.approx([uncovered])
    assert (result.by_slice["all"].hits, result.by_slice["with_mask"].hits) == (exposed, exposed)


def test_needless_pixels_lie_outside_every_face_grown_by_three_tenths(labelled) -> None:
    # grown: 18.5 … 31.5 across, 17 … 43 down; a pixel that it touches is not needless
    result = measure_exposure(
        [labelled([FACE])], [mask_of([18, 17, 32, 43], [100, 50, 110, 60], [17, 20, 18, 25])]
    )
    assert result.needless_pixels == pytest.approx((100 + 5) / (200 * 100))
    assert result.redacted_pixels == pytest.approx((14 * 26 + 100 + 5) / (200 * 100))


def test_shares_are_of_all_pixels_of_the_set(labelled) -> None:
    pictures = [labelled([], size=(10, 10)), labelled([], id=2, size=(30, 10))]
    masks = [mask_of([0, 0, 10, 10], size=(10, 10)), mask_of(size=(30, 10))]
    assert measure_exposure(pictures, masks).needless_pixels == 0.25


def test_an_ignored_face_is_not_counted_but_covering_it_is_not_needless(labelled) -> None:
    picture = labelled([FACE, [60, 20, 70, 40]], ignored=[False, True])
    result = measure_exposure([picture], [mask_of([60, 20, 70, 40])])
    assert (result.by_slice["all"].hits, result.by_slice["all"].of, result.needless_pixels) == (1, 1, 0)


def test_a_mask_of_another_size_is_refused(labelled) -> None:
    with pytest.raises(ValueError, match=r"picture 1: expected a mask of \[100, 200\], got \[200, 100\]"):
        measure_exposure([labelled([FACE])], [np.zeros((200, 100), dtype=bool)])


def test_pixels_on_the_edge_count_by_their_part() -> None:
    mask = np.zeros((4, 4), dtype=bool)
    mask[1, 1] = True
    boxes = Boxes(np.array([[1.5, 1, 2.5, 2], [0, 0, 4, 4], [3, 3, 3, 3]]))
    assert covered_share(boxes, mask).tolist() == pytest.approx([0.5, 1 / 16, 1])


def test_grow_keeps_the_centre() -> None:
    assert grow(Boxes(np.array([[10.0, 10, 20, 30]])), 1.3).xyxy.tolist() == [[8.5, 7, 21.5, 33]]


positions = st.floats(-10, 60)
lengths = st.floats(0.5, 40)
faces = st.lists(st.tuples(positions, positions, lengths, lengths), min_size=1, max_size=6).map(
    lambda rows: Boxes.from_xywh(np.array(rows)).clip(64, 48)
)


@settings(deadline=None)
@given(faces)
def test_the_tool_exposes_no_face_that_it_found_exactly(boxes: Boxes) -> None:
    mask = redacted(boxes, RedactConfig(margin=0), (64, 48))
    top = boxes.xyxy.copy()
    top[:, 3] = top[:, 1] + 0.7 * (top[:, 3] - top[:, 1])
    assert covered_share(Boxes(top), mask).tolist() == pytest.approx([1.0] * len(boxes))


def test_the_tools_settings_are_what_is_measured(labelled) -> None:
    picture, boxes = labelled([FACE]), Boxes(np.array([FACE], dtype=float))

    def uncovered(**settings: object) -> float:
        mask = redacted(boxes, RedactConfig(**settings), (200, 100))  # type: ignore[arg-type]
        return float(measure_exposure([picture], [mask]).uncovered[0])

    assert uncovered() == uncovered(margin=0) == 0
    assert uncovered(top_fraction=0.35, margin=0) == pytest.approx(0.5)
    assert uncovered(top_fraction=0.35) == pytest.approx(8 / 14)  # the top of the grown box: rows 16 to 26
    assert uncovered(method=Method.none) == 1
    assert 0.05 < uncovered(shape=Shape.ellipse, margin=0) < 0.3
