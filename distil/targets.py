"""What a student should answer: the teacher's maps, raised by labels where there are any; Gaussians at the points of faces and hands."""

import numpy as np

from entity import N_JOINTS, N_LIMBS, STRIDE
from keypoints.labels import cell_centers, make_heatmaps, make_pafs


def raised(pafs, heatmaps, poses, side):
    """The teacher's pafs (38, G, G) and heatmaps (19, G, G) of a picture of `side` pixels, and its labelled poses (n, 18, 3) -> (57, G, G)
    float32, PAFs first: joints are where the teacher or the labels see them, limbs as the labels say, and as the teacher says elsewhere."""
    centers = cell_centers(side)
    labelled = make_pafs(poses, centers, centers).reshape(N_LIMBS, 2, *pafs.shape[1:])
    covered = (labelled != 0).any(1, keepdims=True)
    limbs = np.where(covered, labelled, pafs.reshape(labelled.shape)).reshape(pafs.shape)
    joints = np.maximum(np.clip(heatmaps[:N_JOINTS], 0, 1), make_heatmaps(poses, centers, centers)[:N_JOINTS])
    return np.concatenate([limbs, joints, 1 - joints.max(0, keepdims=True)]).astype(np.float32)


def point_maps(points, side):
    """points (P, 2) in pixels of a picture of `side` pixels, NaN where there is none -> (P + 1, side / 8, side / 8) float32, background last."""
    there = np.isfinite(points).all(-1, keepdims=True)
    return make_heatmaps(np.concatenate([np.where(there, points, 0), there], axis=-1)[None], *2 * (cell_centers(side, STRIDE),))


def to_int8(array, scale):
    """round(array * scale), -127..127."""
    return np.clip(np.rint(array * scale), -127, 127).astype(np.int8)
