"""Varied crops of faces and hands: shifted, scaled, turned, mirrored, and as a worse camera would have them."""

import math

import cv2
import numpy as np

from distil.views import shrunk

SHIFT, SCALES = 0.15, (0.6, 1.5)  # of the box in the view, in sides of it
STRETCH = 0.04  # deviation of the logarithm of width to height
P_FAR_TURN = 0.6  # of a face: anything within its kind's turn; else about a fifth of that
P_BLACK = 0.5  # what lies beside the picture is black; else its edge goes on
SMALLEST = 22  # pixels of a face or hand in the photo, as a view pretends it


def point_view(image, points, box, is_left, kind, side, rng):
    """(side, side, 3) uint8 and points (P, 2) in its pixels. image, points, box (4,), is_left: a row of a pack; kind: distil.kinds.Kind."""
    matrix, scale, mirrors = random_matrix(box, is_left, kind, side, rng)
    small, warp = shrunk(image, matrix, scale)
    flags = cv2.INTER_CUBIC if scale > 1.2 and rng.random() < 0.7 else cv2.INTER_LINEAR
    border = cv2.BORDER_CONSTANT if rng.random() < P_BLACK else cv2.BORDER_REPLICATE
    view = cv2.warpAffine(small, warp, (side, side), flags=flags, borderMode=border)
    points = points @ matrix[:, :2].T + matrix[:, 2]
    if mirrors and kind.mirror is not None:
        points = points[list(kind.mirror)]
    return worn(view, rng), points


def random_matrix(box, is_left, kind, side, rng):
    """(matrix (2, 3) from the crop's pixels to the view's, scale, whether it mirrors)."""
    extent = max(box[2] - box[0], box[3] - box[1])
    center = np.array([box[0] + box[2], box[1] + box[3]]) / 2 - 0.5 + extent * rng.uniform(-SHIFT, SHIFT, 2)
    scale = side / extent * math.exp(rng.uniform(*np.log(SCALES)))
    any_turn = kind.turn == 180 or rng.random() < P_FAR_TURN
    angle = math.radians(rng.uniform(-kind.turn, kind.turn) if any_turn else rng.normal() * kind.turn / 5)
    stretch = math.exp(rng.normal() * STRETCH)
    linear = scale * np.array([[math.cos(angle) * stretch, -math.sin(angle)], [math.sin(angle), math.cos(angle) / stretch]])
    mirrors = bool(is_left) if kind.mirror is None else bool(rng.random() < 0.5)
    if mirrors:
        linear[0] *= -1
    return np.column_stack([linear, (side - 1) / 2 - linear @ center]), scale, mirrors


def worn(image, rng):
    """The picture as a worse camera has it: coarser, blurred, hidden in part, in another light, noisy, compressed; (S, S, 3) uint8."""
    for probability, change in ((0.45, coarser), (0.22, blurred), (0.15, hidden), (0.8, lit), (0.15, noisy), (0.15, compressed)):
        if rng.random() < probability:
            image = change(image, rng)
    return image


def coarser(image, rng):
    """As if it had had so few pixels."""
    side = len(image)
    few = round(math.exp(rng.uniform(math.log(min(SMALLEST, side * 0.8)), math.log(side * 0.8))))
    small = cv2.resize(image, (few, few), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC if rng.random() < 0.7 else cv2.INTER_LINEAR)


def blurred(image, rng):
    """Out of focus, or moved."""
    if rng.random() < 0.68:
        return cv2.GaussianBlur(image, (0, 0), rng.uniform(0.6, 2.5))
    kernel = np.zeros((9, 9), np.float32)
    x, y = rng.integers(0, 9, 2).tolist()
    cv2.line(kernel, (x, y), (8 - x, 8 - y), 1.0)
    return cv2.filter2D(image, -1, kernel / kernel.sum())


def hidden(image, rng):
    """A rectangle of it is of one colour, or shows another part of the picture upside down."""
    side = len(image)
    (x, y), (width, height) = rng.integers(0, side, 2), rng.integers(side // 10, side // 3, 2)
    rectangle = slice(y, y + height), slice(x, x + width)
    result = image.copy()
    result[rectangle] = rng.integers(0, 256, 3) if rng.random() < 0.7 else image[::-1][rectangle]
    return result


def lit(image, rng):
    """Gamma, contrast, brightness, tint; sometimes grey."""
    ramp = 255 * (np.arange(256) / 255) ** math.exp(rng.uniform(-0.4, 0.4))
    ramp = (ramp * rng.uniform(0.65, 1.35) + rng.uniform(-30, 30))[:, None] * (rng.uniform(0.8, 1.2, 3) if rng.random() < 0.35 else np.ones(3))
    image = cv2.LUT(image, np.clip(ramp, 0, 255).astype(np.uint8)[:, None])
    return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR) if rng.random() < 0.15 else image


def noisy(image, rng):
    return np.clip(image + rng.normal(0, rng.uniform(2, 12), image.shape), 0, 255).astype(np.uint8)


def compressed(image, rng):
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.uniform(20, 80))])[1], cv2.IMREAD_COLOR)
