"""Run a table of layers with Chainer: the reference engine, and the one that trains. On a GPU through CuPy."""

import numpy as np

from engines.chainer_blocks import Shape
from engines.chainer_compat import chainer
from engines.chainer_convolution import Convolution, ReluSum
from errors import InputError
from models.layers import run_layers

F = chainer.functions
L = chainer.links


class TableChain(chainer.Chain):
    """A table as a chainer.Chain; its parameters are named like the table's layers (conv1_1/W, conv1_1/b)."""

    def __init__(self, network):
        super().__init__()
        self.network = network
        with self.init_scope():
            for layer in network.layers:
                if layer.op == "conv":
                    link = L.Convolution2D(None, layer.channels, layer.kernel, layer.stride, layer.pad, dilate=layer.dilation)
                    setattr(self, layer.name, link)

    def forward(self, x, stages=None) -> list:
        """x (N, 3, H, W) float32 -> per stage a list of its outputs (N, channels, H/8, W/8). stages: a slice; None is all."""
        chosen = self.network.stages[stages or slice(None)]
        wanted = {output.layer for stage in chosen for output in stage}
        results = run_layers(self.network.layers, chainer.as_variable(x), self._step, wanted)
        return [[_channels(results[layer], start, stop) for layer, start, stop in stage] for stage in chosen]

    def _step(self, layer, inputs):
        if layer.op == "conv":
            return self._convolve(layer, inputs[0])
        if layer.op == "pool":
            y = F.max_pooling_2d(inputs[0], 2, 2, cover_all=True)
        elif layer.op == "concat":
            y = F.concat(inputs, axis=1)
        elif layer.relu and len(inputs) == 2 and _on_cpu(inputs[0]):
            return ReluSum().apply(inputs)[0]
        else:
            y = sum(inputs[1:], inputs[0])
        return F.relu(y) if layer.relu else y

    def _convolve(self, layer, x):
        return self._convolution(layer, x, layer.relu)

    def _convolution(self, layer, x, relu):
        """The layer's convolution, on a CPU by our own function."""
        link = self[layer.name]
        if _on_cpu(x) and link.W.array is not None:  # weights that nobody gave are made up by Chainer's own
            return Convolution(Shape(layer.kernel, layer.stride, layer.pad, layer.dilation), relu).apply((x, link.W, link.b))[0]
        y = link(x)
        return F.relu(y) if relu else y


def _on_cpu(x):
    return isinstance(x.array, np.ndarray)


def _channels(y, start, stop):
    """Not by a slice, whose gradient Chainer scatters number by number."""
    edges = [edge for edge in (start, stop) if 0 < edge < y.shape[1]]
    return F.split_axis(y, edges, axis=1)[int(start > 0)] if edges else y


def load_weights(chain, weights):
    """Give the chain's convolutions their parameters: {"conv1_1/W": array}, complete (models.weights.read_weights)."""
    for name, weight in weights.items():
        parameter_of(chain, name).array = weight.copy()


def parameter_of(chain, name):
    """The chainer.Parameter called like "conv1_1/W"."""
    layer, part = name.split("/")
    return getattr(chain[layer], part)


class ChainerNet:
    """net(x): x (N, 3, H, W) float32 -> tuple of arrays (N, channels, H/8, W/8) float32, the last stage's outputs."""

    compile_seconds = 0.0  # nothing is compiled

    def __init__(self, chain, device):
        """chain: a TableChain with its parameters, on the chainer device."""
        self.chain, self.device = chain, device

    @classmethod
    def of_weights(cls, network, weights, device=-1):
        """weights: {"conv1_1/W": array}, complete. device: -1 is the CPU, 0.. the number of a GPU. Raises InputError if that GPU cannot be used."""
        chain = TableChain(network)
        load_weights(chain, weights)
        device = open_device(device)
        chain.to_device(device)
        return cls(chain, device)

    def __call__(self, x) -> tuple:
        with chainer.using_config("train", False), chainer.no_backprop_mode(), chainer.using_device(self.device):
            outputs = self.chain(self.device.send(np.asarray(x, np.float32)), slice(-1, None))[0]
        return tuple(chainer.get_device("@numpy").send(output.array) for output in outputs)

    def stream(self, items):
        """items yields (anything, x); yields (the same thing, tuple of arrays), in order, one at a time."""
        for thing, x in items:
            yield thing, self(x)


def open_device(number):
    """The chainer device of a GPU number, tried out."""
    if number < 0:
        return chainer.get_device("@numpy")
    if not chainer.backends.cuda.available:
        raise InputError(
            f"--gpu {number}: Chainer on a GPU needs CuPy, which is not installed or does not load; run: pip install cupy-cuda12x "
            "(or the package for your CUDA version), or leave --gpu out"
        )
    try:
        device = chainer.get_device(f"@cupy:{number}")
        device.send(np.zeros(1, np.float32)) + 1
    except Exception as error:  # CuPy's errors can only be named where CuPy is installed
        raise InputError(f"--gpu {number}: no such GPU can be used ({error}); leave --gpu out to run on the CPU") from None
    return device
