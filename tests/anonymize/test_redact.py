from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.anonymize.redact import Region, coverage, in_raster, redact, regions
from pipeline.anonymize.redact.methods import STRIP
from pipeline.boxes import Boxes
from pipeline.config.schema import Method, RedactConfig, Shape

PAINTING = [Method.blur, Method.pixelate, Method.solid, Method.noise]


def textured(
    shape: tuple[int, ...], dtype: str = "uint8", seed: int = 0
) -> NDArray[np.uint8] | NDArray[np.uint16]:
    random = np.random.default_rng(seed)
    if dtype == "bool":
        return random.random(shape) < 0.5
    return random.integers(0, 2 ** (8 * np.dtype(dtype).itemsize), shape, dtype=dtype)


@pytest.mark.parametrize(
    ("config", "box", "expected"),
    [
        (RedactConfig(margin=0), [10, 20, 110, 120], (10, 20, 110, 90)),
        (RedactConfig(margin=0), [10.4, 20.6, 30.2, 40.6], (10, 20, 31, 35)),
        (RedactConfig(top_fraction=1.0, margin=0), [10, 20, 110, 120], (10, 20, 110, 120)),
        (RedactConfig(margin=0.1), [50, 50, 150, 150], (38, 38, 162, 125)),  # by .112: it is half as wide
        (RedactConfig(margin=0.1), [50, 50, 58, 58], (48, 48, 60, 57)),  # a 25th as wide: by .25
        (RedactConfig(margin=0.1), [50, 50, 54, 54], (49, 49, 55, 54)),  # still smaller: by .25, too
        (RedactConfig(), [50, 50, 150, 150], (27, 27, 173, 129)),  # by default it grows by two tenths
        (RedactConfig(margin=0), [-50, -50, 50, 50], (0, 0, 50, 20)),
        (RedactConfig(margin=0), [150, 150, 900, 900], (150, 150, 200, 200)),
        (RedactConfig(margin=0), [10, 10, 10.2, 10.2], (10, 10, 11, 11)),
        (RedactConfig(margin=0), [300, 10, 400, 50], None),
        (RedactConfig(margin=0), [50, 50, 40, 60], None),
        (RedactConfig(margin=0), [50, -90, 70, -10], None),
        (RedactConfig(margin=0), [50, -90, 70, 10], None),  # its top 70 % lies above the picture
    ],
)
def test_region_is_the_top_of_the_box_rounded_outward(
    config: RedactConfig, box: list[float], expected: tuple[int, int, int, int] | None
) -> None:
    found = regions(Boxes(np.array([box])), config, (200, 200))
    assert [region.box for region in found] == ([expected] if expected else [])


def test_strength_scales_with_the_face_and_has_a_floor() -> None:
    boxes = Boxes(np.array([[0, 0, 12, 12], [0, 0, 100, 100], [0, 0, 400, 400]]))
    assert [region.cell for region in regions(boxes, RedactConfig(), (500, 500))] == [8, 25, 100]
    assert [region.cell for region in regions(boxes, RedactConfig(strength=2), (500, 500))] == [16, 50, 200]


def test_ellipse_holds_the_head_and_spares_the_corners() -> None:
    config = RedactConfig(shape=Shape.ellipse, margin=0)
    (region,) = regions(Boxes(np.array([[10, 10, 110, 150]])), config, (200, 200))
    mask = coverage([region], Shape.ellipse, (200, 200))
    assert not mask[11, 11] and not mask[11, 108] and mask[10, 60] and mask[80, 10]
    assert mask[107, 60] and not mask[108:].any()
    assert mask.sum() < coverage([region], Shape.box, (200, 200)).sum()


def test_regions_turn_with_the_raster() -> None:
    def turned(boxes: Boxes) -> Boxes:  # a quarter turn of a picture 100 high: x, y -> 100 - y, x
        x0, y0, x1, y1 = boxes.xyxy.T
        return Boxes(np.stack([100 - y1, x0, 100 - y0, x1], axis=1))

    config = RedactConfig(shape=Shape.ellipse, margin=0)
    upright = regions(Boxes(np.array([[10, 20, 50, 70]])), config, (80, 100))
    stored = in_raster(upright, turned)
    assert stored[0].box == (45, 10, 80, 50)
    upright_mask = coverage(upright, Shape.ellipse, (80, 100))
    assert (coverage(stored, Shape.ellipse, (100, 80)) == np.rot90(upright_mask, -1)).all()
    assert in_raster([], turned) == []


