"""HEIC pictures, as telephones take them, by the package pillow-heif where it is installed."""

import importlib.util

import numpy as np

from errors import InputError

BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}  # ISO/IEC 23008-12, annex B; AVIF, which has its own, is OpenCV's


def is_heic(data) -> bool:
    """Whether a file's bytes begin as HEIC does."""
    return data[4:8] == b"ftyp" and data[8:12] in BRANDS and b"avif" not in data[16 : int.from_bytes(data[:4], "big")]


def read_heic(path, data, check_size):
    """(H, W, 3) uint8 BGR, upright as the file says. check_size: refuses (width, height) that are too large.

    Raises InputError where the file is damaged, or the package is missing.
    """
    if importlib.util.find_spec("pillow_heif") is None:
        raise InputError(f"picture {path}: HEIC is read by the package pillow-heif, which is not installed; pip install pillow-heif, or convert it")
    import pillow_heif

    try:
        file = pillow_heif.open_heif(data, convert_hdr_to_8bit=True, bgr_mode=True)
        check_size(file.size, f"picture {path}")
        image = np.asarray(file)[..., :3]
    except (InputError, MemoryError):
        raise
    except Exception:  # the package promises no list of what it raises
        raise InputError(f"picture {path}: the file is damaged, or no HEIC; copy or download it again") from None
    return np.ascontiguousarray(image)
