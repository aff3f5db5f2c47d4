"""keypoints/image.py: sizes, resizing, padding, cropping."""

import cv2
import numpy as np
import pytest
from conftest import assert_input_error
from pictures import blob, centroid

from keypoints.image import MAX_SIDE, PAD_COLOR, check_maps, crop, fit_size, normalise, pad_to_stride, raise_to_stride, resize


@pytest.mark.parametrize(
    ("size_wh", "short_side", "fitted", "raised"),
    [
        ((640, 480), 368, (491, 368), (496, 368)),
        ((480, 640), 368, (368, 491), (368, 496)),
        ((8000, 6000), 368, (491, 368), (496, 368)),
        ((1, 1), 368, (368, 368), (368, 368)),
        ((368, 368), 368, (368, 368), (368, 368)),
        ((1, 4000), 368, (1, MAX_SIDE), (8, MAX_SIDE)),
        ((4000, 1), 368, (MAX_SIDE, 1), (MAX_SIDE, 8)),
        ((100000, 3), 368, (MAX_SIDE, 1), (MAX_SIDE, 8)),
        ((640, 480), 9999, (MAX_SIDE, 3072), (MAX_SIDE, 3072)),
        ((640, 480), 1, (1, 1), (8, 8)),
    ],
)
def test_fit_size(size_wh, short_side, fitted, raised):
    """The short side is short_side, unless the long one would pass MAX_SIDE; no side is 0; then each is raised to a multiple of 8."""
    assert fit_size(size_wh, short_side) == fitted
    assert raise_to_stride(fitted) == raised
    assert all(type(side) is int for side in (*fit_size(size_wh, short_side), *raise_to_stride(fitted)))


def test_fit_size_keeps_the_shape():
    rng = np.random.default_rng(0)
    for width, height, short_side in rng.integers(1, 3000, (200, 3)).tolist():
        fitted = fit_size((width, height), short_side)
        scale = min(short_side / min(width, height), MAX_SIDE / max(width, height))
        assert max(fitted) <= MAX_SIDE
        assert fitted == tuple(max(round(side * scale), 1) for side in (width, height))
        raised = raise_to_stride(fitted)
        assert all(to % 8 == 0 and 0 <= to - side < 8 for side, to in zip(fitted, raised, strict=True))


def test_raise_to_stride():
    assert raise_to_stride((1, 8)) == (8, 8)
    assert raise_to_stride((9, 16)) == (16, 16)
    assert raise_to_stride((5, 6), stride=4) == (8, 8)


# Resizing


@pytest.mark.parametrize(
    ("size_wh", "to_wh"),
    [
        ((160, 120), (320, 240)),  # grows
        ((160, 120), (368, 248)),  # grows, not the same along x and y
        ((161, 120), (168, 120)),  # grows along x only
        ((320, 240), (160, 120)),  # shrinks
        ((321, 245), (104, 80)),
        ((372, 383), (368, 384)),  # shrinks along x, grows a little along y: this is what raising to the stride does
        ((369, 377), (376, 368)),
    ],
)
def test_resize_keeps_half_pixel_geometry(size_wh, to_wh):
    """A point at x comes to lie at (x + 0.5) scale - 0.5."""
    scale = np.divide(to_wh, size_wh)
    for center in ((50.3, 70.8), (90, 41.5)):
        source = blob(size_wh, center, 6)
        expected = (centroid(source) + 0.5) * scale - 0.5
        result = resize(source, to_wh)
        assert result.shape == (to_wh[1], to_wh[0], 3)
        np.testing.assert_allclose(centroid(result), expected, rtol=0, atol=0.06)


def test_resize_averages_where_it_shrinks():
    """One pixel of a fine pattern is the mean of those that fall into it; nothing is skipped."""
    source = np.zeros((80, 80, 3), np.uint8)
    source[::2, ::2] = 200
    assert (resize(source, (10, 10)) == 50).all()
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    expected = noise.reshape(10, 4, 15, 4, 3).mean((1, 3))
    np.testing.assert_allclose(resize(noise, (15, 10)), expected, rtol=0, atol=0.51)