@settings(max_examples=120, deadline=None)
@given(
    data=st.data(),
    method=st.sampled_from(PAINTING),
    shape=st.sampled_from(list(Shape)),
    dtype=st.sampled_from(["uint8", "uint16", "bool", "float32"]),
    channels=st.sampled_from([0, 1, 3, 4]),
    feather=st.sampled_from([0.0, 0.2]),
    margin=st.sampled_from([0.0, 0.2]),
)
def test_outside_is_identical_and_inside_is_changed(
    data: st.DataObject,
    method: Method,
    shape: Shape,
    dtype: str,
    channels: int,
    feather: float,
    margin: float,
) -> None:
    height, width = data.draw(st.integers(24, 70)), data.draw(st.integers(24, 70))
    size = (height, width, channels) if channels else (height, width)
    pixels = textured(size) / np.float32(255) if dtype == "float32" else textured(size, dtype)
    low = st.tuples(st.integers(-20, width - 8), st.integers(-6, height - 16))
    side = st.tuples(st.integers(10, 60), st.integers(16, 60))
    faces = data.draw(st.lists(st.tuples(low, side), min_size=1, max_size=3))
    boxes = Boxes(np.array([[x, y, x + w, y + h] for (x, y), (w, h) in faces]))
    config = RedactConfig(method=method, shape=shape, feather=feather, margin=margin)
    found = regions(boxes, config, (width, height))
    before = pixels.copy()
    after = redact(pixels, found, config)
    covered = coverage(found, shape, (width, height))
    assert after.dtype == pixels.dtype and after.shape == pixels.shape
    assert (pixels == before).all(), "the source was written to"
    assert (after[~covered] == pixels[~covered]).all()
    if covered.sum() > 60:
        assert (after[covered] != pixels[covered]).any(axis=-1 if channels else None).mean() > 0.25


