"""keypoints/draw.py: what is drawn where, in which colour, and how thick."""

import itertools

import numpy as np
import pytest
from people import person

from entity import (
    EAR_LIMBS,
    FACE_COLOR,
    FACE_LINES,
    FINGER_COLORS,
    HAND_FINGERS,
    JOINT_COLORS,
    LIMB_COLORS,
    LIMBS,
    N_FACE_POINTS,
    N_HAND_POINTS,
    N_LIMBS,
    Joint,
)
from keypoints import draw
from keypoints.draw import draw_face, draw_hand, draw_poses, line_width

GREY = (90, 90, 90)


def canvas(width, height):
    return np.full((height, width, 3), GREY, np.uint8)


def drawn(image):
    """(H, W) bool: where something was drawn."""
    return (image != GREY).any(-1)


def limb_only(limb, start, end):
    """(1, 18, 3): a person who is one limb."""
    pose = np.zeros((1, 18, 3))
    pose[0, LIMBS[limb][0]] = (*start, 2)
    pose[0, LIMBS[limb][1]] = (*end, 2)
    return pose


def test_the_picture_itself_is_not_changed():
    """Neither it nor the poses; the result is a picture of its own, of the same size."""
    image = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    poses = person(150, 60, 22)[None]
    kept = image.copy(), poses.copy()
    result = draw_poses(image, poses)
    assert (result != image).any()
    assert (result.shape, result.dtype) == (image.shape, np.uint8)
    np.testing.assert_array_equal(image, kept[0])
    np.testing.assert_array_equal(poses, kept[1])


@pytest.mark.parametrize("poses", [np.zeros((0, 18, 3)), np.zeros((3, 18, 3))])
def test_nobody(poses):
    """The picture as it is, but not the same array. Missing joints, at (0, 0), are not drawn."""
    image = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    result = draw_poses(image, poses)
    np.testing.assert_array_equal(result, image)
    assert not np.shares_memory(result, image)


def test_pictures_that_are_views():
    """A mirrored picture, a part of one, a read-only one."""
    image = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    image.setflags(write=False)
    for view in (image[:, ::-1], image[20:270, 30:], image[..., ::-1], image):
        np.testing.assert_array_equal(draw_poses(view, person(150, 60, 22)[None]), draw_poses(view.copy(), person(150, 60, 22)[None]))


@pytest.mark.parametrize("limb", range(N_LIMBS))
def test_limb_colors(limb):
    """A limb has its colour from end to end; the limbs from shoulder to ear are not drawn."""
    image = draw_poses(canvas(400, 300), limb_only(limb, (100, 150), (300, 150)))
    for x in (140, 200, 260):
        assert tuple(image[150, x].tolist()) == (GREY if limb in EAR_LIMBS else LIMB_COLORS[limb])
    a, b = LIMBS[limb]
    assert tuple(image[150, 100].tolist()) == JOINT_COLORS[a]
    assert tuple(image[150, 300].tolist()) == JOINT_COLORS[b]


def test_ear_limbs_are_not_drawn(monkeypatch):
    """A whole person looks as if the skeleton had no such limbs."""
    pose = person(150, 60, 22)[None]
    whole = draw_poses(canvas(320, 240), pose)
    for limb in EAR_LIMBS:
        assert (draw_poses(canvas(320, 240), limb_only(limb, (100, 50), (100, 150)))[80:120] == GREY).all()
    monkeypatch.setattr("keypoints.draw.EAR_LIMBS", ())
    assert (draw_poses(canvas(320, 240), pose) != whole).any()


def test_a_limb_needs_both_joints():
    pose = person(150, 60, 22)
    pose[Joint.RightElbow] = 0
    image = draw_poses(canvas(320, 240), pose[None])
    whole = draw_poses(canvas(320, 240), person(150, 60, 22)[None])
    shoulder, elbow, hand = person(150, 60, 22)[[Joint.RightShoulder, Joint.RightElbow, Joint.RightHand], :2]
    for place in ((shoulder + elbow) / 2, elbow, (elbow + hand) / 2):
        x, y = np.rint(place).astype(int)
        assert drawn(whole)[y, x]
        assert not drawn(image)[y, x]
    assert drawn(image)[tuple(np.rint(hand[::-1]).astype(int))]


