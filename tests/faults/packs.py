"""Packs and sets of crops, from which distil/ trains."""

import cv2
import numpy as np
from distil_files import made_pack
from faults import mutations
from faults.kinds import Kind, digest

from distil.crops import CropSets
from distil.pack import Pack


class OfPoints(Kind):
    name, share, has_checksum = "pack of crops", 0.3, True

    def __init__(self, folder):
        super().__init__(folder)
        self.path = self.folder / "pack.npz"
        made_pack(self.path)
        self.good = self.path.read_bytes()

    def answer(self, data):
        self.path.write_bytes(data)
        pack = Pack(self.path, 21)
        return digest(pack.points, pack.box, pack.scale, *(cv2.resize(pack.image(n), (64, 64)) for n in range(len(pack))))


class OfBodies(Kind):
    """One of the arrays of a set of crops; what says how many there are is beside it."""

    name, share = "set of crops", 0.3

    def __init__(self, folder):
        super().__init__(folder)
        rng = np.random.default_rng(0)
        arrays = {
            "x": rng.integers(0, 256, (3, 64, 64, 3), np.uint8),
            "y": rng.integers(-9, 9, (3, 57, 8, 8), np.int8),
            "f": np.zeros((3, 0, 8, 8), np.int8),
        }
        for key, array in arrays.items():
            np.save(self.folder / f"seed0_{key}.npy", array)
        (self.folder / "seed0.json").write_text('{"crops": 3}')
        self.path = self.folder / "seed0_y.npy"
        self.good = self.path.read_bytes()

    def damaged(self, rng):
        return mutations.of_bytes(rng, self.good), True

    def answer(self, data):
        self.path.unlink(missing_ok=True)  # it may be mapped
        self.path.write_bytes(data)
        return digest(*CropSets(self.folder).batch(np.random.default_rng(1), 100))


KINDS = (OfPoints, OfBodies)
