"""Compare two results for the same picture: their maps, and the joints found."""

from typing import NamedTuple

import numpy as np

SAME_JOINT = 8.0  # pixels: joints nearer than this are one joint, found by both


class MapDifference(NamedTuple):
    """How maps b differ from maps a."""

    max: float
    mean: float
    correlation: float


def compare_maps(a, b) -> MapDifference:
    """a, b: arrays of one shape. Absolute differences, and Pearson's correlation of all numbers."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    difference = np.abs(a - b)
    spread = a.std() * b.std()
    correlation = float(((a - a.mean()) * (b - b.mean())).mean() / spread) if spread > 0 else float(np.array_equal(a, b))
    return MapDifference(float(difference.max()), float(difference.mean()), correlation)


def pose_points(poses):
    """The joints of poses (n, 18, 3): x, y, v as points (P, 3): joint, x, y."""
    person, joint = np.nonzero(poses[..., 2] > 0)
    return np.column_stack([joint, poses[person, joint, :2]])


def found_points(keypoints):
    """The points of a face or a hand (n, 3): x, y, confidence, NaN where missing, as points (P, 3): number, x, y."""
    number = np.flatnonzero(np.isfinite(keypoints[:, 0]))
    return np.column_stack([number, keypoints[number, :2]])


def count_common(points, others, radius=SAME_JOINT) -> int:
    """How many of the points (P, 3+): joint, x, y, ... have one of the same joint within `radius` pixels among the others (Q, 3+)."""
    if not len(points) or not len(others):
        return 0
    distance = np.hypot(points[:, None, 1] - others[None, :, 1], points[:, None, 2] - others[None, :, 2])
    distance[points[:, None, 0] != others[None, :, 0]] = np.inf
    return int((distance.min(1) <= radius).sum())
