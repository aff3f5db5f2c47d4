"""Views of photos for the body network: people of 60 to 470 pixels in crops of 384, turned, mirrored, in other light.

Large people are what moved the network most: those who fill the picture went from AP 0.075 to 0.193 with them.
"""

from typing import NamedTuple

import cv2
import numpy as np

from keypoints.augment import view_matrix, warp, warp_poses
from keypoints.image import resize

PERSON = (60 / 384, 470 / 384)  # the longer side of the person in the middle, in sides of the view
PHOTO = (0.9, 1.6)  # the shorter side of the photo in a view of just any place, in sides of the view
P_PERSON = 0.8  # a view is around a person, where there is one
FILLS = 0.86  # the photo's shorter side is this many sides of the view at least
MOST = 2.6  # photos are enlarged by this at most
SHIFT = 0.3  # of the person from the middle, in sides of the view
TURN, FAR_TURN, P_FAR = 12, 50, 0.1  # standard deviations, degrees; the second one in so many views
P_LIGHT, P_GREY, P_TINT = 0.75, 0.2, 0.3
FINE = 0.6  # a photo that is made smaller than this is shrunk by averaging first


class View(NamedTuple):
    """matrix (2, 3): from the photo's pixels to the view's; scale: of it; is_flipped: whether it mirrors."""

    matrix: np.ndarray
    scale: float
    is_flipped: bool


def random_view(size_wh, boxes, side, rng) -> View:
    """A view of a photo of size_wh; boxes (n, 4): x, y, width, height of its people, of whom one may be in the middle; side: of the view."""
    size, least = np.array(size_wh, float), FILLS * side / min(size_wh)
    if len(boxes) and rng.random() < P_PERSON:
        box = boxes[rng.integers(len(boxes))]
        scale = _log_uniform(PERSON, rng) * side / max(box[2], box[3], 12)
        scale = min(max(scale, least), max(MOST, least))
        center = box[:2] + (box[2:] - 1) / 2 + rng.uniform(-SHIFT, SHIFT, 2) * side / scale
    else:
        scale = min(_log_uniform(PHOTO, rng) * side / min(size_wh), max(MOST, least))
        center = rng.uniform(0, size)
    reach = 0.92 * side / scale / 2  # of the view to each side, in pixels of the photo
    center = np.where(size > 2 * reach, np.clip(center, reach, np.maximum(size - reach, reach)), center)
    angle = rng.normal(0, FAR_TURN if rng.random() < P_FAR else TURN)
    is_flipped = bool(rng.random() < 0.5)
    return View(view_matrix(center, scale, angle, (0, 0), is_flipped, side), scale, is_flipped)


def _log_uniform(ends, rng):
    return np.exp(rng.uniform(*np.log(ends)))


def seen(image, poses, view, side):
    """image (H, W, 3) uint8 and poses (n, 18, 3) as the view has them: (side, side, 3) uint8, (n, 18, 3)."""
    small, matrix = shrunk(image, view.matrix, view.scale)
    nothing = np.zeros(small.shape[:2], bool)
    return warp(small, nothing, poses[:0], matrix, side)[0], warp_poses(poses, view.matrix, view.is_flipped)


def shrunk(image, matrix, scale):
    """(image, matrix) that give the same view, without the false patterns of a photo that is made much smaller at once."""
    if scale >= FINE:
        return image, matrix
    height, width = image.shape[:2]
    ratio = max(scale, 0.02) / 0.9
    small = resize(image, (max(2, round(width * ratio)), max(2, round(height * ratio))))
    grow = np.array([width / small.shape[1], height / small.shape[0]])  # half-pixel centres: x = (x' + 0.5) * grow - 0.5
    return small, np.column_stack([matrix[:, :2] * grow, matrix[:, 2] + matrix[:, :2] @ ((grow - 1) / 2)])


def jitter(image, rng):
    """(H, W, 3) uint8 in another light: brightness, contrast, colour, grey."""
    if rng.random() >= P_LIGHT:
        return image
    image = np.ascontiguousarray(image)
    if rng.random() < P_GREY:
        image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    ramp = np.arange(256, dtype=np.float32)[:, None] * rng.uniform(0.6, 1.4) + rng.uniform(-30, 30)
    ramp = ramp * (rng.uniform(0.8, 1.2, 3) if rng.random() < P_TINT else np.ones(3))
    return cv2.LUT(image, np.clip(ramp, 0, 255).astype(np.uint8)[:, None])
