"""keypoints/candidates.py: pairs and reading against plain Python and SciPy; leaving out changes no answer."""

from itertools import product

import numpy as np
import pytest
import scipy.ndimage
from conftest import golden, needs_shared
from people import person, visible

from entity import LIMBS, N_JOINTS, N_LIMBS, Decoding
from keypoints import candidates
from keypoints.candidates import all_pairs, find_candidates, leave_hopeless_out
from keypoints.labels import cell_centers, make_heatmaps, make_pafs
from keypoints.peaks import locate_peaks


def random_peaks(rng, n, size_wh):
    """peaks (n, 4) of random joints, ordered by joint, some of them just outside the outermost cells' centres."""
    joints = np.sort(rng.integers(0, N_JOINTS, n))
    return np.column_stack([joints, rng.uniform(-0.5, np.array(size_wh) - 0.5, (n, 2)), rng.random(n)]).astype(np.float32)


@pytest.mark.parametrize("n", [0, 1, 2, 40])
def test_all_pairs(n):
    peaks = random_peaks(np.random.default_rng(n), n, (20, 20))
    joints = peaks[:, 0].tolist()
    expected = [(limb, i, j) for limb, (a, b) in enumerate(LIMBS) for i, j in product(range(n), repeat=2) if joints[i] == a and joints[j] == b]
    assert list(zip(*(column.tolist() for column in all_pairs(peaks)), strict=True)) == expected


@pytest.mark.parametrize("size", [(7, 9), (1, 9), (7, 1), (1, 1), (2, 2)])
def test_read_bilinear(size):
    """As SciPy interpolates, and as it repeats the border outside."""
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(3, 2, *size)).astype(np.float32)
    points = rng.uniform(-2, [size[1] + 1, size[0] + 1], (4, 5, 6, 2))
    points[0, 0] = np.rint(points[0, 0])
    points[0, 1] = [size[1] - 1, size[0] - 1]
    layers = rng.integers(0, 3, (4, 5, 1))
    result = candidates._read_bilinear(maps, layers, tuple(np.moveaxis(points, -1, 0)))
    for layer, channel in product(range(3), range(2)):
        expected = scipy.ndimage.map_coordinates(maps[layer, channel].astype(np.float64), [points[..., 1], points[..., 0]], order=1, mode="nearest")
        there = (layers == layer)[..., 0]
        np.testing.assert_allclose(result[channel][there], expected[there], rtol=0, atol=1e-6)


@pytest.mark.parametrize("size", [(7, 9), (1, 9), (1, 1)])
def test_read_nearest(size):
    """The value of the pixel that a point lies in; points outside read the border."""
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(3, 2, *size)).astype(np.float32)
    points, layers = rng.uniform(-2, [size[1] + 1, size[0] + 1], (30, 2)), rng.integers(0, 3, 30)
    for point, layer, values in zip(points, layers, candidates._read_nearest(maps, layers, tuple(np.moveaxis(points, -1, 0))).T, strict=True):
        x, y = min(max(round(point[0]), 0), size[1] - 1), min(max(round(point[1]), 0), size[0] - 1)
        np.testing.assert_array_equal(values, maps[layer, :, y, x])


# What is left out

SIZE_WH = (26, 20)  # cells


def fields_of(kind, rng):
    """pafs (38, H, W) float32: noise in every cell, here and there, in blobs, weak everywhere, exactly at the threshold, or nothing."""
    noise = rng.normal(size=(2 * N_LIMBS, *SIZE_WH[::-1])).astype(np.float32)
    if kind == "sparse":
        return noise * (rng.random(noise.shape[1:]) < 0.4)
    if kind == "blobs":
        return scipy.ndimage.gaussian_filter(noise, (0, 3, 3)) * 4
    if kind == "level":
        return np.sign(noise) * np.float32(0.05)
    return noise * {"dense": 1, "weak": 0.04, "nothing": 0}[kind]


def everything(pairs, *_):
    return pairs


@pytest.mark.parametrize("nearest", [False, True])
@pytest.mark.parametrize("kind", ["dense", "sparse", "blobs", "weak", "level", "nothing"])
@pytest.mark.parametrize(
    "decoding",
    [
        Decoding(),
        Decoding(n_integ_points=4, n_integ_points_thresh=1, inner_product_thresh=0.0),
        Decoding(n_integ_points_thresh=3, inner_product_thresh=-1),
        Decoding(n_integ_points_thresh=-1, limb_length_ratio=0.2),
        Decoding(n_integ_points=7, n_integ_points_thresh=6, inner_product_thresh=0.3),
        Decoding(n_integ_points_thresh=10),
    ],
)
def test_leaving_out_changes_nothing(decoding, kind, nearest):
    """Random fields and peaks: the same candidates, with the same scores, as when the PAFs are read for every pair."""
    for seed in range(3):
        rng = np.random.default_rng(seed)
        pafs, peaks = fields_of(kind, rng), random_peaks(rng, 200, SIZE_WH)
        assert find_candidates(pafs, peaks, decoding, nearest) == find_candidates(pafs, peaks, decoding, nearest, everything)


def left(pafs, peaks):
    """The share of the pairs that are not left out."""
    pairs = all_pairs(peaks)
    t = (np.arange(10) + 0.5) / 10
    return len(leave_hopeless_out(pairs, pafs, peaks, t, Decoding())[0]) / len(pairs[0])


def test_leaving_out_in_a_crowd():
    """100 people: their candidates are those of all pairs, and most pairs are left out."""
    rng = np.random.default_rng(0)
    places = [(x, y) for x in np.linspace(30, 1170, 20) for y in (40, 180, 320, 460, 600)]
    poses = visible(np.array([person(x, y, rng.uniform(12, 16), rng.normal(0, 0.1), 0.1, rng) for x, y in places]), (1200, 720))
    xs, ys = cell_centers(1200), cell_centers(720)
    pafs, peaks = make_pafs(poses, xs, ys), locate_peaks(make_heatmaps(poses, xs, ys)[:N_JOINTS], 0.05)
    found = find_candidates(pafs, peaks, Decoding())
    assert found == find_candidates(pafs, peaks, Decoding(), select=everything)
    assert sum(map(len, found)) > 1500
    assert left(pafs, peaks) < 0.05


@needs_shared
@pytest.mark.parametrize("name", ["decode_000000040083.npz", "decode_000000197388.npz"])
@pytest.mark.parametrize("threshold", [0.05, 0.005])
def test_leaving_out_in_a_networks_maps(name, threshold):
    arrays = golden(name)
    peaks = locate_peaks(arrays["heatmaps"][:N_JOINTS], threshold)
    found = find_candidates(arrays["pafs"], peaks, Decoding())
    assert found == find_candidates(arrays["pafs"], peaks, Decoding(), select=everything)
    assert any(found)


def test_candidates_do_not_depend_on_how_many_are_judged_at_once(monkeypatch):
    rng = np.random.default_rng(0)
    pafs, peaks = fields_of("blobs", rng), random_peaks(rng, 200, SIZE_WH)
    expected = find_candidates(pafs, peaks, Decoding())
    assert sum(map(len, expected)) > 5
    monkeypatch.setattr(candidates, "AT_ONCE", 7)
    assert find_candidates(pafs, peaks, Decoding()) == expected
