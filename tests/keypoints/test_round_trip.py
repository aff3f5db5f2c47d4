"""Poses -> labels -> decode -> the same poses: labels.py is the inverse of peaks.py and paf.py."""

import numpy as np
import pytest
import scipy.ndimage
from people import FROM_SHOULDERS_UP, person, round_trip, visible

from entity import EAR_LIMBS, LIMBS, Joint
from keypoints.labels import cell_centers, make_pafs

SEEDS = range(6)
TOLERANCE = 0.5  # pixels


def connected(poses):
    """The people that limbs hold together: what can be found of poses (n, 18, 3). Returns (m, 18, 3) with v = 2 or rows of zeros.

    A limb is there when both its joints are. Ear limbs start nobody: one counts if a limb before it has reached its shoulder. A joint that no
    limb reaches is lost, a pose whose limbs do not hang together is several people, and fewer than three joints are nobody.
    """
    people = []
    for pose in poses:
        groups = {joint: {joint} for joint in Joint if pose[joint, 2] > 0}
        for limb, (a, b) in enumerate(LIMBS):
            if a in groups and b in groups and (limb not in EAR_LIMBS or len(groups[a]) > 1):
                joined = groups[a] | groups[b]
                groups.update((joint, joined) for joint in joined)
        for joints in {frozenset(group) for group in groups.values() if len(group) >= 3}:
            people.append(np.zeros((18, 3)))
            people[-1][sorted(joints)] = pose[sorted(joints)] * (1, 1, 0) + (0, 0, 2)
    return np.reshape(people, (-1, 18, 3))


def along(pafs, limb, start, end):
    """Mean of the PAF from start to end, ten samples (eq. 11), by SciPy; minus infinity if fewer than nine of them meet it."""
    t = (np.arange(10)[:, None] + 0.5) / 10
    x, y = ((start[:2] + (end - start)[:2] * t - 3.5) / 8).T
    field = [scipy.ndimage.map_coordinates(pafs[2 * limb + axis], [y, x], order=1, mode="nearest") for axis in (0, 1)]
    products = (end - start)[:2] / np.hypot(*(end - start)[:2]) @ field
    return products.mean() if (products > 0.05).sum() >= 9 else -np.inf


def told_apart(poses, size_wh):
    """Whether the labels say which joints belong together: of each limb's fields between any two people's joints the strongest is a true one,
    and all true ones are there.
    """
    xs, ys = map(cell_centers, size_wh)
    pafs = make_pafs(poses, xs, ys).astype(np.float64)
    for limb, (a, b) in enumerate(LIMBS):
        starts, ends = poses[poses[:, a, 2] > 0, a], poses[poses[:, b, 2] > 0, b]
        true = [along(pafs, limb, pose[a], pose[b]) for pose in poses if pose[a, 2] > 0 and pose[b, 2] > 0]
        if true and max(along(pafs, limb, start, end) for start in starts for end in ends) > max(true):
            return False
        if -np.inf in true:
            return False
    return True


def first_told_apart(scene, size_wh):
    """The first of scene(), scene(), ... (n, 18, 3) whose people the labels tell apart."""
    for _ in range(1000):
        poses = scene()
        if told_apart(poses, size_wh):
            return poses
    raise AssertionError("no such scene")


def distance(pose, other):
    """Pixels between the nearest points of the same limb of two people."""
    t = np.linspace(0, 1, 15)[:, None, None]
    first, second = np.array(LIMBS).T
    one, two = (p[first, :2] * (1 - t) + p[second, :2] * t for p in (pose, other))  # (15, 19, 2)
    return np.hypot(*np.moveaxis(one[:, None] - two, -1, 0)).min()


def crowd(rng, n, size_wh, head, gap=24, joints=tuple(Joint)):
    """n people anywhere in the picture, cut by its border and overlapping each other, but the same limb of two people lies `gap` apart.

    (Where fields of the same limb overlap the labels hold their mean, and nobody can tell the two apart.) Each shows three joints at least.
    """
    whole, people = [], []
    for _ in range(5000):
        if len(people) == n:
            break
        candidate = person(*rng.uniform(0, size_wh), rng.uniform(*head), rng.normal(0, 0.2), 0.05, rng)
        seen = visible(candidate[None], size_wh)[0]
        seen[[joint for joint in Joint if joint not in joints]] = 0
        if (seen[:, 2] > 0).sum() >= 3 and all(distance(candidate, other) >= gap for other in whole) and told_apart(seen[None], size_wh):
            whole.append(candidate)
            people.append(seen)
    assert len(people) == n, "the picture is full"
    return np.array(people).reshape(-1, 18, 3)


def assert_same_people(found, poses):
    """Each of the poses once, with the same joints, each within TOLERANCE pixels; v = 2 for a found joint, zeros for a missing one."""
    assert found.shape == poses.shape
    left = list(range(len(found)))
    for pose in poses:
        errors = [np.abs(found[n] - pose).max() for n in left]
        twin = left.pop(int(np.argmin(errors)))
        np.testing.assert_array_equal(found[twin, :, 2], pose[:, 2])
        there = pose[:, 2] > 0
        assert np.hypot(*(found[twin] - pose)[there, :2].T).max() < TOLERANCE
        assert (found[twin][~there] == 0).all()


def check(poses, size_wh):
    people = round_trip(poses, size_wh)
    assert_same_people(people.poses, connected(poses))
    np.testing.assert_array_equal(people.confidences > 0, people.poses[..., 2] > 0)
    assert len(people.scores) == len(people.poses)


