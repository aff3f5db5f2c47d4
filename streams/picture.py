"""Read a picture from a file or a URL: (H, W, 3) uint8, BGR. What is damaged or no picture is refused in one line."""

import os
import sys
import zlib

import cv2
import numpy as np

from errors import InputError
from files import STDIN, is_url, read_bytes
from silence import quiet
from streams.heic import is_heic, read_heic
from streams.picture_size import JPEG, PNG, picture_size

LIMIT = "POSE_MAX_MEGAPIXELS"  # of the environment: how large pictures may be
MEGAPIXELS = 200  # where it is not set: the largest sensors of telephones have as many; a picture takes 3 bytes for each pixel, and some more
STRIP = 256  # rows that are worked on at a time


REDUCED = {8: cv2.IMREAD_REDUCED_COLOR_8, 4: cv2.IMREAD_REDUCED_COLOR_4, 2: cv2.IMREAD_REDUCED_COLOR_2}


def read_reduced(path, least) -> tuple:
    """As read_image, but a JPEG comes at a half, a quarter or an eighth of its size where its short side still has `least` pixels or more: libjpeg
    then leaves out the fine parts, which takes less than half the time.

    Returns (picture, (width, height) that it has in full); (picture, None) where it has come in full.
    """
    data = _checked(path)
    size_wh = picture_size(data) if data[:2] == JPEG else None
    factor = next((each for each in REDUCED if size_wh and min(size_wh) >= each * least), None)
    if factor is not None:
        small_wh = tuple(-(-side // factor) for side in size_wh)
        image = decode(data, REDUCED[factor]) if (small_wh[0] == small_wh[1]) == (size_wh[0] == size_wh[1]) else None  # to tell which way it stands
        if image is not None:
            turned = (image.shape[1], image.shape[0]) != small_wh  # as EXIF says
            return image, size_wh[::-1] if turned else size_wh
    return _decoded(path, data), None


def read_image(path, turn=True) -> np.ndarray:
    """The picture in a file, on stdin (-) or behind a URL (http, https): (H, W, 3) uint8 BGR, turned as its EXIF says; grey, 16-bit and CMYK
    are converted, transparency lies on white.

    turn=False: as it is stored, which is how COCO's annotators saw it.

    Raises InputError for a file that is missing, no picture, cut off, or larger than max_pixels().
    """
    return _decoded(path, _checked(path), turn)


def _named(path) -> str:
    """As messages call it."""
    return "picture on stdin" if path == STDIN else f"picture {path}"


def _checked(path) -> bytes:
    """What the file holds, where it may be a whole picture of a size that is allowed. Raises InputError."""
    data = sys.stdin.buffer.read() if path == STDIN else _fetch(str(path)) if is_url(path) else read_bytes(path, "picture")
    if not data and path == STDIN:
        raise InputError(f"{_named(path)}: nothing came; give it a picture's bytes, for example by < PICTURE")
    if not data:
        raise InputError(f"{_named(path)}: the file is empty; copy or download it again")
    if _is_cut_off(data):
        raise InputError(f"{_named(path)}: the file is damaged, or ends in the middle of the picture; copy or download it again")
    check_size(picture_size(data), _named(path))
    return data


def _decoded(path, data, turn=True):
    if is_heic(data):
        return read_heic(path, data, check_size)
    image = decode(data) if turn else decode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise InputError(f"{_named(path)}: expected a picture (JPEG, PNG, BMP, TIFF, WebP, ...), got something else; convert it")
    return image


def max_pixels() -> int:
    """That a picture may have. Raises InputError where the environment names no such number."""
    text = os.environ.get(LIMIT) or str(MEGAPIXELS)
    try:
        pixels = int(float(text) * 1e6)
    except (ValueError, OverflowError):
        pixels = 0
    if pixels <= 0:
        raise InputError(f"{LIMIT}={text}: expected how many millions of pixels a picture may have; leave it out for {MEGAPIXELS}")
    return pixels


def check_size(size_wh, place):
    """Raise InputError, beginning with `place`, for a picture that would take more memory than is useful. size_wh: None if nobody knows."""
    if size_wh is not None and size_wh[0] * size_wh[1] > (limit := max_pixels()):
        width, height = size_wh
        needed = -(-width * height // 1_000_000)
        said = f"{width}x{height} are more pixels than the limit of {limit / 1e6:g} million"
        raise InputError(f"{place}: {said}; make it smaller, or raise the limit: {LIMIT}={needed}")


def _fetch(url) -> bytes:
    from streams.web import fetch  # takes 50 ms, and is seldom needed

    return fetch(url, "picture")


def decode(data, flags=cv2.IMREAD_COLOR):
    """BGR uint8, or None if OpenCV cannot read the bytes."""
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # our own line says it
    try:
        encoded = np.frombuffer(data, np.uint8)
        with quiet():
            image = cv2.imdecode(encoded, flags)
        if image is not None and _may_be_transparent(data):
            with quiet():
                layers = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)
            if layers is not None and layers.ndim == 3 and layers.shape[2] == 4 and layers.dtype in (np.uint8, np.uint16):
                image = on_white(_turn_like(layers, image))
        return image
    except cv2.error:  # larger than OpenCV reads, or broken inside
        return None
    finally:
        cv2.utils.logging.setLogLevel(level)


def _may_be_transparent(data) -> bool:
    """False where the format or the header says no, which saves decoding a second time."""
    if data[:8] == PNG:
        return data[25] in (4, 6) or b"tRNS" in data[:4096]  # colour type: grey or colour with alpha
    return data[:2] not in (JPEG, b"BM")


def _turn_like(layers, image):
    """layers (h, w, 4), which OpenCV does not turn as EXIF says, turned like the same picture (H, W, 3), which it does."""
    small = layers[..., :3] if layers.dtype == np.uint8 else layers[..., :3] // 257
    for mirrored in (False, True):
        for quarter_turns in range(4):
            turned = np.rot90(small[:, ::-1] if mirrored else small, quarter_turns)
            if turned.shape == image.shape and np.abs(turned.astype(np.int16) - image).max() <= 1:
                return np.rot90(layers[:, ::-1] if mirrored else layers, quarter_turns)
    return layers


def on_white(layers):
    """(H, W, 4) uint8 or uint16 -> (H, W, 3) uint8: transparent parts show white, as viewers show them."""
    full = np.iinfo(layers.dtype).max
    image = np.empty((*layers.shape[:2], 3), np.uint8)
    for top in range(0, len(layers), STRIP):  # in float32 a large picture would take twenty times its memory
        strip = layers[top : top + STRIP].astype(np.float32) / full
        color, alpha = strip[..., :3] * 255, strip[..., 3:]
        image[top : top + STRIP] = np.rint(color * alpha + 255 * (1 - alpha))
    return image


def _is_cut_off(data) -> bool:
    """Whether a JPEG or PNG lacks its end, or a PNG's checksums are wrong. OpenCV makes the rest grey, or complains on stderr."""
    if data[:2] == JPEG:
        return not _jpeg_ends(data)
    return data[:8] == PNG and not _png_ends(data)


def _png_ends(data) -> bool:
    """Walk a PNG's chunks, each with its checksum, to the last one; what follows it does not matter."""
    at = 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        body = data[at + 4 : at + 8 + length]
        if zlib.crc32(body) != int.from_bytes(data[at + 8 + length : at + 12 + length], "big"):
            return False
        if body[:4] == b"IEND":
            return True
        if body[:4] == b"IHDR" and 0 in (int.from_bytes(body[4:8], "big"), int.from_bytes(body[8:12], "big")):
            return False
        at += 12 + length
    return False


def _jpeg_ends(data) -> bool:
    """Walk a JPEG's segments to its end marker; pictures inside segments (thumbnails) are stepped over."""
    at = 2
    while True:
        at = data.find(b"\xff", at)
        if at < 0 or at + 1 >= len(data):
            return False
        marker = data[at + 1]
        if marker == 0xD9:
            return True
        if marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD8:  # stuffing, fill bytes, restart: no length
            at += 1 if marker == 0xFF else 2
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
