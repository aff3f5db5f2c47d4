"""keypoints/labels.py: the original's labels, and what the equations say of single cells."""

import numpy as np
import pytest
from conftest import golden
from people import person

from entity import LIMBS, N_LIMBS, Joint
from keypoints.labels import HEATMAP_SIGMA, PAF_WIDTH, cell_centers, make_heatmaps, make_pafs

GOLDEN = ("labels_000000040083.npz", "labels_000000196141.npz")
PIXELS = np.arange(64.0)


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_labels(name):
    """Every eighth pixel of the original's labels, which lie on 368 x 368 pixels."""
    arrays = golden(name)
    pixels = np.arange(0, 368, 8)
    for make, key in ((make_heatmaps, "heatmaps_368_every8"), (make_pafs, "pafs_368_every8")):
        labels = make(arrays["poses_368"], pixels, pixels)
        assert labels.dtype == np.float32
        np.testing.assert_allclose(labels, arrays[key], rtol=0, atol=1e-5)


def test_cell_centers():
    """Half-pixel geometry: cell g of 8 x 8 pixels stands at 8 g + 3.5."""
    np.testing.assert_array_equal(cell_centers(32), [3.5, 11.5, 19.5, 27.5])
    np.testing.assert_array_equal(cell_centers(8), [3.5])
    np.testing.assert_array_equal(cell_centers(12, stride=4), [1.5, 5.5, 9.5])
    np.testing.assert_array_equal(cell_centers(3, stride=1), [0, 1, 2])
    assert cell_centers(4).shape == (0,)


def one_joint(joint, *places):
    """(n, 18, 3): people who have this joint only."""
    poses = np.zeros((len(places), 18, 3))
    poses[:, joint] = [(*place, 2) for place in places]
    return poses


