"""What a table of layers is made of. A network is a tuple of layers; an engine runs it in a loop.

    LAYERS = chain("data", conv("conv1", 64), pool("pool1"), conv("out", 19, 1, relu=False))

`chain` lets each layer read the one before it; a layer that names its inputs itself keeps them. The picture is "data".
"""

from typing import NamedTuple

INPUT = "data"


class Layer(NamedTuple):
    """One row of a table. op is conv, pool (maximum, 2x2, stride 2, ceil), concat (channels) or add."""

    op: str
    name: str
    inputs: tuple = ()
    channels: int = 0  # of the output; conv only
    kernel: int = 3
    stride: int = 1
    dilation: int = 1
    relu: bool = False

    @property
    def pad(self) -> int:
        """Pixels of zeros around the input: with stride 1 the output is as large as the input."""
        return self.kernel // 2 * self.dilation


class Output(NamedTuple):
    """Channels start..stop of a layer: what a network answers."""

    layer: str
    start: int
    stop: int


class Network(NamedTuple):
    """layers in the order they run; stages: per stage its outputs, the last one being the answer of the network."""

    layers: tuple
    stages: tuple

    @property
    def outputs(self) -> tuple:
        return self.stages[-1]


def conv(name, channels, kernel=3, *, stride=1, dilation=1, relu=True, inputs=()) -> Layer:
    """A convolution with bias, by default followed by ReLU."""
    return Layer("conv", name, inputs, channels, kernel, stride, dilation, relu)


def pool(name) -> Layer:
    return Layer("pool", name)


def concat(name, *inputs) -> Layer:
    return Layer("concat", name, inputs)


def add(name, *inputs) -> Layer:
    """ReLU(sum of the inputs)."""
    return Layer("add", name, inputs, relu=True)


def chain(source, *layers) -> tuple:
    """The layers, each without inputs of its own reading the one before it, the first one `source`."""
    chained = []
    for layer in layers:
        chained.append(layer if layer.inputs else layer._replace(inputs=(source,)))
        source = layer.name
    return tuple(chained)


def parameter_shapes(layers) -> dict:
    """{"conv1_1/W": (out, in, kernel, kernel), "conv1_1/b": (out,), ...}: every parameter of the table, in its order."""
    channels, shapes = {INPUT: 3}, {}
    for layer in layers:
        sizes = [channels[name] for name in layer.inputs]
        if layer.op == "conv":
            channels[layer.name] = layer.channels
            shapes[f"{layer.name}/W"] = (layer.channels, sizes[0], layer.kernel, layer.kernel)
            shapes[f"{layer.name}/b"] = (layer.channels,)
        else:
            channels[layer.name] = sum(sizes) if layer.op == "concat" else sizes[0]
    return shapes


def run_layers(layers, x, step, wanted) -> dict:
    """Run a table: step(layer, inputs) -> output for each layer; returns {name: output} of the layers `wanted`.

    An output is forgotten after its last reader, so that a forward pass needs no more memory than it must.
    """
    last_reader = {name: layer.name for layer in layers for name in layer.inputs}
    tensors, results = {INPUT: x}, {}
    for layer in layers:
        output = step(layer, [tensors[name] for name in layer.inputs])
        tensors[layer.name] = output
        if layer.name in wanted:
            results[layer.name] = output
        for name in layer.inputs:
            if last_reader[name] == layer.name:
                tensors.pop(name, None)
    return results
