"""What students should answer, and the views they see: geometry against cv2, labels against the decoding, faces against their mirror."""

import cv2
import numpy as np
import pytest
from people import person

from distil import targets, views
from distil.hints import Hint, main_axes, read_axes, weights_of, write_axes
from distil.kinds import KINDS, boxes_of
from distil.landmarks import MAPPING, MIRRORED_FACE, N_LANDMARKS, face_points
from distil.point_views import point_view, random_matrix, worn
from entity import FACE_LINES, N_JOINTS, N_LIMBS, Joint
from keypoints.labels import cell_centers, make_heatmaps, make_pafs
from keypoints.points import decode_points

NOBODY = np.zeros((0, N_JOINTS, 3))


def random_maps(cells, seed=0):
    rng = np.random.default_rng(seed)
    pafs = rng.uniform(-1, 1, (2 * N_LIMBS, cells, cells)).astype(np.float32)
    return pafs, rng.uniform(-0.2, 1.2, (N_JOINTS + 1, cells, cells)).astype(np.float32)


def test_without_labels_the_target_is_what_the_teacher_says():
    pafs, heatmaps = random_maps(6)
    target = targets.raised(pafs, heatmaps, NOBODY, 48)
    np.testing.assert_array_equal(target[:38], pafs)
    np.testing.assert_allclose(target[38:56], np.clip(heatmaps[:18], 0, 1))
    np.testing.assert_allclose(target[56], 1 - target[38:56].max(0))


def test_labels_go_before_a_teacher_that_sees_nothing():
    poses, centers = person(40, 30, 100)[None], cell_centers(240)
    target = targets.raised(np.zeros((38, 30, 30), np.float32), np.zeros((19, 30, 30), np.float32), poses, 240)
    np.testing.assert_allclose(target[:38], make_pafs(poses, centers, centers))
    np.testing.assert_allclose(target[38:], make_heatmaps(poses, centers, centers), atol=1e-6)


def test_a_limb_is_where_the_label_says_and_the_teachers_elsewhere():
    poses, centers = person(40, 30, 100)[None], cell_centers(240)
    pafs, heatmaps = random_maps(30)
    labelled = make_pafs(poses, centers, centers).reshape(19, 2, 30, 30)
    covered = np.repeat((np.abs(labelled).sum(1) > 0), 2, axis=0)
    target = targets.raised(pafs, heatmaps, poses, 240)
    assert 0 < covered.sum() < covered.size / 10
    np.testing.assert_array_equal(target[:38][covered], labelled.reshape(38, 30, 30)[covered])
    np.testing.assert_array_equal(target[:38][~covered], pafs[~covered])
    assert (target[38:56] >= np.clip(heatmaps[:18], 0, 1)).all()


def test_point_maps_decode_to_the_points():
    points = np.random.default_rng(0).uniform(10, 180, (70, 2))
    points[5] = np.nan
    maps = targets.point_maps(points, 192)
    assert maps.shape == (71, 24, 24)
    assert not maps[5].any()
    found = decode_points(maps, (192, 192), 0.1)
    assert np.isnan(found[5]).all()
    seen = np.arange(70) != 5
    np.testing.assert_allclose(found[seen, :2], points[seen], atol=4)
    empty = targets.point_maps(np.full((21, 2), np.nan), 192)
    assert not empty[:-1].any()
    np.testing.assert_array_equal(empty[-1], 1)


def test_int8_keeps_numbers_to_half_a_step():
    numbers = np.linspace(-1.1, 1.1, 1001)
    kept = targets.to_int8(numbers, 110)
    assert kept.dtype == np.int8
    np.testing.assert_allclose(kept / 110, numbers, atol=0.5 / 110 + 1e-9)
    np.testing.assert_array_equal(targets.to_int8(np.array([9.0, -9.0]), 110), [127, -127])


