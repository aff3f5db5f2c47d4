"""keypoints/peaks.py against OpenCV and SciPy, plain Python loops, and Gaussians whose top is known."""

import cv2
import numpy as np
import pytest
import scipy.ndimage

from keypoints.peaks import MAX_PEAKS, find_maxima, find_peaks, locate_peaks, refine_peaks, resampling_matrix, smooth

SIGMA = 7 / 8  # of the labels' Gaussian, cells


def smooth_by_steps(heatmap, enlarge, sigma):
    """(H, W) -> (enlarge H, enlarge W): OpenCV's enlargement, then SciPy's blur."""
    height, width = heatmap.shape
    large = cv2.resize(heatmap, (width * enlarge, height * enlarge), interpolation=cv2.INTER_CUBIC)
    return scipy.ndimage.gaussian_filter(large.astype(np.float64), sigma, mode="reflect", truncate=4) if sigma else large


@pytest.mark.parametrize("sigma", [0, 0.4, 2.4, 2.5])
@pytest.mark.parametrize("enlarge", [1, 2, 4, 7, 8])
@pytest.mark.parametrize("size", [(46, 46), (13, 21), (2, 3), (1, 5), (6, 1), (1, 1)])
def test_smooth(size, enlarge, sigma):
    """One product of matrices does what resizing and then blurring do; sigma 0 is the plain enlargement."""
    heatmaps = np.random.default_rng(sum(size)).random((3, *size), dtype=np.float32)
    result = smooth(heatmaps, enlarge, sigma)
    assert result.shape == (3, size[0] * enlarge, size[1] * enlarge)
    assert result.dtype == np.float32
    for heatmap, smoothed in zip(heatmaps, result, strict=True):
        np.testing.assert_allclose(smoothed, smooth_by_steps(heatmap, enlarge, sigma), rtol=0, atol=1e-4)


def test_smooth_takes_any_leading_axes_and_leaves_its_argument():
    heatmaps = np.random.default_rng(0).random((2, 3, 5, 7), dtype=np.float32)
    before = heatmaps.copy()
    result = smooth(heatmaps, 4, 2.4)
    for index in np.ndindex(2, 3):
        np.testing.assert_allclose(result[index], smooth(heatmaps[index], 4, 2.4), rtol=0, atol=1e-6)
    np.testing.assert_array_equal(heatmaps, before)


@pytest.mark.parametrize(("n_in", "n_out", "factor", "offset"), [(9, 36, 4, -0.375), (9, 7, 0.75, 0.1), (1, 8, 8, -0.4375), (5, 11, 2.2, 0.0)])
def test_resampling_matrix_rows_sum_to_one(n_in, n_out, factor, offset):
    matrix = resampling_matrix(n_in, n_out, factor, offset)
    assert matrix.shape == (n_out, n_in)
    np.testing.assert_allclose(matrix.sum(1), 1, rtol=0, atol=1e-12)


def test_resampling_matrix_is_the_identity_at_factor_one():
    np.testing.assert_allclose(resampling_matrix(6, 6, 1, 0), np.eye(6), rtol=0, atol=1e-12)


@pytest.mark.parametrize("offset", [5.0, 5.5])
def test_resampling_matrix_reproduces_linear_ramps(offset):
    """Inside, at the samples and halfway between them (between those, a = -0.75 bends a ramp a little, as OpenCV does)."""
    ramp = 3.0 * np.arange(40) - 7
    np.testing.assert_allclose(resampling_matrix(40, 30, 1, offset) @ ramp, 3 * (np.arange(30) + offset) - 7, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("n_in", "n_out"), [(10, 25), (24, 20), (7, 56)])
