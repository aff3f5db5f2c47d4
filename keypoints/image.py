"""Resize a picture for a network, bring it into the network's form, cut boxes out of it.

A picture is (H, W, 3) uint8, BGR.
"""

import cv2
import numpy as np

from entity import MAX_SIDE, STRIDE
from errors import InputError

PAD_COLOR = (104, 117, 123)  # right and bottom, precise mode; BGR


def fit_size(size_wh, short_side):
    """The size, in whole pixels, of a picture whose short side becomes short_side; the long side is MAX_SIDE at most."""
    scale = min(short_side / min(size_wh), MAX_SIDE / max(size_wh))
    return tuple(max(1, round(side * scale)) for side in size_wh)


def raise_to_stride(size_wh, stride=STRIDE):
    """Each side raised to a multiple of stride."""
    return tuple(-(-side // stride) * stride for side in size_wh)


def resize(image, size_wh):
    """Half-pixel centres; averaging when the picture shrinks (no aliasing from 4000 px), bicubic when it grows."""
    if (image.shape[1], image.shape[0]) == tuple(size_wh):
        return image
    image = _halved(image, size_wh)
    smaller_wh = min(size_wh[0], image.shape[1]), min(size_wh[1], image.shape[0])  # a side may shrink while the other one grows
    if smaller_wh != (image.shape[1], image.shape[0]):
        image = cv2.resize(image, smaller_wh, interpolation=cv2.INTER_AREA)
    return image if smaller_wh == tuple(size_wh) else cv2.resize(image, size_wh, interpolation=cv2.INTER_CUBIC)


def _halved(image, size_wh):
    """The picture, halved as long as that does not make it smaller than size_wh: OpenCV averages pairs of pixels twenty times as quickly as it
    does by a ratio such as 2.8, and what the network sees differs by a quarter of a grey level on average.
    """
    while all(large % 2 == 0 and large >= 2 * small for large, small in zip((image.shape[1], image.shape[0]), size_wh, strict=True)):
        if all(large % small == 0 for large, small in zip((image.shape[1], image.shape[0]), size_wh, strict=True)):
            break  # a whole ratio is quick, and exact
        image = cv2.resize(image, (image.shape[1] // 2, image.shape[0] // 2), interpolation=cv2.INTER_AREA)
    return image


def pad_to_stride(image, stride=STRIDE, color=PAD_COLOR):
    """The picture with PAD_COLOR added right and below up to a multiple of stride."""
    height, width = image.shape[:2]
    to_width, to_height = raise_to_stride((width, height), stride)
    return cv2.copyMakeBorder(image, 0, to_height - height, 0, to_width - width, cv2.BORDER_CONSTANT, value=color)


def normalise(image, scale=1 / 255, offset=-0.5):
    """(H, W, 3) uint8 -> x (1, 3, H, W) float32: value * scale + offset."""
    x = np.empty((1, 3, *image.shape[:2]), np.float32)
    for plane, target in zip(cv2.split(image), x[0], strict=True):  # five times as quick as NumPy's transposition
        np.multiply(plane, np.float32(scale), out=target)
    x += np.float32(offset)
    return x


def crop(image, box):
    """The part of the picture in box (left, top, right, bottom; right and bottom excluded); outside the picture it is black."""
    left, top, right, bottom = box
    height, width = image.shape[:2]
    result = np.zeros((max(bottom - top, 0), max(right - left, 0), 3), image.dtype)
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    if x0 < x1 and y0 < y1:
        result[y0 - top : y1 - top, x0 - left : x1 - left] = image[y0:y1, x0:x1]
    return result


def check_net(net, detector):
    """Raise InputError where what a detector (its name) is given as its network cannot be called."""
    if not callable(net):
        raise InputError(f"{detector} expects a network, for example engines.open_net(...), got {net!r}; open one first")


def check_picture(image):
    """Raise InputError for what is no picture (H, W, 3) uint8: None, which cv2.imread answers for a file that it cannot read, a grey one, ..."""
    if isinstance(image, np.ndarray) and image.ndim == 3 and image.shape[2] == 3 and image.dtype == np.uint8 and image.size:
        return
    got = f"{image.shape} {image.dtype}" if isinstance(image, np.ndarray) else f"{image!r:.60}"
    cure = "cv2.imread answers None for a file that is missing or no picture" if image is None else "cv2.imread gives such pictures"
    raise InputError(f"expected a picture, an array (H, W, 3) uint8 BGR, got {got}; {cure}")


def check_maps(*maps):
    """Raise InputError if a network answered numbers that are none."""
    with np.errstate(all="ignore"):
        finite = all(np.isfinite(array.sum(dtype=np.float64)) for array in maps)
    if not finite:
        raise InputError("the network answers NaN or infinity: its weights are damaged or its training diverged, or use --precision f32")