def test_resize_by_halves_is_an_average_too():
    """Where the ratio is no whole number it goes by halves first; what comes out is the average over each pixel's area, but for what is rounded."""
    image = cv2.GaussianBlur(np.random.default_rng(0).random((720, 1280, 3), dtype=np.float32), (0, 0), 8)
    image = cv2.normalize(image, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    difference = np.abs(resize(image, (456, 256)).astype(int) - cv2.resize(image, (456, 256), interpolation=cv2.INTER_AREA))
    assert difference.mean() < 0.5
    assert difference.max() <= 4


def test_resize_to_the_same_size():
    image = np.random.default_rng(0).integers(0, 256, (30, 20, 3), dtype=np.uint8)
    np.testing.assert_array_equal(resize(image, (20, 30)), image)


@pytest.mark.parametrize(("size_wh", "to_wh"), [((1, 1), (368, 368)), ((1, 4000), (8, 4096)), ((4000, 1), (4096, 8)), ((8000, 6000), (496, 368))])
def test_resize_extremes(size_wh, to_wh):
    """One colour stays one colour."""
    image = np.full((size_wh[1], size_wh[0], 3), (10, 100, 200), np.uint8)
    result = resize(image, to_wh)
    assert result.shape == (to_wh[1], to_wh[0], 3)
    assert (result == (10, 100, 200)).all()


# Padding, normalising, cropping


@pytest.mark.parametrize(("size_wh", "to_wh"), [((10, 17), (16, 24)), ((16, 8), (16, 8)), ((1, 1), (8, 8)), ((8, 9), (8, 16))])
def test_pad_to_stride(size_wh, to_wh):
    """Right and below, in the mean colour of the data the networks know."""
    image = np.random.default_rng(0).integers(0, 100, (size_wh[1], size_wh[0], 3), dtype=np.uint8)
    padded = pad_to_stride(image)
    assert padded.shape == (to_wh[1], to_wh[0], 3)
    assert padded.dtype == np.uint8
    np.testing.assert_array_equal(padded[: size_wh[1], : size_wh[0]], image)
    assert (padded[size_wh[1] :] == (104, 117, 123)).all()
    assert (padded[:, size_wh[0] :] == (104, 117, 123)).all()
    assert PAD_COLOR == (104, 117, 123)


@pytest.mark.parametrize(("scale", "offset"), [(1 / 255, -0.5), (1 / 256, -0.5), (1, 0)])
def test_normalise(scale, offset):
    """value * scale + offset, as (1, 3, H, W) float32, blue first."""
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    image[0, 0], image[0, 1] = 0, 255
    kept = image.copy()
    x = normalise(image, scale, offset)
    assert x.shape == (1, 3, 5, 7)
    assert x.dtype == np.float32
    for channel in range(3):
        np.testing.assert_allclose(x[0, channel], image[..., channel] * scale + offset, rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(image, kept)


def test_normalise_as_the_pose_networks_want_it():
    np.testing.assert_allclose(normalise(np.full((8, 8, 3), (0, 255, 51), np.uint8))[0, :, 3, 4], [-0.5, 0.5, -0.3], rtol=0, atol=1e-7)


def test_check_maps():
    """Numbers pass; NaN and infinity, anywhere in any of the maps, are refused."""
    maps = np.full((1, 38, 4, 5), 3e38, np.float32), np.zeros((1, 19, 4, 5), np.float32)
    check_maps(*maps)
    for value in (np.nan, np.inf, -np.inf):
        broken = maps[1].copy()
        broken[0, 7, 2, 3] = value
        for pair in ((maps[0], broken), (broken, maps[0])):
            assert_input_error(lambda pair=pair: check_maps(*pair), "NaN")


def crop_pixel_by_pixel(image, box):
    left, top, right, bottom = box
    result = np.zeros((bottom - top, right - left, 3), np.uint8)
    for y in range(top, bottom):
        for x in range(left, right):
            if 0 <= y < image.shape[0] and 0 <= x < image.shape[1]:
                result[y - top, x - left] = image[y, x]
    return result


@pytest.mark.parametrize(
    "box",
    [
        *((2, 3, 7, 6), (0, 0, 12, 9), (-4, 2, 5, 6), (3, -5, 8, 4), (8, 2, 20, 6), (3, 5, 8, 15), (-3, -4, 15, 14)),  # inside, all, over each border
        *((-9, -9, -2, -3), (12, 2, 15, 6), (2, 9, 6, 12), (-5, 3, 0, 6), (40, 50, 43, 52)),  # wholly outside, touching or far
        *((5, 5, 5, 8), (5, 5, 9, 5)),  # nothing
    ],
)
def test_crop(box):
    """What lies outside the picture is black."""
    image = np.random.default_rng(0).integers(1, 256, (9, 12, 3), dtype=np.uint8)
    kept = image.copy()
    result = crop(image, box)
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, crop_pixel_by_pixel(image, box))
    result[:] = 0
    np.testing.assert_array_equal(image, kept)  # a copy, not a window


def test_crop_of_a_box_that_is_inside_out():
    """Nothing, rather than an error."""
    assert crop(np.ones((9, 12, 3), np.uint8), (8, 7, 3, 2)).shape == (0, 0, 3)