@pytest.mark.parametrize("seed", range(8))
def test_a_view_shows_the_poses_where_they_are(seed):
    rng, x, y = np.random.default_rng(seed), -1, -1
    image = np.zeros((300, 500, 3), np.uint8)
    poses = np.zeros((1, N_JOINTS, 3))
    poses[0, Joint.Nose] = (*rng.uniform((60, 60), (440, 240)), 2)
    cv2.circle(image, tuple(np.rint(poses[0, 0, :2]).astype(int).tolist()), 12, (255, 255, 255), -1)
    while not (50 < x < 140 and 50 < y < 140):  # until it lies well inside a view
        view = views.random_view((500, 300), np.array([[*(poses[0, 0, :2] - 60), 120, 120]]), 192, rng)
        crop, seen = views.seen(image, poses, view, 192)
        x, y, v = seen[0, Joint.Nose]
    assert crop.shape == (192, 192, 3)
    assert v == 2
    bright = np.argwhere(crop[..., 0] > 200)
    np.testing.assert_allclose(bright.mean(0)[::-1], (x, y), atol=1.2)


@pytest.mark.parametrize("scale", [0.1, 0.3, 0.55])
def test_shrinking_first_leaves_the_geometry(scale):
    image = np.zeros((400, 640, 3), np.uint8)
    cv2.circle(image, (301, 187), 40, (255, 255, 255), -1)
    matrix = np.array([[scale, 0, 9.0], [0, scale, 4.0]])
    small, small_matrix = views.shrunk(image, matrix, scale)
    assert max(small.shape) < 0.7 * 640
    crop = cv2.warpAffine(small, small_matrix, (400, 300))
    weights = crop[..., 0].astype(float)
    center = [(weights.sum(axis) * np.arange(weights.shape[1 - axis])).sum() / weights.sum() for axis in (0, 1)]
    np.testing.assert_allclose(center, matrix @ (301, 187, 1), atol=0.1)


def test_people_in_views_are_as_large_as_said():
    rng, sizes = np.random.default_rng(0), []
    for _ in range(400):
        view = views.random_view((2000, 1500), np.array([[900.0, 600, 200, 300]]), 384, rng)
        sizes.append(300 * view.scale)
    around = [size for size in sizes if size > 300 * 1.6 * 384 / 1500]  # the rest may be views of just any place
    assert len(around) > 100
    assert max(sizes) <= 470.001
    assert np.median(around) > 150


def test_light_changes_no_shape_and_not_its_argument():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (32, 32, 3), np.uint8)
    before = image.copy()
    several = [views.jitter(image, rng) for _ in range(20)]
    np.testing.assert_array_equal(image, before)
    assert {each.shape for each in several} == {(32, 32, 3)}
    assert sum(np.array_equal(each, image) for each in several) < 15


# faces and hands


def made_face():
    """(70, 2): a face that is its own mirror image about x = 0, as iBUG's markup goes."""
    right = np.linspace(-1, 0, 9)[:8]
    jaw = np.concatenate([right, [0], -right[::-1]])
    points = np.zeros((70, 2))
    points[:17] = np.stack([jaw, 1 - jaw**2], 1)
    points[17:22] = np.stack([np.linspace(-0.9, -0.1, 5), np.array([0, -0.1, -0.15, -0.12, -0.05]) - 0.5], 1)
    points[22:27] = points[21:16:-1] * (-1, 1)
    points[27:31, 1] = np.linspace(-0.3, 0.1, 4)
    points[31:36] = np.stack([np.linspace(-0.2, 0.2, 5), [0.2, 0.22, 0.25, 0.22, 0.2]], 1)
    points[36:42] = [(-0.7, -0.3), (-0.6, -0.35), (-0.5, -0.36), (-0.4, -0.3), (-0.5, -0.25), (-0.6, -0.26)]
    points[42:48] = points[[39, 38, 37, 36, 41, 40]] * (-1, 1)
    for first, count, size in ((48, 12, 0.4), (60, 8, 0.25)):
        angle = np.pi + 2 * np.pi * np.arange(count) / count  # from the right corner over the upper lip
        points[first : first + count] = np.stack([size * np.cos(angle), 0.5 + 0.1 * np.sin(angle)], 1)
    points[68:] = [(-0.55, -0.3), (0.55, -0.3)]
    return points


