"""Find the peaks of heatmaps: enlarge, blur, take the local maxima, refine their place."""

from functools import lru_cache

import numpy as np

MAX_PEAKS = 128  # of one joint
CELLS_AT_ONCE = 24_000  # of several maps: enlarged, they fit into the cache
CUBIC_A = -0.75  # Keys' parameter as OpenCV has it
BLUR_TRUNCATE = 4  # the Gaussian ends at this many sigmas
# Rows of a product of matrices at once, in smooth. Products this small are quick, for the matrix is a narrow band, and OpenBLAS leaves them on
# one core: more threads of its own would go on waiting actively just when the network wants the cores.
BAND = 32
MIN_VALUE = 1e-3  # of a cell that a Gaussian is laid through
MAX_CURVATURE = -0.2  # of the logarithm per cell squared: a flatter map has no top worth looking for (the labels' Gaussian has -1.3)


# Heatmaps are searched at ENLARGE pixels per cell, after a blur of SIGMA cells. The original has 7 and 0.36; on coco/ val 4 and 0.6, with
# refine_peaks, gave human-pose-estimation-0001 AP 0.448, against 0.436 with 8 and 0.36 without, in a third of the time.
ENLARGE = 4
SIGMA = 0.6


def locate_peaks(heatmaps, threshold, find=None):
    """The peaks of a network's heatmaps (J, H, W) float32, without background: smoothed, found, refined.

    find: find_peaks (all peaks, the default) or find_maxima (one for each map).
    Returns peaks (P, 4) float32: joint, x, y, score; x, y in cells of the heatmaps, between them; ordered by joint.
    """
    parts = [np.empty((0, 4), np.float32)]
    at_once = max(1, CELLS_AT_ONCE // max(1, heatmaps[0].size))
    for joint in range(0, len(heatmaps), at_once):
        found = (find or find_peaks)(smooth(heatmaps[joint : joint + at_once], ENLARGE, SIGMA * ENLARGE), threshold)
        found[:, 0] += joint
        parts.append(found)
    peaks = _highest(np.concatenate(parts))
    peaks[:, 1:3] = (peaks[:, 1:3] + 0.5) / ENLARGE - 0.5
    return refine_peaks(peaks, heatmaps)


def _highest(peaks):
    """At most MAX_PEAKS of each joint, the highest ones, in their old order: maps that are nothing but noise must not cost gigabytes."""
    by_height = np.lexsort((-peaks[:, 3], peaks[:, 0]))
    joint = peaks[by_height, 0]
    rank = np.arange(len(peaks)) - np.searchsorted(joint, joint)
    return peaks[np.sort(by_height[rank < MAX_PEAKS])]


def smooth(heatmaps, enlarge=1, sigma=2.5):
    """Enlarge bicubically and blur in one step; both are separable and linear, so each is a matrix, and so is their product.

    heatmaps (..., H, W) float32. enlarge: integer factor, half-pixel centres: cell g comes to lie at enlarge (g + 0.5) - 0.5.
    sigma: of the Gaussian, in enlarged pixels; the border is mirrored. Returns (..., enlarge H, enlarge W) float32.
    Source of the bicubic kernel: Keys, "Cubic Convolution Interpolation for Digital Image Processing", 1981, eq. 4 with a = -0.75.
    """
    height, width = heatmaps.shape[-2:]
    wide = np.empty((*heatmaps.shape[:-1], width * enlarge), np.float32)
    for pixels, cells, weights in _smoothing_bands(width, enlarge, sigma):
        np.matmul(heatmaps[..., cells], weights.T, out=wide[..., pixels])
    large = np.empty((*heatmaps.shape[:-2], height * enlarge, width * enlarge), np.float32)
    for pixels, cells, weights in _smoothing_bands(height, enlarge, sigma):
        np.matmul(weights, wide[..., cells, :], out=large[..., pixels, :])
    return large


@lru_cache(maxsize=64)
def _smoothing_bands(size, enlarge, sigma) -> list:
    """The matrix (enlarge size, size) of bicubic enlargement, border pixels repeated, and then a Gaussian blur with mirrored border, as bands.

    Far from its diagonal it is 0, so each band of BAND rows is kept as (slice of pixels, slice of the cells they depend on, weights float32).
    """
    matrix = _blur(resampling_matrix(size, size * enlarge, enlarge, 0.5 / enlarge - 0.5), sigma).astype(np.float32)
    bands = []
    for begin in range(0, len(matrix), BAND):
        rows = matrix[begin : begin + BAND]
        used = np.flatnonzero(rows.any(0))
        cells = slice(used[0], used[-1] + 1)
        bands.append((slice(begin, begin + len(rows)), cells, np.ascontiguousarray(rows[:, cells])))
    return bands


def resampling_matrix(n_in, n_out, factor, offset):
    """(n_out, n_in) float64: bicubic interpolation of n_in samples at positions i / factor + offset, border samples repeated."""
    position = np.arange(n_out) / factor + offset
    first = np.floor(position).astype(int)
    matrix = np.zeros((n_out, n_in))
    for tap in range(-1, 3):
        distance = np.abs(position - (first + tap))
        np.add.at(matrix, (np.arange(n_out), np.clip(first + tap, 0, n_in - 1)), _cubic(distance))
    return matrix


def _cubic(d):
    a = CUBIC_A
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


def _blur(rows, sigma):
    """rows (size, n) float64, blurred along the first axis; the border is mirrored with the edge repeated (d c b a | a b c d | d c b a)."""
    if sigma == 0:
        return rows
    size, radius = len(rows), int(BLUR_TRUNCATE * sigma + 0.5)
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    source = np.arange(-radius, size + radius) % (2 * size)
    mirrored = rows[np.minimum(source, 2 * size - 1 - source)]
    return sum(weight * mirrored[k : k + size] for k, weight in enumerate(kernel / kernel.sum()))


def find_peaks(heatmaps, threshold):
    """The local maxima of smoothed heatmaps, at whole pixels.

    heatmaps (J, H, W) float32, one map per joint, without background. A peak is above the threshold and above its 4 neighbours
    (of equal neighbours the last one counts, so that a maximum between two pixels is found once; a level step on a slope counts too).
    Returns peaks (P, 4) float32: joint, x, y, score; x, y in pixels of heatmaps; ordered by joint, y, x.
    """
    _, height, width = heatmaps.shape
    keep = heatmaps > threshold  # everywhere at once above and below, where a comparison is cheap; left and right for the few that remain
    keep[:, 1:] &= heatmaps[:, 1:] >= heatmaps[:, :-1]
    keep[:, :-1] &= heatmaps[:, :-1] > heatmaps[:, 1:]
    place = np.flatnonzero(keep)
    joint, (y, x) = place // (height * width), np.divmod(place % (height * width), width)
    value = heatmaps[joint, y, x]
    left, right = heatmaps[joint, y, np.maximum(x - 1, 0)], heatmaps[joint, y, np.minimum(x + 1, width - 1)]
    top = ((value >= left) | (x == 0)) & ((value > right) | (x == width - 1))
    return np.stack([joint, x, y, value], axis=1)[top].astype(np.float32)


def find_maxima(heatmaps, threshold):
    """The highest pixel of each smoothed map. heatmaps (J, H, W) float32.

    Returns peaks (P, 4) float32 as find_peaks does, one for each map whose maximum is above the threshold.
    """
    joints, width = len(heatmaps), heatmaps.shape[2]
    flat = heatmaps.reshape(joints, -1)
    y, x = np.divmod(flat.argmax(1), width)
    value = flat.max(1)
    return np.stack([np.arange(joints), x, y, value], axis=1)[value > threshold].astype(np.float32)


def refine_peaks(peaks, heatmaps):
    """Move each peak to the top of a Gaussian through the three cells around it, along x and along y.

    A heatmap is a Gaussian around the joint (labels.make_heatmaps), so its logarithm is a parabola, and the parabola's top is exact, next to
    the border and outside the outermost cells' centres too. Source: Thomas, "Gaussian sub-pixel peak finding", as used in particle image
    velocimetry (Willert and Gharib, "Digital particle image velocimetry", 1991, section 3).
    peaks (P, 4): joint, x, y, score; heatmaps (J, H, W), not smoothed; x, y in cells of heatmaps. A peak that would leave the picture or move
    by a cell or more stays. Returns new peaks (P, 4).
    """
    _, height, width = heatmaps.shape
    joint = peaks[:, 0].astype(int)
    cell_x, cell_y = (np.clip(np.rint(peaks[:, 1 + axis]).astype(int), 0, size - 1) for axis, size in ((0, width), (1, height)))
    refined = peaks.copy()
    if width >= 3:
        middle = np.clip(cell_x, 1, width - 2)
        values = [heatmaps[joint, cell_y, middle + step] for step in (-1, 0, 1)]
        refined[:, 1] = _gaussian_top(peaks[:, 1], middle, *values, width)
    if height >= 3:
        middle = np.clip(cell_y, 1, height - 2)
        values = [heatmaps[joint, middle + step, cell_x] for step in (-1, 0, 1)]
        refined[:, 2] = _gaussian_top(peaks[:, 2], middle, *values, height)
    return refined


def _gaussian_top(position, middle, before, value, after, size):
    """position (P,), moved to the top of the Gaussian through the values at middle - 1, middle, middle + 1 where that is sound."""
    usable = np.minimum(np.minimum(before, value), after) > MIN_VALUE
    before, value, after = (np.log(np.where(usable, v, 1)) for v in (before, value, after))
    curvature = before - 2 * value + after
    usable &= curvature < MAX_CURVATURE
    top = middle + 0.5 * (before - after) / np.where(usable, curvature, 1)
    top = np.clip(top, -0.5, size - 0.5)
    return np.where(usable & (np.abs(top - position) < 1), top, position)
