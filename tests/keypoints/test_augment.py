"""keypoints/augment.py: poses and masks follow the picture, shown by marked pixels; the geometry against OpenCV and NumPy; colours by colorsys."""

import colorsys

import cv2
import numpy as np
import pytest
from people import person

from entity import FLIPPED_JOINTS, Augmentation, Joint
from keypoints.augment import (
    augment,
    change_colors,
    fit_matrix,
    mask_cells,
    random_colors,
    random_view,
    scale_range,
    view_matrix,
    warp,
    warp_poses,
)
from keypoints.image import PAD_COLOR, resize

PLAIN = Augmentation(p_color=0)
INSIZE = 368
SEEDS = range(12)


def no_mask(image):
    return np.zeros(image.shape[:2], bool)


def box_around(pose):
    """(4,): x, y, width, height in pixel edges, as COCO has them."""
    low, high = pose[pose[:, 2] > 0, :2].min(0), pose[pose[:, 2] > 0, :2].max(0)
    return np.concatenate([low, high - low + 1])


def marked(size_wh, points, radius=5):
    """One grey picture per point: a blurred spot around it, so that its centre is found to a fraction of a pixel."""
    xs, ys = np.arange(size_wh[0]), np.arange(size_wh[1])[:, None]
    for x, y in points:
        spot = np.exp(-((xs - x) ** 2 + (ys - y) ** 2) / (2 * radius**2))
        yield np.repeat(np.rint(255 * spot).astype(np.uint8)[..., None], 3, axis=2)


def centroid(image):
    weight = image[..., 0].astype(float)
    return np.array([(weight.sum(0) * np.arange(weight.shape[1])).sum(), (weight.sum(1) * np.arange(weight.shape[0])).sum()]) / weight.sum()


def inside(points, margin, size=INSIZE):
    return ((points > margin) & (points < size - 1 - margin)).all(-1)


@pytest.mark.parametrize("seed", SEEDS)
def test_joints_follow_their_pixels(seed):
    """A spot at a joint comes to where the pose says that this joint, mirrored or not, now is."""
    rng = np.random.default_rng(seed)
    size_wh = (500, 420)
    pose = person(*rng.uniform((200, 80), (300, 120)), 35, 0, 0.05, rng)
    boxes = box_around(pose)[None]
    seen = 0
    for joint, spot in zip(Joint, marked(size_wh, pose[:, :2]), strict=True):
        state = np.random.default_rng(seed)
        image, _, (moved,) = augment(spot, no_mask(spot), pose[None], state, boxes, INSIZE, PLAIN)
        _, is_flipped = random_view(np.random.default_rng(seed), boxes, INSIZE, PLAIN)
        x, y, v = moved[FLIPPED_JOINTS[joint] if is_flipped else joint]
        assert v == 2
        if inside(np.array([x, y]), 40) and inside(pose[joint, :2], 20, 420):
            padding = np.all(image == PAD_COLOR, axis=-1).astype(np.uint8)
            image[cv2.dilate(padding, np.ones((5, 5))) > 0] = 0  # beside the picture, and where both mix
            left, top = round(x) - 38, round(y) - 38  # likewise at the view's own border
            assert np.abs(centroid(image[top : top + 77, left : left + 77]) + (left, top) - (x, y)).max() < 0.1
            seen += 1
    assert seen >= 5


def test_both_ways_are_tested():
    flips = [random_view(np.random.default_rng(seed), np.array([[100.0, 50, 90, 200]]), INSIZE)[1] for seed in SEEDS]
    assert {False, True} == set(flips)