def balanced_pair(seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Two pictures, different in nearly every pixel, with equal means over every 24 px cell."""
    random = np.random.default_rng(seed)
    base = np.kron(random.integers(70, 180, (8, 8, 3)), np.ones((24, 24, 1), int))
    pair = []
    for _ in range(2):
        half = random.integers(1, 70, (192, 96, 3))
        detail = np.stack([half, -half], axis=2).reshape(192, 192, 3)
        pair.append((base + detail).astype(np.uint8))
    return pair[0], pair[1]


@pytest.mark.parametrize("method", PAINTING)
@pytest.mark.parametrize("feather", [0.0, 0.25])
def test_faces_with_the_same_local_means_come_out_the_same(method: Method, feather: float) -> None:
    one, other = balanced_pair(3)
    config = RedactConfig(method=method, top_fraction=1.0, feather=feather)
    found = [Region((48, 48, 144, 144), (48.0, 48.0, 144.0, 144.0), 24.0)]
    other[:48], other[144:], other[:, :48], other[:, 144:] = one[:48], one[144:], one[:, :48], one[:, 144:]
    inside = found[0].window
    assert (one[inside] != other[inside]).mean() > 0.9
    assert (redact(one, found, config) == redact(other, found, config)).all()


def transfer(shape: tuple[int, ...], sigma: float) -> NDArray[np.float64]:
    """A Gaussian in the frequency domain."""
    rows, columns = np.meshgrid(*(np.fft.fftfreq(n) for n in shape), indexing="ij")
    return np.exp(-2 * (np.pi * sigma) ** 2 * (rows**2 + columns**2))


def gaussian(face: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """As a peer would write it: blurred, then rounded to 8 bits."""
    return np.round(np.real(np.fft.ifft2(np.fft.fft2(face) * transfer(face.shape, sigma))))


def wiener(blurred: NDArray[np.float64], sigma: float, noise: float = 1e-5) -> NDArray[np.float64]:
    """The linear inverse of a Gaussian with a known sigma (Wiener, 1949)."""
    kernel = transfer(blurred.shape, sigma)
    return np.real(np.fft.ifft2(np.fft.fft2(blurred) * kernel / (kernel**2 + noise)))


def likeness(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Correlation of what is finer than a cell (the face's own detail)."""
    import cv2

    fine = [image - cv2.GaussianBlur(image, (0, 0), 12.0) for image in (one, other)]
    return float(np.corrcoef(fine[0].ravel(), fine[1].ravel())[0, 1])


def test_a_known_deconvolution_does_not_bring_the_face_back() -> None:
    """The attack undoes a Gaussian that looks as strong, and finds nothing after Veil's blur."""
    from skimage.data import astronaut
    from skimage.restoration import richardson_lucy

    face = astronaut()[30:210, 130:310, 1].astype(np.float64)
    found = regions(Boxes(np.array([[0, 0, 180, 180]])), RedactConfig(top_fraction=1.0), (180, 180))
    ours = redact(face.astype(np.uint8), found, RedactConfig()).astype(np.float64)
    assert likeness(wiener(gaussian(face, 6.0), 6.0), face) > 0.5, "the attack itself must work"
    attacks = [wiener(ours, sigma, noise) for sigma in (3, 6, 12, 22, 45) for noise in (1e-6, 1e-4, 1e-2)]
    for sigma in (6, 22):
        line = np.exp(-(np.arange(-60, 61) ** 2) / (2 * sigma**2))
        kernel = np.outer(line, line) / line.sum() ** 2
        attacks.append(255 * richardson_lucy(ours / 255, kernel, num_iter=20))
    assert max(likeness(attack, face) for attack in attacks) < 0.25


@pytest.mark.parametrize("size", [16, 40, 100, 700])
@pytest.mark.parametrize("method", [Method.blur, Method.pixelate])
def test_a_face_keeps_no_more_than_a_handful_of_numbers(method: Method, size: int) -> None:
    face = textured((size, size, 3), seed=size)
    config = RedactConfig(method=method, top_fraction=1.0)
    found = regions(Boxes(np.array([[0, 0, size, size]])), config, (size, size))
    after = redact(face, found, config)
    if method is Method.pixelate:
        assert len(np.unique(after.reshape(-1, 3), axis=0)) <= 16
    steps = np.abs(np.diff(after[..., 0].astype(int), axis=1))
    assert np.median(steps) <= 255 / size + 2  # no edge finer than a cell


@pytest.mark.parametrize("shape", [(41, 29, 3), (STRIP, 50, 3), (3 * STRIP + 7, 201, 3), (130, 90)])
@pytest.mark.parametrize(("method", "way"), [("blur", cv2.INTER_LINEAR), ("pixelate", cv2.INTER_NEAREST)])
def test_strips_together_are_opencvs_picture_of_the_cells(
    shape: tuple[int, ...], method: str, way: int
) -> None:
    """A region is drawn a strip at a time from weights of rows and columns; here it is drawn whole."""
    original = textured(shape)
    height, width = shape[:2]
    region = Region((0, 0, width, height), (0, 0, width, height), cell=11)
    grid = (int(width / 11), int(height / 11))
    means = np.round(cv2.resize(original, grid, interpolation=cv2.INTER_AREA) / 255 * 31) * 255 / 31
    drawn = cv2.resize(means.astype(np.float32), (width, height), interpolation=way)
    if method == "blur":
        drawn = cv2.blur(drawn, (5, 5), borderType=cv2.BORDER_REPLICATE)
    painted = redact(original, [region], RedactConfig(method=Method(method), margin=0))
    assert np.abs(painted - drawn).max() <= 0.51


def test_small_face_never_sharpens_a_large_one() -> None:
    pixels = textured((200, 200, 3))
    both = regions(
        Boxes(np.array([[60, 60, 90, 90], [0, 0, 200, 200]])), RedactConfig(top_fraction=1), (200, 200)
    )
    for config in (RedactConfig(), RedactConfig(method=Method.pixelate)):
        assert (redact(pixels, both, config) == redact(pixels, both[1:], config)).all()


def test_overlap_is_painted_from_original_pixels() -> None:
    pixels = textured((120, 200))
    config = RedactConfig(method=Method.pixelate, top_fraction=1.0, margin=0)
    left, right = regions(Boxes(np.array([[0, 0, 110, 110], [80, 0, 200, 120]])), config, (200, 120))
    after = redact(pixels, [left, right], config)
    alone_left, alone_right = redact(pixels, [left], config), redact(pixels, [right], config)
    assert (after[:, :80] == alone_left[:, :80]).all()
    assert (after[:, 80:] == alone_right[:, 80:]).all()


def test_twelve_bit_depth_keeps_its_brightness() -> None:
    pixels = textured((100, 100), "uint16") >> 4
    pixels[:, 50:] = 4000
    found = regions(Boxes(np.array([[0, 0, 100, 100]])), RedactConfig(), (100, 100))
    after = redact(pixels, found, RedactConfig())
    assert after.max() <= 4095
    assert abs(int(after[10, 80]) - 4000) < 140 and abs(int(after[10, 10]) - 2047) < 300


@pytest.mark.parametrize(
    ("shape", "expected"), [((9, 9), 76), ((9, 9, 3), [255, 0, 0]), ((9, 9, 4), [0, 255, 255, 0])]
)
def test_solid_colour_in_grey_rgb_and_inks(shape: tuple[int, ...], expected: int | list[int]) -> None:
    config = RedactConfig(method=Method.solid, colour=[255, 0, 0])
    after = redact(
        np.full(shape, 9, np.uint8), regions(Boxes(np.array([[0, 0, 9, 9]])), config, (9, 9)), config
    )
    assert after[0, 0].tolist() == expected


def test_none_changes_nothing() -> None:
    pixels = textured((50, 50, 3))
    config = RedactConfig(method=Method.none)
    assert (
        redact(pixels, regions(Boxes(np.array([[0, 0, 50, 50]])), config, (50, 50)), config) == pixels
    ).all()