def test_joints_are_drawn_over_limbs():
    """Each joint of a person seen large shows its own colour."""
    pose = person(500, 200, 90)
    image = draw_poses(canvas(1000, 900), pose[None])
    for joint, (x, y, _) in enumerate(pose):
        assert tuple(image[round(y), round(x)].tolist()) == JOINT_COLORS[joint]


def test_later_people_lie_on_top():
    below, above = limb_only(0, (50, 100), (350, 100)), limb_only(3, (200, 20), (200, 180))
    image = draw_poses(canvas(400, 200), np.concatenate([below, above]))
    assert tuple(image[100, 200].tolist()) == LIMB_COLORS[3]
    assert tuple(draw_poses(canvas(400, 200), np.concatenate([above, below]))[100, 200].tolist()) == LIMB_COLORS[0]


def test_places_between_pixels():
    """A limb moves by half a pixel when the person does: the centre of what is drawn does."""

    def centre(y):
        weight = np.abs(draw_poses(canvas(200, 100), limb_only(0, (40, y), (160, y))).astype(float) - GREY).sum(-1)[:, 80:120].sum(1)
        return (weight * np.arange(100)).sum() / weight.sum()

    assert centre(50) == pytest.approx(50, abs=0.1)
    assert centre(50.5) == pytest.approx(50.5, abs=0.15)
    assert centre(50.25) - centre(50) == pytest.approx(0.25, abs=0.15)


