"""Vary a training picture: scale, turn, crop and mirror it in one affine warp, change its colours; poses and mask follow.

Coordinates are of pixel centres, as everywhere: the centre of the first pixel is (0, 0), and a picture of `insize` has its middle at
(insize - 1) / 2. Randomness comes from the argument rng (numpy.random.Generator) alone: the same state gives the same sample.
"""

import cv2
import numpy as np

from entity import FLIPPED_JOINTS, STRIDE, Augmentation
from keypoints.image import PAD_COLOR

HUES = 180  # OpenCV's hue of uint8 pictures: 0..179, two degrees each


def augment(image, mask, poses, rng, boxes, insize, variation=None):
    """A random view of the picture around a random person: image, mask, poses, all in pixels of the view.

    image (H, W, 3) uint8 BGR; mask (H, W) bool, True where pixels do not count; poses (n, 18, 3): x, y, v; boxes (m, 4): x, y, width, height
    of the people that the view may be around, m > 0; insize: side of the view. variation: an entity.Augmentation, None for the usual one.
    Returns image (insize, insize, 3) uint8, mask (insize, insize) bool, poses (n, 18, 3). Joints may lie outside the view.
    """
    variation = variation or Augmentation()
    matrix, is_flipped = random_view(rng, boxes, insize, variation)
    image, mask, poses = warp(image, mask, poses, matrix, insize, is_flipped)
    if rng.random() < variation.p_color:
        image = random_colors(image, rng, variation)
    return image, mask, poses


def random_view(rng, boxes, insize, variation=None):
    """(matrix (2, 3) from the picture to the view, whether it mirrors); arguments as in augment."""
    variation = variation or Augmentation()
    box = boxes[rng.integers(len(boxes))]
    scale = rng.uniform(*scale_range(boxes, box, variation))
    angle = rng.normal(0, variation.rotation)
    shift = rng.uniform(-variation.shift, variation.shift, 2)
    is_flipped = bool(rng.random() < variation.p_flip)
    center = box[:2] + (box[2:] - 1) / 2
    return view_matrix(center, scale, angle, shift, is_flipped, insize), is_flipped


def scale_range(boxes, box, variation):
    """(lowest, highest) scale at which the longer sides of all boxes stay within min_box..max_box; where none does, of the one box; where none
    does that either, the nearest scale allowed. boxes (m, 4), box (4,): x, y, width, height.
    """
    for some in (boxes, box[None]):
        sides = np.maximum(some[:, 2:].max(1), 1)
        low, high = max(variation.min_scale, variation.min_box / sides.min()), min(variation.max_scale, variation.max_box / sides.max())
        if low <= high:
            return low, high
    nearest = float(np.clip(low, variation.min_scale, variation.max_scale))
    return nearest, nearest


def view_matrix(center, scale, angle, shift, is_flipped, insize):
    """(2, 3) float64: the picture's point `center` comes to the view's middle plus shift; scaled, turned by `angle` degrees (clockwise as
    seen), and mirrored last.
    """
    turn = np.deg2rad(angle)
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    matrix = np.column_stack([linear, (insize - 1) / 2 + np.asarray(shift) - linear @ center])
    return np.array([[-1, 0], [0, 1]]) @ matrix + [[0, 0, insize - 1], [0, 0, 0]] if is_flipped else matrix


def fit_matrix(size_wh, insize):
    """(2, 3) float64: the whole picture as large as it fits, in the middle of the view, nothing random."""
    center = (np.array(size_wh) - 1) / 2
    return view_matrix(center, insize / max(size_wh), 0, (0, 0), False, insize)


def warp(image, mask, poses, matrix, insize, is_flipped=False):
    """image, mask, poses as seen through the matrix (2, 3); mirrored people swap left and right. Shapes as in augment.

    Beside the picture the view has PAD_COLOR, and counts: nobody is there.
    """
    size = (insize, insize)
    image = cv2.warpAffine(image, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=PAD_COLOR)
    seen = np.zeros(size, bool)
    if mask.any():
        seen = cv2.warpAffine(mask.astype(np.uint8), matrix, size, flags=cv2.INTER_NEAREST).astype(bool)
    return image, seen, warp_poses(poses, matrix, is_flipped)


def warp_poses(poses, matrix, is_flipped=False):
    """poses (n, 18, 3) through the matrix (2, 3); missing joints (v = 0) become rows of zeros."""
    points = poses[..., :2] @ matrix[:, :2].T + matrix[:, 2]
    warped = np.where(poses[..., 2:] > 0, np.concatenate([points, poses[..., 2:]], axis=-1), 0)
    return warped[:, list(FLIPPED_JOINTS)] if is_flipped else warped


def random_colors(image, rng, variation=None):
    """Hue turned, saturation and brightness scaled; image (H, W, 3) uint8 BGR. Hues stay on their circle (0..179)."""
    variation = variation or Augmentation()
    turn = rng.uniform(-variation.hue, variation.hue) * HUES / 360
    saturation = rng.uniform(1 - variation.saturation, 1 + variation.saturation)
    brightness = rng.uniform(1 - variation.brightness, 1 + variation.brightness)
    return change_colors(image, turn, saturation, brightness)


def change_colors(image, turn, saturation, brightness):
    """The picture with its hue turned by `turn` (OpenCV's unit, two degrees), saturation and brightness multiplied."""
    levels = np.arange(256)
    table = np.stack([(np.rint(levels + turn) % HUES), *(np.clip(np.rint(levels * factor), 0, 255) for factor in (saturation, brightness))], axis=-1)
    hsv = cv2.LUT(cv2.cvtColor(image, cv2.COLOR_BGR2HSV), table[None].astype(np.uint8))
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)


def mask_cells(mask, stride=STRIDE):
    """(H, W) bool of pixels -> (H / stride, W / stride) bool of cells: a cell is ignored when half of its pixels are, or more."""
    rows, columns = (side // stride for side in mask.shape)
    ignored = mask[: rows * stride, : columns * stride].reshape(rows, stride, columns, stride)
    return ignored.sum((1, 3), dtype=np.uint16) >= stride * stride / 2