def test_resampling_matrix_is_opencvs_bicubic(n_in, n_out):
    """Any factor, not only whole ones: with the offset of half-pixel centres it resizes as cv2.resize does, borders included."""
    samples = np.random.default_rng(n_in).random((1, n_in), dtype=np.float32)
    ratio = n_in / n_out
    result = resampling_matrix(n_in, n_out, 1 / ratio, 0.5 * ratio - 0.5) @ samples[0]
    np.testing.assert_allclose(result, cv2.resize(samples, (n_out, 1), interpolation=cv2.INTER_CUBIC)[0], rtol=0, atol=1e-5)


def find_one_by_one(heatmaps, threshold):
    """find_peaks as its docstring says it, pixel by pixel."""
    peaks = []
    n_joints, height, width = heatmaps.shape
    for joint in range(n_joints):
        for y in range(height):
            for x in range(width):
                value = heatmaps[joint, y, x]
                is_peak = value > threshold
                if y > 0:
                    is_peak &= value >= heatmaps[joint, y - 1, x]
                if x > 0:
                    is_peak &= value >= heatmaps[joint, y, x - 1]
                if y < height - 1:
                    is_peak &= value > heatmaps[joint, y + 1, x]
                if x < width - 1:
                    is_peak &= value > heatmaps[joint, y, x + 1]
                if is_peak:
                    peaks.append((joint, x, y, value))
    return np.array(peaks, np.float32).reshape(-1, 4)


@pytest.mark.parametrize("levels", [None, 2, 4, 10])
@pytest.mark.parametrize("size", [(15, 20), (9, 1), (1, 9), (2, 2), (1, 1)])
def test_find_peaks_as_a_loop_does(size, levels):
    """On noise, and on noise of few levels, where neighbours are often equal. The loop's order, joint, y, x, is kept too."""
    for seed in range(5):
        heatmaps = np.random.default_rng(seed).random((4, *size), dtype=np.float32)
        if levels:
            heatmaps = np.floor(heatmaps * levels) / np.float32(levels)
        result = find_peaks(heatmaps, 0.3)
        assert result.dtype == np.float32
        np.testing.assert_array_equal(result, find_one_by_one(heatmaps, 0.3))


@pytest.mark.parametrize("equal", [((4, 3), (4, 4)), ((3, 6), (4, 6)), ((4, 3), (4, 4), (4, 5)), ((4, 4), (4, 5), (5, 4), (5, 5))])
def test_find_peaks_finds_a_maximum_between_pixels_once(equal):
    """Two, three or four equal pixels side by side are one peak, at the last of them."""
    heatmaps = np.zeros((1, 9, 9), np.float32)
    for y, x in equal:
        heatmaps[0, y, x] = 0.5
    last_y, last_x = equal[-1]
    np.testing.assert_array_equal(find_peaks(heatmaps, 0.1), [[0, last_x, last_y, 0.5]])


def test_find_peaks_finds_each_corner_and_border():
    places = [(0, 0), (0, 5), (0, 9), (3, 0), (3, 9), (6, 0), (6, 5), (6, 9)]
    heatmaps = np.zeros((2, 7, 10), np.float32)
    for y, x in places:
        heatmaps[1, y, x] = 1
    np.testing.assert_array_equal(find_peaks(heatmaps, 0.5), [(1, x, y, 1) for y, x in places])


def test_find_peaks_wants_more_than_the_threshold():
    heatmaps = np.zeros((3, 5, 5), np.float32)
    heatmaps[:, 2, 2] = 0.25, np.nextafter(np.float32(0.25), np.float32(1)), 0.2
    assert find_peaks(heatmaps, 0.25)[:, 0].tolist() == [1]


@pytest.mark.parametrize("shape", [(18, 46, 46), (18, 1, 1), (0, 5, 5)])
def test_find_peaks_in_empty_maps(shape):
    for value in (0, -1):
        assert find_peaks(np.full(shape, value, np.float32), 0.05).shape == (0, 4)