def thickness(size):
    """Pixels across a limb of a person who fills a picture of size x size."""
    image = draw_poses(canvas(size, size), limb_only(0, (size * 0.1, size * 0.5), (size * 0.9, size * 0.5)))
    return int(drawn(image)[:, size // 2].sum())


def test_lines_grow_with_the_picture():
    """They read well on 200 and on 4000 pixels: about a hundredth of the picture."""
    assert 2 <= thickness(200) <= 5
    assert 30 <= thickness(4000) <= 50
    assert thickness(200) < thickness(800) < thickness(2000) < thickness(4000)
    for size in (200, 800, 2000, 4000):
        assert line_width(person(size / 2, size * 0.2, size / 9), (size, size)) == round(size / 110)


def test_lines_are_thinner_for_small_people():
    """Down to a share of the picture that can be seen still, and never wider than for a person who fills it."""
    size_wh = (4000, 3000)
    widths = [line_width(person(1000, 300, head), size_wh) for head in (1, 50, 75, 100, 150, 300)]
    assert widths == sorted(widths)
    assert widths[0] == round(3000 / 400)
    assert widths[0] < widths[2] < widths[3] < widths[4]
    assert widths[-1] == round(3000 / 110)
    small, large = (draw_poses(canvas(1200, 900), limb_only(0, (100, 450), (100 + length, 450))) for length in (260, 800))
    assert drawn(small)[:, 230].sum() < drawn(large)[:, 500].sum()


@pytest.mark.parametrize("size_wh", [(1, 1), (1, 4000), (4000, 1), (50, 40)])
def test_lines_are_never_invisible(size_wh):
    """In the smallest picture they are a pixel wide."""
    assert line_width(person(20, 5, 4), size_wh) == 1
    assert line_width(np.zeros((18, 3)), size_wh) == 1
    assert type(line_width(person(20, 5, 4), size_wh)) is int
    assert drawn(draw_poses(canvas(*size_wh), limb_only(0, (0, 0), (0, 0)))).any()


def test_points_outside_the_picture():
    """What is inside is drawn, what is outside is not missed."""
    image = draw_poses(canvas(800, 400), limb_only(0, (-300, 200), (1500, 200)))
    assert all(tuple(color) == LIMB_COLORS[0] for color in image[200].tolist())
    assert (image[:150] == GREY).all()
    for place in ((-5000, 50), (50, -5000), (90000, 90000), (-0.5, 99.5)):
        draw_poses(canvas(200, 100), limb_only(0, place, (100, 50)))
    assert not drawn(draw_poses(canvas(200, 100), limb_only(0, (-500, -500), (-400, -400)))).any()


def points_on_a_grid(count):
    """(count, 3): x, y, confidence; well apart."""
    index = np.arange(count)
    return np.stack([30 + 40 * (index % 9), 30 + 35 * (index // 9), np.full(count, 0.5)], axis=1)


CASES = [
    pytest.param(draw_face, N_FACE_POINTS, [(*points, points[0]) if closed else points for points, closed in FACE_LINES], id="face"),
    pytest.param(draw_hand, N_HAND_POINTS, list(HAND_FINGERS), id="hand"),
]


@pytest.mark.parametrize(("draw", "count", "lines"), CASES)
def test_points_and_lines_of_faces_and_hands(draw, count, lines):
    """Only two neighbours found: the line between them, in its colour, and the two points; the picture itself stays."""
    colors = [FACE_COLOR] * len(lines) if draw is draw_face else FINGER_COLORS
    image = canvas(400, 320)
    for line, color in zip(lines, colors, strict=True):
        for a, b in itertools.pairwise(line):
            keypoints = np.full((count, 3), np.nan)
            keypoints[a], keypoints[b] = (60, 100, 0.9), (340, 100, 0.2)
            result = draw(image, keypoints)
            assert tuple(result[100, 200].tolist()) == color
            assert drawn(result)[100, 60]
            assert drawn(result)[100, 340]
    assert not drawn(image).any()


@pytest.mark.parametrize(("draw", "count", "lines"), CASES)
def test_points_of_faces_and_hands_without_neighbours(draw, count, lines):
    """Points that no line joins are drawn alone; missing ones not at all."""
    keypoints = points_on_a_grid(count)
    joined = {frozenset(pair) for line in lines for pair in itertools.pairwise(line)}
    apart = [index for index in range(0, count, 2) if all(frozenset((index, other)) not in joined for other in range(0, count, 2))]
    assert len(apart) > 5
    missing = [index for index in range(count) if index not in apart]
    keypoints[missing] = np.nan
    there = drawn(draw(canvas(400, 320), keypoints))
    for index, (x, y, _) in enumerate(points_on_a_grid(count)):
        assert there[round(y), round(x)] == (index in apart)


@pytest.mark.parametrize(("draw", "count", "lines"), CASES)
def test_no_face_and_no_hand(draw, count, lines):
    image = canvas(40, 30)
    result = draw(image, np.full((count, 3), np.nan))
    np.testing.assert_array_equal(result, image)
    assert not np.shares_memory(result, image)


def test_strength_is_brightest_where_it_is_largest_and_shows_the_picture():
    image = np.zeros((40, 60, 3), np.uint8)
    image[:, 30:] = 200
    strength = np.zeros((4, 6), np.float32)
    strength[1, 2] = 1e-6  # however small: relative to the largest
    seen = draw.draw_strength(image, strength)
    assert (seen[15, 25] > seen[35, 5]).all()
    assert seen[15, 25].sum() == seen.astype(int).sum(2).max()
    assert (seen[35, 50] > seen[35, 5]).all()
    np.testing.assert_array_equal(
        draw.draw_strength(image, 0 * strength)[:, :30], draw.draw_strength(image, 0 * strength)[:1, :1].repeat(40, 0).repeat(30, 1)
    )


def test_labels_stand_above_their_points_and_inside_the_picture():
    image = np.full((100, 200, 3), 90, np.uint8)
    changed = (draw.draw_labels(image, [("0.5", 80, 60)]) != image).any(2)
    rows, columns = np.nonzero(changed)
    assert rows.max() <= 62
    assert 76 <= columns.min() < columns.max() < 130
    for x, y in ((-20, 5), (500, 90)):
        assert (draw.draw_labels(image, [("0.5", x, y)]) != image).sum() > 100
    assert (image == 90).all()


@pytest.mark.parametrize("width", [40, 96, 368])
def test_headings_stand_in_the_middle_of_their_columns(width):
    strip = draw.make_headings(("skeletons", "what does not count"), width)
    assert strip.shape[1:] == (2 * width, 3)
    for column in range(2):
        columns = np.nonzero((strip[:, column * width : (column + 1) * width] < 255).any((0, 2)))[0]
        assert abs(columns.min() + columns.max() - (width - 1)) <= 0.1 * width