def test_a_mirror_swaps_left_and_right():
    """The shoulder that was the right one is, in the mirror, a left one."""
    pose = person(180, 60, 40)[None]
    image = np.zeros((INSIZE, INSIZE, 3), np.uint8)
    for joint, color in ((Joint.RightShoulder, (0, 0, 255)), (Joint.LeftShoulder, (255, 0, 0))):
        cv2.circle(image, tuple(np.rint(pose[0, joint, :2]).astype(int)), 6, color, -1)
    matrix = view_matrix(((INSIZE - 1) / 2,) * 2, 1, 0, (0, 0), True, INSIZE)
    mirrored, _, (moved,) = warp(image, no_mask(image), pose, matrix, INSIZE, is_flipped=True)
    np.testing.assert_array_equal(mirrored, image[:, ::-1])
    for joint, color in ((Joint.LeftShoulder, (0, 0, 255)), (Joint.RightShoulder, (255, 0, 0))):
        x, y = np.rint(moved[joint, :2]).astype(int)
        np.testing.assert_array_equal(mirrored[y, x], color)
    np.testing.assert_allclose(moved[Joint.Nose, :2], (INSIZE - 1 - pose[0, Joint.Nose, 0], pose[0, Joint.Nose, 1]), rtol=0, atol=1e-9)
    back = warp_poses(moved[None], matrix, is_flipped=True)
    np.testing.assert_allclose(back, pose, rtol=0, atol=1e-9)


def test_the_table_of_mirrored_joints():
    for joint in Joint:
        other = Joint(FLIPPED_JOINTS[joint])
        assert FLIPPED_JOINTS[other] == joint
        assert other.name == joint.name.replace("right", "?").replace("left", "right").replace("?", "left")


def test_half_pixel_geometry():
    """Twice as large and turned by a quarter: what OpenCV's resize and NumPy's rot90 make of the picture."""
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(0, 256, (184, 184, 3), np.uint8), (0, 0), 2)
    poses = np.zeros((0, 18, 3))
    larger, *_ = warp(image, no_mask(image), poses, fit_matrix((184, 184), 368), 368)
    expected = cv2.resize(image, (368, 368), interpolation=cv2.INTER_LINEAR)
    assert np.abs(larger.astype(int) - expected)[2:-2, 2:-2].max() <= 1
    center = (183 / 2, 183 / 2)
    turned, *_ = warp(image, no_mask(image), poses, view_matrix(center, 1, 90, (0, 0), False, 184), 184)
    np.testing.assert_array_equal(turned, np.rot90(image, -1))
    moved, *_ = warp(image, no_mask(image), poses, view_matrix(center, 1, 0, (10, -20), False, 184), 184)
    np.testing.assert_array_equal(moved[:164, 10:], image[20:, :174])
    assert (moved[164:] == PAD_COLOR).all()
    assert (moved[:, :10] == PAD_COLOR).all()


@pytest.mark.parametrize("size_wh", [(640, 480), (333, 500), (368, 368), (100, 20)])
def test_fit_shows_the_whole_picture(size_wh):
    matrix = fit_matrix(size_wh, INSIZE)
    corners = np.array([[-0.5, -0.5], np.array(size_wh) - 0.5]) @ matrix[:, :2].T + matrix[:, 2]
    scale = INSIZE / max(size_wh)
    np.testing.assert_allclose(corners[1] - corners[0], np.array(size_wh) * scale, rtol=0, atol=1e-9)
    np.testing.assert_allclose(corners.sum(0) / 2, (INSIZE - 1) / 2, rtol=0, atol=1e-9)
    assert corners.min() > -0.5 - 1e-9
    assert corners.max() < INSIZE - 0.5 + 1e-9


