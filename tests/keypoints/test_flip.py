"""The mirror: tables of left and right, maps, and PoseDetector(flip=True)."""

import numpy as np
import pytest
from conftest import ROOT
from people import person

from engines import open_net
from entity import FLIPPED_JOINTS, FLIPPED_LIMBS, LIMBS, STRIDE, Joint
from keypoints.labels import cell_centers, make_heatmaps, make_pafs
from keypoints.mirror import mirror_maps
from pose_detector import PoseDetector
from streams.picture import read_image

WIDTH, HEIGHT = 368, 368
POSES = np.stack([person(90, 110, 22), person(250, 90, 30, angle=0.4)])


def mirrored_poses(poses, width):
    """What a mirror makes of poses in a picture of this width: written without the table of joints."""
    result = np.zeros_like(poses)
    for joint in Joint:
        name = joint.name.replace("left", "*").replace("right", "left").replace("*", "right")
        result[:, Joint[name]] = poses[:, joint]
    result[..., 0] = np.where(result[..., 2] > 0, width - 1 - result[..., 0], 0)
    return result


def maps_of(poses, width=WIDTH, height=HEIGHT):
    xs, ys = cell_centers(width), cell_centers(height)
    return make_pafs(poses, xs, ys), make_heatmaps(poses, xs, ys)


class SeededNet:
    """Answers random maps that depend on the picture, each picture of x by itself, and counts its calls."""

    def __init__(self):
        self.shapes = []

    def __call__(self, x):
        self.shapes.append(x.shape)
        shape = x.shape[2] // STRIDE, x.shape[3] // STRIDE
        rngs = [np.random.default_rng(abs(int(1e4 * float(np.float64(picture[0, 0, 0]) + picture[1, 0, -1])))) for picture in x]
        pafs = np.stack([rng.standard_normal((38, *shape)) for rng in rngs]).astype(np.float32)
        heatmaps = np.stack([rng.standard_normal((19, *shape)) for rng in rngs]).astype(np.float32)
        return pafs, heatmaps

    def stream(self, items):
        return ((thing, self(x)) for thing, x in items)


class LabelNet:
    """Knows two pictures, gradient() and its mirror image, and errs by half a cell to the right in both."""

    def __call__(self, x):
        answers = []
        for picture in x:
            poses = POSES if picture[0, 0, 0] < picture[0, 0, -1] else mirrored_poses(POSES, WIDTH)
            answers.append(maps_of(poses + np.array([4, 0, 0]) * (poses[..., 2:] > 0)))
        return tuple(np.stack(maps).astype(np.float32) for maps in zip(*answers, strict=True))

    def stream(self, items):
        return ((thing, self(x)) for thing, x in items)


def picture(width=WIDTH, height=HEIGHT):
    return np.random.default_rng(7).integers(0, 256, (height, width, 3), dtype=np.uint8)


def gradient():
    return np.broadcast_to(np.linspace(0, 255, WIDTH).astype(np.uint8)[None, :, None], (HEIGHT, WIDTH, 3))


def test_joints_and_limbs_of_the_other_side():
    assert FLIPPED_JOINTS == (0, 1, 5, 6, 7, 2, 3, 4, 11, 12, 13, 8, 9, 10, 15, 14, 17, 16)
    assert [FLIPPED_JOINTS[joint] for joint in FLIPPED_JOINTS] == list(Joint)
    assert [FLIPPED_LIMBS[limb] for limb in FLIPPED_LIMBS] == list(range(19))
    assert [(FLIPPED_JOINTS[a], FLIPPED_JOINTS[b]) for a, b in LIMBS] == [LIMBS[limb] for limb in FLIPPED_LIMBS]


def test_mirrored_labels_are_the_labels_of_mirrored_poses():
    pafs, heatmaps = mirror_maps(*maps_of(POSES))
    expected_pafs, expected_heatmaps = maps_of(mirrored_poses(POSES, WIDTH))
    np.testing.assert_allclose(pafs, expected_pafs, atol=1e-6)
    np.testing.assert_allclose(heatmaps, expected_heatmaps, atol=1e-6)
    assert np.abs(pafs - maps_of(POSES)[0]).max() > 0.5


def test_twice_is_not_at_all():
    pafs, heatmaps = (maps.astype(np.float32) for maps in maps_of(POSES))
    again = mirror_maps(*mirror_maps(pafs, heatmaps))
    np.testing.assert_array_equal(again[0], pafs)
    np.testing.assert_array_equal(again[1], heatmaps)
    assert again[0].dtype == again[1].dtype == np.float32


@pytest.mark.parametrize("options", [{}, {"precise": True, "scales": (0.5, 1, 2)}])
def test_the_mirror_image_has_the_mirrored_maps(options):
    """With flip, of any network whatever: the two pictures are the same two. Without flip not."""
    image = picture()
    for flip in (True, False):
        detector = PoseDetector(SeededNet(), flip=flip, **options)
        pafs, heatmaps, _ = detector.network_maps(image)
        expected_pafs, expected_heatmaps = mirror_maps(pafs, heatmaps)
        pafs, heatmaps, _ = detector.network_maps(np.ascontiguousarray(image[:, ::-1]))
        same = np.allclose(pafs, expected_pafs, atol=1e-5) and np.allclose(heatmaps, expected_heatmaps, atol=1e-5)
        assert same is flip
        assert {shape[0] for shape in detector.net.shapes} == {2 if flip else 1}


def test_both_pictures_count():
    """The errors of the two cancel."""
    poses, _ = PoseDetector(LabelNet())(gradient())
    assert np.abs(np.sort(poses[:, 0, 0]) - np.sort(POSES[:, 0, 0]) - 4).max() < 1
    poses, _ = PoseDetector(LabelNet(), flip=True)(gradient())
    order = np.argsort(poses[:, 0, 0])
    assert len(poses) == 2
    np.testing.assert_allclose(poses[order][..., :2], POSES[..., :2], atol=1)


def test_the_mirror_image_has_the_mirrored_people():
    net = open_net("lightposenet", precision="f32")
    image = read_image(ROOT / "data" / "people.png")
    image = np.ascontiguousarray(image[: image.shape[0] // STRIDE * STRIDE, : image.shape[1] // STRIDE * STRIDE])
    detector = PoseDetector(net, flip=True, short_side=min(image.shape[:2]))
    poses, scores = detector(image)
    other_poses, other_scores = detector(np.ascontiguousarray(image[:, ::-1]))
    expected = mirrored_poses(poses, image.shape[1])
    order, other_order = np.argsort(expected[:, 0, 0]), np.argsort(other_poses[:, 0, 0])
    assert len(poses) >= 3
    np.testing.assert_allclose(other_poses[other_order], expected[order], atol=0.05)
    np.testing.assert_allclose(other_scores[other_order], scores[order], atol=1e-3)


def test_stream_and_detect_agree():
    detector = PoseDetector(LabelNet(), flip=True)
    image = gradient()
    expected = detector.detect(image)
    found = list(detector.stream([image, image]))
    assert len(found) == 2
    for _, people in found:
        np.testing.assert_array_equal(people.poses, expected.poses)