def test_connected():
    """The rule that says what can be found, on cases that a person can judge."""
    pose = person(0, 0)

    def groups(*joints):
        only = np.zeros_like(pose)
        only[list(joints)] = pose[list(joints)]
        return sorted(tuple(map(int, np.flatnonzero(found[:, 2]))) for found in connected(only[None]))

    assert groups(*Joint) == [tuple(range(18))]
    assert groups(Joint.Nose, Joint.Neck, Joint.RightHand) == []  # two, and one by itself
    assert groups(Joint.Nose, Joint.Neck, Joint.RightShoulder, Joint.RightHand) == [(0, 1, 2)]
    assert groups(2, 3, 4, 5, 6, 7) == [(2, 3, 4), (5, 6, 7)]  # two arms and nothing between them
    assert groups(2, 16, 14) == []  # the shoulder does not start with the ear; ear and eye are two
    assert groups(2, 3, 16, 14) == [(2, 3, 14, 16)]  # the elbow reaches the shoulder, the ear limb extends it
    assert groups(1, 2, 16, 14, 0) == [(0, 1, 2, 14, 16)]


@pytest.mark.parametrize("size_wh", [(640, 480), (8, 8), (48, 200)])
def test_nobody(size_wh):
    check(np.zeros((0, 18, 3)), size_wh)
    check(np.zeros((2, 18, 3)), size_wh)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("head", [(12, 16), (20, 40), (60, 90)])
def test_one_person(head, seed):
    """Of any size, anywhere, so often cut by the border."""
    check(crowd(np.random.default_rng(seed), 1, (640, 480), head), (640, 480))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("n", "size_wh", "head"), [(2, (640, 480), (20, 50)), (10, (1280, 720), (16, 40)), (30, (1280, 720), (14, 24))])
def test_people(n, size_wh, head, seed):
    check(crowd(np.random.default_rng(seed), n, size_wh, head), size_wh)


@pytest.mark.parametrize("seed", range(24))
def test_overlapping_people(seed):
    """One stands in front of the other, about 30 pixels to some side; not one where limb lies on limb, and nobody could tell whose it is."""
    rng = np.random.default_rng(seed)
    front = person(*rng.uniform((250, 90), (390, 120)), rng.uniform(30, 45), 0, 0.03, rng)

    def two():
        angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(26, 34)
        return np.stack([front, front + (length * np.cos(angle), length * np.sin(angle), 0)])

    poses = first_told_apart(two, (640, 480))
    assert (connected(visible(poses, (640, 480)))[..., 2] == 2).all()
    check(poses, (640, 480))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("edge", ["left", "top", "right", "bottom"])
def test_people_cut_by_the_border(edge, seed):
    """The neck is near the border, so that about half of the joints are outside; a second person stands in the middle."""
    rng = np.random.default_rng(seed)
    place = {"left": (4, 240), "top": (320, 4), "right": (635, 240), "bottom": (320, 475)}[edge]

    def two():
        poses = np.array([person(*(place + rng.uniform(-4, 4, 2)), 25, 0, 0.05, rng), person(180, 200, 25, 0, 0.05, rng)])
        return visible(poses, (640, 480))

    poses = first_told_apart(two, (640, 480))
    assert 3 < (poses[0, :, 2] > 0).sum() < 18
    check(poses, (640, 480))


@pytest.mark.parametrize("seed", SEEDS)
def test_joints_at_the_very_border(seed):
    """Closer to the border than the outermost cells' centres, which are 3.5 pixels away."""
    rng = np.random.default_rng(seed)
    size_wh = (136, 248)

    def filling():
        pose = person(0, 0, 30, 0, 0.05, rng)
        low, high = pose[:, :2].min(0), pose[:, :2].max(0)
        pose[:, :2] = (pose[:, :2] - low) / (high - low) * (np.array(size_wh) - 3) + rng.uniform(0, 2, 2)
        return pose[None]

    poses = first_told_apart(filling, size_wh)
    assert (poses[0, :, :2].min(0) < 3).all()
    assert (poses[0, :, :2].max(0) > np.array(size_wh) - 4).all()
    assert (connected(poses)[..., 2] == 2).all()
    check(poses, size_wh)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("n", [1, 6])
def test_people_from_the_shoulders_up(n, seed):
    """Nose, eyes, ears, neck and shoulders, as far as they are in the picture."""
    poses = crowd(np.random.default_rng(seed), n, (640, 480), (30, 60), joints=FROM_SHOULDERS_UP)
    assert set(np.flatnonzero(poses[..., 2].any(0))) <= set(FROM_SHOULDERS_UP)
    check(poses, (640, 480))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_portrait(seed):
    """All of nose, eyes, ears, neck and shoulders; the picture ends below the shoulders."""
    rng = np.random.default_rng(seed)
    pose = visible(person(*rng.uniform((140, 170), (160, 180)), 70, 0, 0.05, rng)[None], (304, 216))
    assert set(np.flatnonzero(pose[0, :, 2])) == set(FROM_SHOULDERS_UP)
    check(pose, (304, 216))


@pytest.mark.parametrize("seed", SEEDS)
def test_people_with_missing_joints(seed):
    """Any third of the joints is hidden: what limbs still hold together is found, be it two people for one."""
    rng = np.random.default_rng(seed)
    poses = crowd(rng, 6, (1280, 720), (25, 40))
    poses[rng.random((6, 18)) < 1 / 3] = 0
    assert 0 < (connected(poses)[..., 2] > 0).sum() < (poses[..., 2] > 0).sum()
    check(poses, (1280, 720))


def test_labelled_but_hidden_joints_count():
    """v = 1, hidden but labelled, is a joint; the answer has v = 2."""
    pose = person(150, 60, 22)
    pose[::2, 2] = 1
    check(pose[None], (320, 240))
