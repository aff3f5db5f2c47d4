"""What a small network can learn from in the tests: a pack of made-up crops; crops of made-up people, the shipped network being the teacher."""

import cv2
import numpy as np
from coco_files import make_coco

from distil import body, hints
from distil.kinds import KINDS
from distil.pack import cut, write_pack

HINTS = (hints.Hint("block2", 8, "block2"), hints.Hint("refine4", 5, "refine4"))


def made_pack(path, n=4, kind="hand", empty=1):
    rng, rows = np.random.default_rng(0), []
    for number in range(n):
        count = KINDS[kind].points
        photo = cv2.GaussianBlur(rng.integers(0, 256, (150, 150, 3), np.uint8), (0, 0), 3)
        points = rng.uniform(40, 100, (count, 2)) * (np.nan if number >= n - empty else 1)
        spread = rng.uniform(0, 0.05, count)
        rows.append(cut(photo, (30, 30, 110, 110))._replace(points=points, spread=spread, left=number % 2 == 1, id=number))
    write_pack(path, rows)
    return rows


def made_crops(folder, monkeypatch, count=6, *, side=96, seed=0):
    """Crops of make_coco's people in folder/crops; returns that folder."""
    monkeypatch.setitem(hints.HINTS, "lightposenet", HINTS)
    monkeypatch.setattr("distil.crops.SAMPLE_CROPS", 3)
    root = folder / "coco"
    if not root.exists():
        make_coco(root)
    arguments = ["--teacher", "lightposenet", "--count", str(count), "--side", str(side), "--seed", str(seed)]
    assert body.main(["crops", str(folder / "crops"), "--coco_dir", str(root), *arguments]) == 0
    return folder / "crops"
