"""Draw skeletons. Coordinates between the pixels are honoured, and lines are as wide as picture and person bear."""

import itertools

import cv2
import numpy as np

from entity import EAR_LIMBS, FACE_COLOR, FACE_LINES, FINGER_COLORS, HAND_FINGERS, JOINT_COLORS, LIMB_COLORS, LIMBS, N_JOINTS

SHIFT = 4  # OpenCV draws at 1 / 16 pixel


def line_width(pose, size_wh) -> int:
    """Pixels: a share of the picture's short side, thinner for a person who is small in it, never invisible. pose (18, 3)."""
    found = pose[pose[:, 2] > 0, :2]
    extent = np.ptp(found, axis=0).max() if len(found) else 0
    short = min(size_wh)
    return max(1, round(max(short / 400, min(short / 110, extent / 40))))


def draw_poses(image, poses):
    """A copy of the picture (H, W, 3) uint8 with the skeletons of poses (n, 18, 3), in pixels of the picture, drawn on it."""
    canvas = np.ascontiguousarray(image).copy()
    for pose in poses:
        width = line_width(pose, (image.shape[1], image.shape[0]))
        for limb, (a, b) in enumerate(LIMBS):
            if limb not in EAR_LIMBS and pose[a, 2] > 0 and pose[b, 2] > 0:
                cv2.line(canvas, _fixed(pose[a]), _fixed(pose[b]), LIMB_COLORS[limb], width, cv2.LINE_AA, SHIFT)
        radius = round(max(1.5, 0.85 * width) * (1 << SHIFT))
        for joint, point in enumerate(pose):
            if point[2] > 0:
                cv2.circle(canvas, _fixed(point), radius, JOINT_COLORS[joint], cv2.FILLED, cv2.LINE_AA, SHIFT)
    return canvas


def draw_heatmaps(image, heatmaps):
    """A copy of the picture with the joints' heatmaps (19, h, w) over it, each in its joint's colour; brightest where they are 1."""
    light = np.einsum("jyx,jc->yxc", heatmaps[:N_JOINTS], np.array(JOINT_COLORS, np.float32))
    return _add_light(image, light)


def draw_pafs(image, pafs):
    """A copy of the picture with the PAFs (38, h, w) over it: the hue is the direction, red to the right, and the light the length."""
    x, y = pafs.reshape(-1, 2, *pafs.shape[1:]).sum(0)
    hue = np.rad2deg(np.arctan2(y, x)) % 360
    hsv = np.stack([hue, np.ones_like(hue), np.minimum(np.hypot(x, y), 1)], axis=-1).astype(np.float32)
    return _add_light(image, 255 * cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR))


def draw_mask(image, mask):
    """A copy of the picture in which the ignored cells or pixels, mask (h, w) bool, are dark red."""
    ignored = _enlarge(mask.astype(np.uint8), image)[..., None] > 0
    return np.where(ignored, image // 3 + np.array([0, 0, 90], np.uint8), image)


def _add_light(image, light):
    return np.clip(image * 0.5 + _enlarge(light.astype(np.float32), image), 0, 255).astype(np.uint8)


def _enlarge(cells, image):
    """Maps as large as the picture, each cell a square: what one sees is what the network is taught."""
    return cv2.resize(cells, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_NEAREST)


def draw_face(image, keypoints):
    """A copy of the picture with the lines and points of a face; keypoints (70, 3): x, y, confidence in pixels, NaN where missing."""
    lines = [(np.array([*points, points[0]] if closed else points), FACE_COLOR) for points, closed in FACE_LINES]
    return _draw_points(image, keypoints, lines)


def draw_hand(image, keypoints):
    """A copy of the picture with the fingers of a hand, a hue each; keypoints (21, 3): x, y, confidence in pixels, NaN where missing."""
    return _draw_points(image, keypoints, list(zip(map(np.array, HAND_FINGERS), FINGER_COLORS, strict=True)))


def _draw_points(image, keypoints, lines):
    """lines: (indices of the points along a line, colour)."""
    canvas = np.ascontiguousarray(image).copy()
    found = np.isfinite(keypoints[:, 0])
    if not found.any():
        return canvas
    extent = np.ptp(keypoints[found, :2], axis=0).max()
    width = max(1, round(min(min(image.shape[:2]) / 110, extent / 80)))
    for indices, color in lines:
        for a, b in itertools.pairwise(indices):
            if found[a] and found[b]:
                cv2.line(canvas, _fixed(keypoints[a]), _fixed(keypoints[b]), color, width, cv2.LINE_AA, SHIFT)
    colors = dict.fromkeys(range(len(keypoints)), FACE_COLOR) | {int(i): color for indices, color in lines for i in indices}
    for index in np.flatnonzero(found):
        cv2.circle(canvas, _fixed(keypoints[index]), round(max(1.5, width) * (1 << SHIFT)), colors[int(index)], cv2.FILLED, cv2.LINE_AA, SHIFT)
    return canvas


def _fixed(point):
    return tuple(round(float(value) * (1 << SHIFT)) for value in point[:2])