@pytest.mark.parametrize("levels", [None, 4])
def test_find_maxima(levels):
    """The highest pixel of each map, the first of equal ones; maps not above the threshold have none."""
    heatmaps = np.random.default_rng(3).random((40, 6, 9), dtype=np.float32)
    if levels:
        heatmaps = np.floor(heatmaps * levels) / np.float32(levels)
    heatmaps[::3] *= 0.4
    expected = []
    for joint, heatmap in enumerate(heatmaps):
        value, y, x = max((value, -y, -x) for (y, x), value in np.ndenumerate(heatmap))
        if value > 0.5:
            expected.append((joint, -x, -y, value))
    assert 0 < len(expected) < 40
    result = find_maxima(heatmaps, 0.5)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, np.array(expected, np.float32))
    assert find_maxima(heatmaps, heatmaps.max()).shape == (0, 4)


def test_locate_peaks_one_per_map():
    """With find_maxima: the higher of two, refined."""
    two = gaussians(np.array([[5.3, 4.2], [14.6, 9.1]]), (20, 15)) * np.float32([0.5, 0.9])[:, None, None]
    heatmaps = np.stack([two.max(0), two[0], 0 * two[0]])
    peaks = locate_peaks(heatmaps, 0.1, find_maxima)
    assert peaks[:, 0].tolist() == [0, 1]
    np.testing.assert_allclose(peaks[:, 1:3], [[14.6, 9.1], [5.3, 4.2]], rtol=0, atol=1e-3)


def test_locate_peaks_keeps_the_highest_of_too_many():
    """A map of noise has more peaks than any crowd; a joint whose map is clean loses none, and the order stays."""
    heatmaps = np.random.default_rng(4).random((3, 60, 80), dtype=np.float32)
    heatmaps[1] = gaussians(np.array([[30.2, 20.7]]), (80, 60))[0]
    everything = find_peaks(smooth(heatmaps, 4, 2.4), 0.05)
    peaks = locate_peaks(heatmaps, 0.05)
    assert MAX_PEAKS >= 100
    for joint in (0, 2):
        every, kept = everything[everything[:, 0] == joint], peaks[peaks[:, 0] == joint]
        assert len(every) > len(kept) == MAX_PEAKS
        highest = np.sort(every[:, 3])[-MAX_PEAKS:]
        np.testing.assert_array_equal(kept[:, 3], every[every[:, 3] >= highest[0], 3])
    assert (peaks[:, 0] == 1).sum() == 1
    assert (np.diff(peaks[:, 0]) >= 0).all()


def gaussians(tops, size_wh, sigma=SIGMA):
    """(P, H, W) float32: one map per top (x, y), in cells."""
    columns = np.exp(-((np.arange(size_wh[0]) - tops[:, :1]) ** 2) / (2 * sigma**2))
    rows = np.exp(-((np.arange(size_wh[1]) - tops[:, 1:]) ** 2) / (2 * sigma**2))
    return (rows[:, :, None] * columns[:, None]).astype(np.float32)


@pytest.mark.parametrize("size_wh", [(20, 15), (3, 3), (4, 30)])
def test_refine_peaks_is_exact_for_gaussians(size_wh):
    """Anywhere in the picture, which reaches half a cell beyond the outermost centres."""
    rng = np.random.default_rng(0)
    last = np.array(size_wh) - 1
    tops = rng.uniform(-0.5, last + 0.5, (300, 2))
    corners = [(x, y) for x in (-0.5, -0.25, 0, last[0], last[0] + 0.5) for y in (-0.5, 0, last[1] + 0.25, last[1] + 0.5)]
    tops = np.concatenate([tops, corners])
    coarse = np.clip(tops + rng.uniform(-0.45, 0.45, tops.shape), -0.5, last + 0.5)
    peaks = np.column_stack([np.arange(len(tops)), coarse, np.full(len(tops), 0.7)]).astype(np.float32)
    refined = refine_peaks(peaks, gaussians(tops, size_wh))
    np.testing.assert_allclose(refined[:, 1:3], tops, rtol=0, atol=1e-3)
    np.testing.assert_array_equal(refined[:, [0, 3]], peaks[:, [0, 3]])