@pytest.mark.parametrize("seed", SEEDS)
def test_masks_follow_their_pixels(seed):
    """A picture that is white where the mask is: afterwards too, but for the blend at the border."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((420, 500), bool)
    mask[:, :230] = True
    mask[150:260, 300:420] = True
    image = np.repeat(mask[..., None] * np.uint8(255), 3, axis=2)
    boxes = np.array([[150.0, 100, 120, 260], [310, 150, 90, 100]])
    view, seen, _ = augment(image, mask, np.zeros((0, 18, 3)), rng, boxes, INSIZE, PLAIN)
    assert seen.shape == (INSIZE, INSIZE)
    assert seen.dtype == bool
    white, black = (view == 255).all(-1), (view == 0).all(-1)
    assert white.sum() > 1000
    assert black.sum() > 1000
    assert seen[white].all()
    assert not seen[black].any()
    assert not seen[(view == PAD_COLOR).all(-1)].any()


def test_scales_keep_the_people_in_bounds():
    rng = np.random.default_rng(0)
    usual = Augmentation()
    for _ in range(500):
        boxes = np.concatenate([rng.uniform(0, 300, (3, 2)), rng.uniform(20, 600, (3, 2))], axis=1)
        low, high = scale_range(boxes, boxes[1], usual)
        assert usual.min_scale <= low <= high <= usual.max_scale
        sides = boxes[:, 2:].max(1)
        if max(0.5, 64 / sides.min()) <= min(2, 512 / sides.max()):  # all can stay within
            assert sides.min() * low >= 64 - 1e-9
            assert sides.max() * high <= 512 + 1e-9
        elif 32 <= sides[1] <= 1024:  # the chosen one can
            assert sides[1] * low >= 64 - 1e-9
            assert sides[1] * high <= 512 + 1e-9
    boxes = np.array([[0.0, 0, 100, 256]])
    assert scale_range(boxes, boxes[0], usual) == (0.5, 2)
    for side, expected in ((10, 2), (2000, 0.5)):
        boxes = np.array([[0.0, 0, side, side]])
        assert scale_range(boxes, boxes[0], usual) == (expected, expected)


def test_views_are_distributed_as_published():
    """Scale 0.5..2, rotation N(0, 40/3) degrees, the person's centre within 40 px of the view's middle, half of the views mirrored."""
    rng = np.random.default_rng(0)
    boxes = np.array([[100.0, 60, 100, 200]])
    scales, angles, shifts, flips = [], [], [], []
    for _ in range(4000):
        matrix, is_flipped = random_view(rng, boxes, INSIZE)
        center = matrix[:, :2] @ (149.5, 159.5) + matrix[:, 2] - (INSIZE - 1) / 2
        linear = (np.diag([-1, 1]) if is_flipped else np.eye(2)) @ matrix[:, :2]
        assert np.linalg.det(linear) > 0
        scales.append(np.sqrt(np.linalg.det(linear)))
        angles.append(np.rad2deg(np.arctan2(linear[1, 0], linear[0, 0])))
        shifts.append(center)
        flips.append(is_flipped)
    assert 0.5 <= min(scales) < 0.52
    assert 1.98 < max(scales) <= 2
    assert abs(np.mean(angles)) < 1
    assert abs(np.std(angles) - 40 / 3) < 0.6
    assert 39 < np.abs(shifts).max() <= 40
    assert abs(np.mean(shifts)) < 1.5
    assert abs(np.mean(flips) - 0.5) < 0.03


def test_every_person_is_chosen():
    boxes = np.array([[0.0, 0, 100, 100], [1000, 0, 100, 100], [2000, 0, 100, 100]])
    rng = np.random.default_rng(0)
    centers = []
    for _ in range(60):
        matrix, _ = random_view(rng, boxes, INSIZE)
        centers.append(np.linalg.solve(matrix[:, :2], (INSIZE - 1) / 2 - matrix[:, 2])[0])
    assert {0, 1, 2} == {round((x - 50) / 1000) for x in centers}


@pytest.mark.parametrize("turn", [-10, -3, 0, 4, 10])
def test_hues_stay_on_their_circle(turn):
    """Against colorsys, pixel by pixel; a hue past 179 begins again at 0 (the original's ran on)."""
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (40, 40, 3), np.uint8)
    image[0, :20] = (10, 10, 250)  # hues around 0
    image[1, :20] = (30, 10, 250)
    changed = change_colors(image, turn, 0.8, 1.1)
    expected = np.empty_like(image)
    for at in np.ndindex(40, 40):
        h, s, v = colorsys.rgb_to_hsv(*(image[at][::-1] / 255))
        expected[at] = np.rint(255 * np.array(colorsys.hsv_to_rgb((h + turn / 180) % 1, s * 0.8, min(1, v * 1.1))))[::-1]
    assert np.abs(changed.astype(int) - expected).max() <= 12  # OpenCV's steps of hue are two degrees
    assert np.abs(changed.astype(int) - expected).mean() < 1.5


