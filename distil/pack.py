"""A pack: crops of faces or hands with the teacher's points, in one .npz.

data: the crops one after another as WebP, offset (N + 1,): where each begins; points (N, P, 2) float32: x, y in pixels of the crop, NaN in crops
without a face or hand; spread (N, P) float16: between the teacher's runs, in sizes of the face or hand; score (N,) float32: the teacher's;
box (N, 4) float32: left, top, right, bottom of the box that the toolkit makes from the pose, in pixels of the crop; left (N,) bool; id (N,) and
split (N,): of COCO's photo ("none": a crop without anything); scale (N,) float32: pixels of the crop for one of the photo.
"""

from typing import NamedTuple

import cv2
import numpy as np

from errors import InputError
from files import atomic_file
from keypoints.image import crop, resize
from models.npz import read_npz
from silence import quiet

MARGIN = 0.2  # around the box, in its sides: for turning and shifting
MAX_SIDE = 256  # of a crop, pixels
QUALITY = 90  # WebP's
KEYS = ("data", "offset", "points", "spread", "score", "box", "left", "id", "split", "scale")
ROWS = {
    "points": ("f", 3),
    "spread": ("f", 2),
    "score": ("f", 1),
    "box": ("f", 2),
    "left": ("b", 1),
    "id": ("iu", 1),
    "split": ("U", 1),
    "scale": ("f", 1),
}
MAX_COORDINATE = 1e5  # of a box
NOTHING = "none"  # the split of crops without a face or hand


class Crop(NamedTuple):
    """One row of a pack; the fields are those of the file."""

    image: np.ndarray  # (H, W, 3) uint8 BGR
    box: np.ndarray  # (4,)
    scale: float
    points: np.ndarray = np.zeros((0, 2))  # (P, 2)
    spread: np.ndarray = np.zeros(0)  # (P,)
    score: float = 0.0
    left: bool = False
    id: int = 0
    split: str = NOTHING


def cut(image, box) -> Crop:
    """The box (left, top, right, bottom) of a photo with a margin, no larger than MAX_SIDE."""
    left, top, right, bottom = box
    margin = round(MARGIN * max(right - left, bottom - top))
    part = crop(image, (left - margin, top - margin, right + margin, bottom + margin))
    scale = min(1.0, MAX_SIDE / max(part.shape[:2]))
    part = resize(part, (max(1, round(part.shape[1] * scale)), max(1, round(part.shape[0] * scale))))
    inner = np.array([margin, margin, margin + right - left, margin + bottom - top], np.float32)
    return Crop(part, inner * np.float32(scale), scale)


def write_pack(path, crops):
    """crops: Crop rows with points. Writes the file whole, or raises InputError."""
    encoded = [cv2.imencode(".webp", row.image, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])[1] for row in crops]
    arrays = {
        "data": np.concatenate(encoded),
        "offset": np.cumsum([0, *map(len, encoded)]),
        "points": np.array([row.points for row in crops], np.float32),
        "spread": np.array([row.spread for row in crops], np.float16),
        "score": np.array([row.score for row in crops], np.float32),
        "box": np.array([row.box for row in crops], np.float32),
        "left": np.array([row.left for row in crops], bool),
        "id": np.array([row.id for row in crops], np.int64),
        "split": np.array([row.split for row in crops]),
        "scale": np.array([row.scale for row in crops], np.float32),
    }
    with atomic_file(path) as part, part.open("wb") as file:
        np.savez(file, **arrays)


class Pack:
    """The rows of a pack; pack.image(n) decodes its crop when it is first asked for."""

    def __init__(self, path, n_points):
        """Raises InputError if the file is no pack of so many points."""
        arrays = read_npz(path, "pack", "make one first: python -m distil.points crops")
        missing = [key for key in KEYS if key not in arrays]
        if missing or arrays["points"].ndim != 3 or arrays["points"].shape[1:] != (n_points, 2):
            got = f"no {missing[0]!r}" if missing else f"points of shape {arrays['points'].shape}"
            raise InputError(f"pack {path}: expected crops with {n_points} points each, got {got}; name another file")
        check_rows(arrays, path)
        self.path = path
        self.data, self.offset, self.points, self.box = (arrays[key] for key in ("data", "offset", "points", "box"))
        self.spread, self.left, self.scale = arrays["spread"].astype(np.float32), arrays["left"], arrays["scale"]
        self.has_points = np.isfinite(self.points).all((1, 2))
        self.images = [None] * len(self.box)

    def __len__(self):
        return len(self.box)

    def image(self, n):
        """(H, W, 3) uint8 BGR."""
        if self.images[n] is None:
            with quiet():
                image = cv2.imdecode(self.data[self.offset[n] : self.offset[n + 1]], cv2.IMREAD_COLOR)
            if image is None or max(image.shape) > MAX_SIDE:
                raise InputError(f"pack {self.path}: crop {n} is no picture of {MAX_SIDE} pixels at most; make the pack again")
            self.images[n] = image
        return self.images[n]


def check_rows(arrays, path):
    """Raise InputError, naming path, unless the arrays are those of a pack, all of the same crops."""
    n, data, offset = len(arrays["points"]), arrays["data"], arrays["offset"]
    wrong = [key for key, (kinds, ndim) in ROWS.items() if arrays[key].dtype.kind not in kinds or arrays[key].ndim != ndim or len(arrays[key]) != n]
    if arrays["spread"].shape != arrays["points"].shape[:2]:
        wrong.append("spread")
    if arrays["box"].shape != (n, 4) or not (np.abs(arrays["box"]) < MAX_COORDINATE).all():
        wrong.append("box")
    if not (arrays["scale"] > 0).all():
        wrong.append("scale")
    if data.dtype != np.uint8 or data.ndim != 1:
        wrong.append("data")
    elif offset.dtype.kind != "i" or offset.shape != (n + 1,) or offset[0] != 0 or offset[-1] != len(data) or (np.diff(offset) <= 0).any():
        wrong.append("offset")
    if wrong:
        raise InputError(f"pack {path}: {wrong[0]!r} is not that of {n} crops; make the pack again")