def test_locate_peaks_is_exact_for_gaussians():
    """From maps alone: one peak per map, at the Gaussian's top."""
    tops = np.random.default_rng(1).uniform(-0.5, [19.5, 14.5], (100, 2))
    peaks = locate_peaks(gaussians(tops, (20, 15)), 0.05)
    assert peaks[:, 0].tolist() == list(range(100))
    np.testing.assert_allclose(peaks[:, 1:3], tops, rtol=0, atol=1e-3)


@pytest.mark.parametrize("value", [0.0, 0.5, -0.5])
def test_refine_peaks_leaves_flat_places(value):
    """No top in a constant map, in one that is zero, and in one that is negative."""
    peaks = np.array([[0, 3.2, 4.1, 0.5], [0, 0, 0, 0.4], [1, 8, 6.3, 0.3]], np.float32)
    np.testing.assert_array_equal(refine_peaks(peaks, np.full((2, 7, 9), value, np.float32)), peaks)


def test_refine_peaks_leaves_valleys_and_far_tops():
    """The parabola's bottom is no top; nor does a peak follow a slope to a top a cell or more away."""
    x = np.arange(9)
    valley = np.tile(np.exp(((x - 4) / 2) ** 2).astype(np.float32), (9, 1))
    slope = gaussians(np.array([[6.5, 4.0]]), (9, 9))[0]
    heatmaps = np.stack([valley, slope])
    peaks = np.array([[0, 4, 4, 1], [1, 4, 4, 1]], np.float32)
    np.testing.assert_array_equal(refine_peaks(peaks, heatmaps), peaks)


def test_refine_peaks_on_noise_stays_near_and_inside():
    """Whatever the maps hold, a peak moves by less than a cell, stays in the picture, and is a number."""
    rng = np.random.default_rng(2)
    for height, width in ((6, 8), (3, 3), (2, 2), (1, 1), (1, 5), (5, 2)):
        heatmaps = rng.normal(0.1, 0.3, (50, height, width)).astype(np.float32)
        low, high = -0.375, np.array([width, height]) - 0.625
        peaks = np.column_stack([np.arange(50), rng.uniform(low, high, (50, 2)), rng.random(50)]).astype(np.float32)
        refined = refine_peaks(peaks, heatmaps)
        assert (np.abs(refined[:, 1:3] - peaks[:, 1:3]) < 1).all()
        assert (refined[:, 1:3] >= -0.5).all()
        assert (refined[:, 1:3] <= np.array([width, height]) - 0.5).all()
        for axis, size in ((1, width), (2, height)):
            if size < 3:
                np.testing.assert_array_equal(refined[:, axis], peaks[:, axis])


def test_refine_peaks_clips_to_the_picture():
    """A Gaussian whose top lies outside the picture is placed on the picture's edge."""
    tops = np.array([[-0.7, 3.0], [8.9, 3.0], [4.0, -0.9], [4.0, 6.8]])
    peaks = np.column_stack([np.arange(4), np.clip(tops, 0, [8, 6]), np.ones(4)]).astype(np.float32)
    refined = refine_peaks(peaks, gaussians(tops, (9, 7)))
    np.testing.assert_allclose(refined[:, 1:3], [[-0.5, 3], [8.5, 3], [4, -0.5], [4, 6.5]], rtol=0, atol=1e-3)


def test_refine_peaks_does_not_change_its_arguments():
    heatmaps = gaussians(np.array([[3.3, 2.8], [5.1, 1.4]]), (9, 7))
    peaks = np.array([[0, 3, 3, 1], [1, 5, 1, 1]], np.float32)
    kept = peaks.copy(), heatmaps.copy()
    assert not np.array_equal(refine_peaks(peaks, heatmaps), peaks)
    np.testing.assert_array_equal(peaks, kept[0])
    np.testing.assert_array_equal(heatmaps, kept[1])
    assert refine_peaks(peaks[:0], heatmaps).shape == (0, 4)