def test_colors_do_not_run_over():
    image = np.full((2, 2, 3), (3, 250, 252), np.uint8)
    brighter = change_colors(image, 0, 1.4, 1.3)
    assert (brighter[..., 1:] > 250).all()
    np.testing.assert_array_equal(change_colors(np.zeros((2, 2, 3), np.uint8), 9, 1.4, 1.3), 0)
    grey = np.full((2, 2, 3), 100, np.uint8)
    np.testing.assert_array_equal(change_colors(grey, 9, 1.4, 1), grey)


def test_colors_change_within_their_bounds():
    """The hue by 20 degrees, saturation by 40 %, brightness by 30 % at most, and nearly as much now and then."""
    image, rng = np.full((1, 1, 3), (60, 60, 120), np.uint8), np.random.default_rng(0)  # hue 0, saturation 0.5
    changed = np.array([random_colors(image, rng)[0, 0, ::-1] / 255 for _ in range(1500)])
    hues, saturations, values = np.array([colorsys.rgb_to_hsv(*color) for color in changed]).T
    hues = (hues * 360 + 180) % 360 - 180
    for found, low, high, step in ((hues, -20, 20, 2), (saturations, 0.3, 0.7, 0.02), (values, 120 / 255 * 0.7, 120 / 255 * 1.3, 0.006)):
        assert low - step <= found.min() <= low + step
        assert high - step <= found.max() <= high + step


def test_half_of_the_views_change_their_colors():
    image = np.full((60, 60, 3), (60, 90, 200), np.uint8)
    boxes = np.array([[10.0, 10, 40, 40]])
    changed = 0
    for seed in range(300):
        view, *_ = augment(image, no_mask(image), np.zeros((0, 18, 3)), np.random.default_rng(seed), boxes, 16)
        changed += tuple(view[8, 8]) != (60, 90, 200)
    assert abs(changed / 300 - 0.5) < 0.1


def test_the_same_state_gives_the_same_sample_and_arguments_stay():
    rng = np.random.default_rng(3)
    image, mask = rng.integers(0, 256, (300, 400, 3), np.uint8), rng.random((300, 400)) < 0.5
    poses = np.stack([person(150, 60, 30), person(260, 70, 25)])
    boxes = np.stack([box_around(pose) for pose in poses])
    arguments = image, mask, poses, boxes
    kept = [array.copy() for array in arguments]
    first, second, other = (augment(image, mask, poses, np.random.default_rng(seed), boxes, INSIZE) for seed in (7, 7, 8))
    for one, two in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, two)
    assert (first[0] != other[0]).any()
    for array, copy in zip(arguments, kept, strict=True):
        np.testing.assert_array_equal(array, copy)
    colored = random_colors(image, np.random.default_rng(0))
    assert (colored != image).any()
    np.testing.assert_array_equal(image, kept[0])


def test_missing_joints_stay_missing():
    pose = person(150, 60, 30)
    pose[[2, 9]] = 0
    pose[4, 2] = 1
    moved = warp_poses(pose[None], view_matrix((10, 10), 2, 30, (5, 5), False, INSIZE))[0]
    assert not moved[[2, 9]].any()
    assert moved[4, 2] == 1
    assert (np.delete(moved, [2, 9, 4], axis=0)[:, 2] == 2).all()


def test_a_cell_is_ignored_when_half_of_it_is():
    mask = np.zeros((32, 40), bool)
    mask[0:8, 8:12] = True  # half
    mask[8:16, 8:12] = True
    mask[8, 8] = False  # one less
    mask[16:24, 30:33] = True  # 2 and 1 of 8 columns
    mask[24:, 32:] = True
    cells = mask_cells(mask)
    assert cells.shape == (4, 5)
    assert {tuple(map(int, at)) for at in np.argwhere(cells)} == {(0, 1), (3, 4)}
    expected = resize(mask.astype(np.uint8) * 255, (5, 4)) >= 127
    np.testing.assert_array_equal(cells, expected)
