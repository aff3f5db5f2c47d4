"""Weights for a table with more channels that answer what they answered: a larger network goes on where a smaller one ended.

Source: Chen et al., "Net2Net: Accelerating Learning via Knowledge Transfer", ICLR 2016. There new channels are copies; here they are new
features whose readers begin with zeros, so that nothing has to be told apart first.
"""

import numpy as np

from errors import InputError
from models.layers import INPUT, parameter_shapes


def widen(weights, network, rng) -> dict:
    """{"conv1/W": array float32, ...} of the wider network's table: the same function of the picture as `weights`.

    weights: {"conv1/W": (out, in, k, k), "conv1/b": (out,), ...} of a table with the same layers and answers and no more channels.
    rng: for the new channels (He's normal numbers). Raises InputError where that is not so.
    """
    shapes = parameter_shapes(network.layers)
    _check(weights, network, shapes)
    places, widths = {INPUT: np.arange(3)}, {INPUT: 3}  # of each layer: where its old channels are among the new ones; how many there are now
    widened = {}
    for layer in network.layers:
        source = layer.inputs[0]
        if layer.op == "conv":
            weight, bias, shape = weights[f"{layer.name}/W"], weights[f"{layer.name}/b"], shapes[f"{layer.name}/W"]
            new = rng.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
            new[: len(weight)] = 0
            new[: len(weight), places[source]] = weight
            widened[f"{layer.name}/W"] = new.astype(np.float32)
            widened[f"{layer.name}/b"] = np.concatenate([bias, np.zeros(shape[0] - len(bias))]).astype(np.float32)
            places[layer.name], widths[layer.name] = np.arange(len(weight)), shape[0]
        elif layer.op == "concat":
            begins = np.cumsum([0, *(widths[name] for name in layer.inputs)])
            places[layer.name] = np.concatenate([begin + places[name] for begin, name in zip(begins, layer.inputs, strict=False)])
            widths[layer.name] = int(begins[-1])
        else:
            places[layer.name], widths[layer.name] = places[source], widths[source]
    return widened


def _check(weights, network, shapes):
    answers = {output.layer for stage in network.stages for output in stage}
    if weights.keys() != shapes.keys():
        raise InputError(f"--start: expected the {len(shapes) // 2} layers of the network, got other ones; name its own weights")
    for name, shape in shapes.items():
        old = weights[name].shape
        fits = len(old) == len(shape) and old[2:] == shape[2:] and all(a <= b for a, b in zip(old, shape, strict=True))
        if not fits or (name.split("/")[0] in answers and old[0] != shape[0]):
            raise InputError(f"--start: {name} has shape {old}, expected {shape} or fewer channels; name other weights or widths")