def test_the_mirror_of_a_face_has_its_points_in_their_order():
    face = made_face()
    np.testing.assert_allclose((face * (-1, 1))[list(MIRRORED_FACE)], face, atol=1e-12)
    assert sorted(MIRRORED_FACE) == list(range(70))


def test_every_point_of_ours_is_made_of_theirs():
    assert len(MAPPING) == 70
    assert all(0 <= a < N_LANDMARKS and 0 <= b < N_LANDMARKS and 0 <= share <= 1 for a, b, share in MAPPING)
    landmarks = np.random.default_rng(0).random((N_LANDMARKS, 2))
    points = face_points(landmarks)
    np.testing.assert_array_equal(points[8], landmarks[152])  # the chin
    np.testing.assert_array_equal(points[[36, 45]], landmarks[[33, 263]])  # outer corners of the eyes
    np.testing.assert_allclose(points[17], landmarks[[70, 46]].mean(0))
    np.testing.assert_array_equal(points[68:], landmarks[[468, 473]])


def test_mapping_treats_both_sides_of_a_face_alike():
    assert all(MAPPING[n][2] == MAPPING[MIRRORED_FACE[n]][2] for n in range(70))
    assert len({frozenset((a, b)) for a, b, _ in MAPPING}) == 70
    assert sum(len(line) for line, _ in FACE_LINES) + 2 == 70


@pytest.mark.parametrize("name", KINDS)
def test_points_follow_the_view(name):
    kind, rng = KINDS[name], np.random.default_rng(3)
    image = np.full((200, 200, 3), 40, np.uint8)
    points = np.full((kind.points, 2), 100.0)
    points[0] = (80, 120)
    for _ in range(6):
        for is_left in (False, True):
            state = rng.bit_generator.state
            matrix, _, mirrors = random_matrix(np.array([50, 50, 150, 150]), is_left, kind, 192, rng)
            rng.bit_generator.state = state
            view, moved = point_view(image, points, np.array([50, 50, 150, 150]), is_left, kind, 192, rng)
            assert view.shape == (192, 192, 3)
            assert (np.linalg.det(matrix[:, :2]) < 0) == mirrors
            if name == "hand":
                assert mirrors == is_left
            at = list(kind.mirror).index(0) if mirrors and kind.mirror else 0
            np.testing.assert_allclose(moved[at], matrix @ (80, 120, 1), atol=1e-9)


def test_worse_cameras_keep_the_size():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (96, 96, 3), np.uint8)
    for _ in range(40):
        result = worn(image, rng)
        assert (result.shape, result.dtype) == ((96, 96, 3), np.uint8)


def test_boxes_are_the_toolkits():
    pose = person(40, 30, 100)
    (face,) = boxes_of("face", pose)
    assert face[1] is False
    assert [is_left for _, is_left in boxes_of("hand", pose)] == [True, False]
    assert boxes_of("face", np.zeros((18, 3))) == boxes_of("hand", np.zeros((18, 3))) == []


# hints


def test_main_axes_say_what_varies_most(tmp_path):
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    rows = rng.normal(size=(4000, 6)) * (5, 2, 1, 0.1, 0.1, 0.1) @ turn + 3
    axes = main_axes(rows, Hint("inner", 3, "block2"))
    np.testing.assert_allclose(axes.deviations, (5, 2, 1), rtol=0.05)
    said = axes.project(rows.T.reshape(6, 40, 100).astype(np.float32))
    assert said.shape == (3, 40, 100)
    np.testing.assert_allclose(said.mean((1, 2)), 0, atol=1e-3)
    np.testing.assert_allclose(np.cov(said.reshape(3, -1)), np.eye(3), atol=1e-2)
    write_axes(tmp_path / "h.npz", [axes, main_axes(rows, Hint("last", 2, "block4"))])
    again = read_axes(tmp_path / "h.npz")
    assert [(each.layer, each.tap, len(each.deviations)) for each in again] == [("inner", "block2", 3), ("last", "block4", 2)]
    np.testing.assert_array_equal(again[0].vectors, axes.vectors)
    np.testing.assert_allclose(weights_of(again).reshape(-1)[:3].sum(), 1, rtol=1e-6)
