"""Caffe's files."""

import numpy as np
from caffe_files import caffemodel, field, varint
from faults import mutations
from faults.kinds import Kind, digest
from faults.weights import SHAPES

from models.caffe import read_caffemodel


class Caffe(Kind):
    name, double, version = "caffemodel", False, 2

    def __init__(self, folder):
        super().__init__(folder)
        rng = np.random.default_rng(1)
        weights = {name: rng.standard_normal(shape) for name, shape in SHAPES.items()}
        self.good = caffemodel(weights, self.version, double=self.double)

    def damaged(self, rng):
        if rng.random() < 0.2:  # shapes that nobody has
            axes = b"".join(varint(int(rng.choice([0, 1, 1, 2, 8, 1 << 31, (1 << 63) - 1]))) for _ in range(rng.integers(0, 90)))
            shape = field(7, field(1, axes))
            return self.good.replace(field(7, field(1, b"".join(map(varint, SHAPES["out/W"])))), shape), True
        return mutations.of_bytes(rng, self.good), True

    def answer(self, data):
        path = self.folder / "w.caffemodel"
        path.write_bytes(data)
        return digest(*read_caffemodel(path, SHAPES)[0].values())


class OldCaffe(Caffe):
    name, double, version, share = "caffemodel, older", True, 1, 0.5


KINDS = (Caffe, OldCaffe)
