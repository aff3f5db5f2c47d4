"""Weights and training's models: npz."""

import numpy as np
from faults import mutations
from faults.kinds import Kind, digest, script

import convert_model
from models import ARCHS, shapes_of
from models.weights import read_weights

SHAPES = {"conv1/W": (8, 3, 3, 3), "conv1/b": (8,), "out/W": (57, 8, 1, 1), "out/b": (57,)}


class Weights(Kind):
    name, save, share, has_checksum = "npz", staticmethod(np.savez), 2.0, True

    def __init__(self, folder):
        super().__init__(folder)
        rng = np.random.default_rng(1)
        self.save(self.folder / "good", **{name: rng.standard_normal(shape).astype(np.float32) for name, shape in SHAPES.items()})
        self.good = (self.folder / "good.npz").read_bytes()

    def damaged(self, rng):
        if rng.random() < 0.5:
            return mutations.of_zip(rng, self.good), True
        return mutations.of_bytes(rng, self.good), False

    def answer(self, data):
        path = self.folder / "w.npz"
        path.write_bytes(data)
        return digest(*read_weights(path, SHAPES).values())


class Packed(Weights):
    name, save, share = "npz packed", staticmethod(np.savez_compressed), 1.0


class Model(Weights):
    """A whole network, through convert_model.py, which leaves nothing behind where it refuses."""

    name, share = "training model", 0.3

    def __init__(self, folder):
        super().__init__(folder)
        self.good = ARCHS["lightposenet"].weights.read_bytes()

    def answer(self, data):
        path, out = self.folder / "w.npz", self.folder / "out.npz"
        path.write_bytes(data)
        out.unlink(missing_ok=True)
        try:
            script(convert_model.main, "lightposenet", path, out)
        finally:
            assert out.exists() or [file.name for file in self.folder.glob("*out*")] == []
        return digest(*read_weights(out, shapes_of("lightposenet")).values())


KINDS = (Weights, Packed, Model)
