"""Write pictures, and files of results. A file appears whole or not at all; what cannot be written is found out before the work begins."""

import sys
from contextlib import ExitStack
from pathlib import Path

import cv2

from errors import InputError
from files import STDOUT, atomic_file, check_path

FORMATS = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff")


def check_image_path(path):
    """Raise InputError if no picture can be written there: an unknown extension, or a place that cannot be written."""
    if str(path) == STDOUT:
        return
    path = Path(path)
    if path.suffix.lower() not in FORMATS:
        raise InputError(f"--out {path}: expected a picture's name ({', '.join(FORMATS)}), got {path.suffix or 'no extension'!r}")
    check_path(path, "--out")


def encode_image(path, image) -> bytes:
    """A picture (H, W, 3) uint8 BGR in the format of path's extension, PNG for stdout. Raises InputError if it does not fit the format."""
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # our own line says it
    try:
        done, data = cv2.imencode(".png" if str(path) == STDOUT else Path(path).suffix, image)
    except cv2.error:
        done = False
    finally:
        cv2.utils.logging.setLogLevel(level)
    if not done:
        height, width = image.shape[:2]
        raise InputError(f"{path}: a picture of {width}x{height} cannot be written in this format; choose .png")
    return data.tobytes()


def write_image(path, image):
    """Write a picture (H, W, 3) uint8 BGR in the format of the extension."""
    write_files({path: encode_image(path, image)})


def write_files(contents):
    """Write {path: bytes}, all or none of them, and with them what goes to stdout (-)."""
    files = {path: content for path, content in contents.items() if str(path) != STDOUT}
    with ExitStack() as stack:
        parts = [stack.enter_context(atomic_file(path)) for path in files]
        for part, content in zip(parts, files.values(), strict=True):
            part.write_bytes(content)
        if STDOUT in contents:
            put_out(contents[STDOUT])


def put_out(data):
    """Write bytes to stdout, at once, so that whoever reads the pipe has them."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
