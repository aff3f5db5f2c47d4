"""Made-up people for the tests."""

import numpy as np

from entity import Joint
from keypoints.labels import cell_centers, make_heatmaps, make_pafs
from keypoints.paf import decode

# One person, standing, seen from the front; the unit is the height of a head. x, y.
STANDING = np.array(
    [
        *((0.0, -0.7), (0.0, 0.3), (-0.8, 0.35), (-1.0, 1.7), (-1.1, 2.9)),
        *((0.8, 0.35), (1.0, 1.7), (1.1, 2.9)),
        *((-0.45, 3.0), (-0.5, 4.8), (-0.55, 6.5), (0.45, 3.0), (0.5, 4.8), (0.55, 6.5)),
        *((-0.3, -0.95), (0.3, -0.95), (-0.75, -0.75), (0.75, -0.75)),
    ]
)
FROM_SHOULDERS_UP = (Joint.Nose, Joint.Neck, Joint.RightShoulder, Joint.LeftShoulder, *range(Joint.RightEye, Joint.LeftEar + 1))


def person(x, y, head=40.0, angle=0.0, jitter=0.0, rng=None):
    """(18, 3) float64: STANDING with the neck near (x, y), `head` pixels per head, turned by `angle` radians, joints moved a little."""
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = STANDING if rng is None else STANDING + rng.normal(0, jitter, STANDING.shape)
    return np.concatenate([points @ turn.T * head + (x, y), np.full((18, 1), 2.0)], axis=1)


def visible(poses, size_wh):
    """The poses with the joints outside a picture of size_wh removed."""
    poses = poses.copy()
    outside = (poses[..., :2] < 0).any(-1) | (poses[..., :2] > np.array(size_wh) - 1).any(-1)
    poses[outside] = 0
    return poses


def round_trip(poses, size_wh):
    """The people that are found in the labels of poses (n, 18, 3)."""
    xs, ys = map(cell_centers, size_wh)
    return decode(make_pafs(poses, xs, ys), make_heatmaps(poses, xs, ys))