@pytest.mark.parametrize("joint", Joint)
def test_heatmap_of_a_joint_on_a_cell(joint):
    """1 at the joint, exp(-d^2 / (2 sigma^2)) around it, nothing in the other maps, the rest in the background."""
    xs, ys = cell_centers(160), cell_centers(120)
    heatmaps = make_heatmaps(one_joint(joint, (59.5, 43.5)), xs, ys)
    assert heatmaps.shape == (19, 15, 20)
    assert heatmaps[joint].max() == heatmaps[joint, 5, 7] == 1
    expected = np.exp(-((xs - 59.5) ** 2 + (ys[:, None] - 43.5) ** 2) / (2 * HEATMAP_SIGMA**2))
    np.testing.assert_allclose(heatmaps[joint], expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(heatmaps[-1], 1 - expected, rtol=0, atol=1e-6)
    assert not np.delete(heatmaps, [joint, 18], axis=0).any()


def test_heatmaps_take_the_maximum_over_people():
    """Not the sum: two near joints keep the height 1 (eq. 7)."""
    near, far = one_joint(Joint.Nose, (20, 30)), one_joint(Joint.Nose, (28, 30))
    both = make_heatmaps(np.concatenate([near, far]), PIXELS, PIXELS)
    np.testing.assert_array_equal(both[0], np.maximum(make_heatmaps(near, PIXELS, PIXELS)[0], make_heatmaps(far, PIXELS, PIXELS)[0]))
    assert both.max() == 1


def test_background_is_what_no_joint_takes():
    """1 - the maximum over joints, of whoever."""
    poses = np.stack([person(40, 12, 8), person(20, 8, 7)])
    heatmaps = make_heatmaps(poses, PIXELS, PIXELS)
    np.testing.assert_array_equal(heatmaps[-1], 1 - heatmaps[:-1].max(0))
    assert heatmaps[-1].min() < 0.1
    assert heatmaps[-1].max() > 0.9


def test_nobody():
    """Zeros, and 1 in the background; a person without joints is nobody."""
    for poses in (np.zeros((0, 18, 3)), np.zeros((2, 18, 3))):
        heatmaps, pafs = make_heatmaps(poses, PIXELS[:5], PIXELS[:4]), make_pafs(poses, PIXELS[:5], PIXELS[:4])
        assert (heatmaps.shape, pafs.shape) == ((19, 4, 5), (38, 4, 5))
        assert not heatmaps[:-1].any()
        assert (heatmaps[-1] == 1).all()
        assert not pafs.any()


@pytest.mark.parametrize("joint", Joint)
def test_invisible_joints_are_absent(joint):
    """v = 0, wherever its x and y are; its limbs go too. v = 1 and v = 2 are the same."""
    whole = person(30, 8, 8)[None]
    hidden = whole.copy()
    hidden[0, joint, 2] = 0
    heatmaps, pafs = make_heatmaps(hidden, PIXELS, PIXELS), make_pafs(hidden, PIXELS, PIXELS).reshape(N_LIMBS, 2, 64, 64)
    assert not heatmaps[joint].any()
    whole[..., 2] = 1
    whole_heatmaps, whole_pafs = make_heatmaps(whole, PIXELS, PIXELS), make_pafs(whole, PIXELS, PIXELS).reshape(N_LIMBS, 2, 64, 64)
    others = [other for other in Joint if other != joint]
    np.testing.assert_array_equal(heatmaps[others], whole_heatmaps[others])
    for limb, ends in enumerate(LIMBS):
        assert whole_pafs[limb].any()
        np.testing.assert_array_equal(pafs[limb], 0 if joint in ends else whole_pafs[limb])


def limb_of(limb, start, end):
    """(1, 18, 3): a person who is one limb."""
    pose = np.zeros((1, 18, 3))
    pose[0, LIMBS[limb][0]] = (*start, 2)
    pose[0, LIMBS[limb][1]] = (*end, 2)
    return pose


@pytest.mark.parametrize("limb", range(N_LIMBS))
def test_paf_of_a_limb(limb):
    """The unit vector from its first joint to its second, inside a rectangle as long as the limb and PAF_WIDTH wide to either side (eq. 8)."""
    start, end = np.array((20.0, 40.0)), np.array((44.0, 22.0))  # 24, -18: length 30
    pafs = make_pafs(limb_of(limb, start, end), PIXELS, PIXELS).reshape(N_LIMBS, 2, 64, 64)
    assert not np.delete(pafs, limb, axis=0).any()
    for y in range(64):
        for x in range(64):
            along = ((x - start[0]) * 24 - (y - start[1]) * 18) / 30
            across = (-(x - start[0]) * 18 - (y - start[1]) * 24) / 30
            if 1e-6 < along < 30 - 1e-6 and abs(across) < PAF_WIDTH - 1e-6:
                np.testing.assert_allclose(pafs[limb, :, y, x], [0.8, -0.6], rtol=0, atol=1e-6)
            elif along < -1e-6 or along > 30 + 1e-6 or abs(across) > PAF_WIDTH + 1e-6:
                assert not pafs[limb, :, y, x].any()


def test_paf_includes_its_border():
    """Pixels at the ends and PAF_WIDTH beside the limb belong to it."""
    pafs = make_pafs(limb_of(0, (20, 30), (40, 30)), PIXELS, PIXELS)
    rows, columns = np.nonzero(pafs[0])
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == (20, 40, 30 - PAF_WIDTH, 30 + PAF_WIDTH)
    assert len(rows) == 21 * 17


def test_pafs_have_length_one_where_one_limb_is():
    poses = np.stack([person(25, 8, 6, 0.3), person(35, 10, 6, -0.2)])
    pafs = make_pafs(poses, PIXELS, PIXELS).reshape(N_LIMBS, 2, 64, 64)
    alone = [make_pafs(pose[None], PIXELS, PIXELS).reshape(N_LIMBS, 2, 64, 64) for pose in poses]
    covered = sum(field.any(1).astype(int) for field in alone)  # (19, 64, 64)
    assert {0, 1, 2} == set(np.unique(covered))
    lengths = np.hypot(pafs[:, 0], pafs[:, 1])
    np.testing.assert_allclose(lengths[covered == 1], 1, rtol=0, atol=1e-6)
    assert not lengths[covered == 0].any()
    np.testing.assert_allclose(pafs, sum(alone) / np.maximum(covered, 1)[:, None], rtol=0, atol=1e-6)


def test_overlapping_pafs_are_averaged():
    """Two crossing limbs, three people in one place: the mean of the vectors (eq. 9), not their sum."""
    across, down = limb_of(3, (10, 30), (50, 30)), limb_of(3, (30, 10), (30, 50))
    pafs = make_pafs(np.concatenate([across, down]), PIXELS, PIXELS)
    np.testing.assert_array_equal(pafs[6:8, 30, 30], [0.5, 0.5])
    np.testing.assert_array_equal(pafs[6:8, 30, 12], [1, 0])
    pafs = make_pafs(np.concatenate([across, across, down]), PIXELS, PIXELS)
    np.testing.assert_allclose(pafs[6:8, 30, 30], [2 / 3, 1 / 3], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(pafs[6:8, 30, 12], [1, 0])


def test_opposite_limbs_cancel():
    """Their mean is zero, and counts both."""
    there, back = limb_of(3, (10, 30), (50, 30)), limb_of(3, (50, 30), (10, 30))
    assert not make_pafs(np.concatenate([there, back]), PIXELS, PIXELS).any()
    three = make_pafs(np.concatenate([there, back, there]), PIXELS, PIXELS)
    np.testing.assert_allclose(three[6:8, 30, 30], [1 / 3, 0], rtol=0, atol=1e-6)


def test_a_limb_without_length_has_no_paf():
    """Both joints in one place: no direction, no warning."""
    assert not make_pafs(limb_of(3, (30, 30), (30, 30)), PIXELS, PIXELS).any()


def test_labels_do_not_change_their_arguments():
    poses, xs = person(30, 8, 8)[None], PIXELS.copy()
    kept = poses.copy()
    make_heatmaps(poses, xs, xs)
    make_pafs(poses, xs, xs)
    np.testing.assert_array_equal(poses, kept)
    np.testing.assert_array_equal(xs, PIXELS)


def test_labels_shift_with_the_poses():
    """A picture that moves by whole cells moves the maps by as many."""
    pose = person(200, 80, 20)[None]
    moved = pose + (24, 16, 0)
    xs, ys = cell_centers(400), cell_centers(320)
    for make in (make_heatmaps, make_pafs):
        np.testing.assert_allclose(make(moved, xs, ys)[:, 2:, 3:], make(pose, xs, ys)[:, :-2, :-3], rtol=0, atol=1e-6)


@pytest.mark.parametrize("seed", range(8))
def test_pafs_are_what_the_equations_say_of_every_cell(seed):
    """Cell by cell, for people inside, across the border and outside of it; cells and pixels alike."""
    rng = np.random.default_rng(seed)
    poses = np.stack([person(*rng.uniform(-60, 160, 2), rng.uniform(4, 40), rng.normal(), 0.3, rng) for _ in range(4)])
    poses[rng.random((4, 18)) < 0.2] = 0
    xs, ys = (cell_centers(120), cell_centers(88)) if seed % 2 else (np.arange(40), np.arange(33))
    expected = np.zeros((N_LIMBS, 2, len(ys), len(xs)))
    for limb, (a, b) in enumerate(LIMBS):
        for row, column in np.ndindex(len(ys), len(xs)):
            vectors = [unit for pose in poses if (unit := unit_vector_at(pose[a], pose[b], (xs[column], ys[row]))) is not None]
            expected[limb, :, row, column] = np.mean(vectors, axis=0) if vectors else 0
    np.testing.assert_allclose(make_pafs(poses, xs, ys).reshape(expected.shape), expected, rtol=0, atol=1e-6)
    assert np.abs(expected).sum() > 5


def unit_vector_at(start, end, point):
    """The limb's direction where the point lies in its rectangle (eq. 8, 9), else None."""
    if not (start[2] > 0 and end[2] > 0):
        return None
    vector = end[:2] - start[:2]
    length = np.sqrt((vector**2).sum())
    offset = np.asarray(point) - start[:2]
    along, across = offset @ vector / length, offset @ (vector[::-1] * (-1, 1)) / length
    return vector / length if 0 <= along <= length and abs(across) <= PAF_WIDTH else None
