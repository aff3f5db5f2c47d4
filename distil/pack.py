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

MARGIN = 0.2  # around the box, in its sides: for turning and shifting
MAX_SIDE = 256  # of a crop, pixels
QUALITY = 90  # WebP's
KEYS = ("data", "offset", "points", "spread", "score", "box", "left", "id", "split", "scale")
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
        self.data, self.offset, self.points, self.box = (arrays[key] for key in ("data", "offset", "points", "box"))
        self.spread, self.left, self.scale = arrays["spread"].astype(np.float32), arrays["left"], arrays["scale"]
        self.has_points = np.isfinite(self.points).all((1, 2))
        self.images = [None] * len(self.box)

    def __len__(self):
        return len(self.box)

    def image(self, n):
        """(H, W, 3) uint8 BGR."""
        if self.images[n] is None:
            self.images[n] = cv2.imdecode(self.data[self.offset[n] : self.offset[n + 1]], cv2.IMREAD_COLOR)
        return self.images[n]
