"""Networks as OpenVINO reads them: .xml and .bin, .onnx."""

import numpy as np
from caffe_files import field
from faults import mutations
from faults.kinds import Kind, digest

from engines import open_net
from engines.openvino_ir import make_ir, save_ir
from models import ARCHS, LightPoseNet
from models.layers import Network, Output, chain, conv, parameter_shapes

LAYERS = chain("data", conv("conv1", 8, 3, stride=8), conv("out", 57, 1, relu=False))
NETWORK = Network(LAYERS, ((Output("out", 0, 38), Output("out", 38, 57)),))
X = np.random.default_rng(2).random((1, 3, 32, 40), np.float32)


def small_network(folder):
    """Write a network of two layers, which takes a moment to compile, as lightposenet: its .xml."""
    LightPoseNet.NETWORK = NETWORK
    rng = np.random.default_rng(1)
    weights = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in parameter_shapes(LAYERS).items()}
    save_ir(make_ir("lightposenet", ARCHS["lightposenet"], weights), folder / "good.xml")
    return folder / "good.xml"


class Xml(Kind):
    name, share = "xml", 0.5

    def __init__(self, folder):
        super().__init__(folder)
        self.good = small_network(self.folder).read_bytes()

    def damaged(self, rng):
        return mutations.of_xml(rng, self.good) if rng.random() < 0.7 else mutations.of_bytes(rng, self.good), True

    def answer(self, data):
        path = self.folder / "net.xml"
        path.write_bytes(data)
        return digest(*open_net("lightposenet", path, bin=self.folder / "good.bin", precision="f32")(X))


class Bin(Xml):
    name, share = "bin", 0.3

    def __init__(self, folder):
        super().__init__(folder)
        self.good = (self.folder / "good.bin").read_bytes()

    def damaged(self, rng):
        return mutations.of_bytes(rng, self.good), True

    def answer(self, data):
        path = self.folder / "net.bin"
        path.write_bytes(data)
        return digest(*open_net("lightposenet", self.folder / "good.xml", bin=path, precision="f32")(X))


def onnx_network() -> bytes:
    """A convolution of 8x8 pixels, written by hand from the field numbers of onnx.proto."""
    weights = np.random.default_rng(3).standard_normal((57, 3, 8, 8)).astype("<f4")

    def ints(name, *values):
        return field(5, field(1, name) + b"".join(field(8, value) for value in values) + field(20, 7))

    def tensor(number, name, sizes):
        shape = field(2, b"".join(field(1, field(1, size)) for size in sizes))
        return field(number, field(1, name) + field(2, field(1, field(1, 1) + shape)))

    node = field(1, b"data") + field(1, b"w") + field(2, b"maps") + field(3, b"conv") + field(4, b"Conv")
    node += ints(b"kernel_shape", 8, 8) + ints(b"strides", 8, 8)
    initial = b"".join(field(1, size) for size in weights.shape) + field(2, 1) + field(8, b"w") + field(9, weights.tobytes())
    graph = field(1, node) + field(2, b"graph") + field(5, initial) + tensor(11, b"data", (1, 3, 32, 40)) + tensor(12, b"maps", (1, 57, 4, 5))
    return field(1, 8) + field(7, graph) + field(8, field(1, b"") + field(2, 13))


class Onnx(Kind):
    name, share = "onnx", 0.5

    def __init__(self, folder):
        super().__init__(folder)
        self.good = onnx_network()

    def damaged(self, rng):
        at = self.good.index(b"graph") + 5  # what lies before the weights is worth more damage
        return mutations.of_bytes(rng, self.good[:at]) + self.good[at:] if rng.random() < 0.5 else mutations.of_bytes(rng, self.good), True

    def answer(self, data):
        path = self.folder / "net.onnx"
        path.write_bytes(data)
        return digest(*open_net("human-pose-estimation-0001", path, precision="f32")(X))


KINDS = (Xml, Bin, Onnx)
