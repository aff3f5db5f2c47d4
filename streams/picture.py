"""Read a picture from a file or a URL: (H, W, 3) uint8, BGR. What is damaged or no picture is refused in one line."""

import zlib

import cv2
import numpy as np

from errors import InputError
from files import is_url, read_bytes

JPEG = b"\xff\xd8"
PNG = b"\x89PNG\r\n\x1a\n"


def read_image(path, turn=True) -> np.ndarray:
    """The picture in a file, or behind a URL (http, https): (H, W, 3) uint8 BGR, turned as its EXIF says; grey, 16-bit and CMYK are converted,
    transparency lies on white.

    turn=False: as it is stored, which is how COCO's annotators saw it.

    Raises InputError for a file that is missing, no picture, or cut off.
    """
    data = _fetch(str(path)) if is_url(path) else read_bytes(path, "picture")
    if not data:
        raise InputError(f"picture {path}: the file is empty; copy or download it again")
    if _is_cut_off(data):
        raise InputError(f"picture {path}: the file is damaged, or ends in the middle of the picture; copy or download it again")
    image = _decode(data) if turn else _decode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise InputError(f"picture {path}: expected a picture (JPEG, PNG, BMP, TIFF, WebP, ...), got something else; convert it")
    return image


def _fetch(url) -> bytes:
    from streams.web import fetch  # takes 50 ms, and is seldom needed

    return fetch(url, "picture")


def _decode(data, flags=cv2.IMREAD_COLOR):
    """BGR uint8, or None if OpenCV cannot read the bytes."""
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # our own line says it
    try:
        encoded = np.frombuffer(data, np.uint8)
        image = cv2.imdecode(encoded, flags)
        if image is not None and _may_be_transparent(data):
            layers = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)
            if layers is not None and layers.ndim == 3 and layers.shape[2] == 4 and layers.dtype in (np.uint8, np.uint16):
                image = _on_white(_turn_like(layers, image))
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


def _on_white(layers):
    """(H, W, 4) uint8 or uint16 -> (H, W, 3) uint8: transparent parts show white, as viewers show them."""
    full = np.iinfo(layers.dtype).max
    color, alpha = layers[..., :3].astype(np.float32) * (255 / full), layers[..., 3:].astype(np.float32) / full
    return np.rint(color * alpha + 255 * (1 - alpha)).astype(np.uint8)


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
