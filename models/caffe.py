"""Read the weights of a .caffemodel: both forms (`layer` and the older `layers`), float and double, `shape` and the older four numbers.

The file is a protobuf message; models/caffe.proto is our own minimal description of it. Nothing else of Caffe is needed.
"""

import math
from typing import NamedTuple

import numpy as np

from errors import InputError
from files import read_bytes
from models.weights import check_finite

CONVOLUTIONS = (b"Convolution", 4)  # Layer.type in the newer and in the older form


class Layer(NamedTuple):
    """One layer that has weights: blobs are float32 or float64 arrays in the file's own shapes."""

    name: str
    type: object
    blobs: list


def read_layers(path) -> list:
    """The layers of a .caffemodel that hold weights, in the file's order. Raises InputError."""
    from google.protobuf.message import DecodeError

    from models import caffe_pb2 as pb

    data = read_bytes(path, "caffemodel", 'README, "Weights", says how to get it')
    try:
        net = pb.NetParameter.FromString(data)
        del data
        messages = [pb.LayerParameter.FromString(layer) for layer in net.layer]
        messages += [pb.V1LayerParameter.FromString(layer) for layer in net.layers]
    except DecodeError:
        raise InputError(
            f"caffemodel {path}: expected a Caffe network with weights, got something else, or a file cut off; download it again"
        ) from None
    layers = []
    for message in messages:
        if message.blobs:
            name = message.name.decode("utf-8", "backslashreplace")
            layers.append(Layer(name, message.type, [_array(blob, f"caffemodel {path}: layer {name!r}") for blob in message.blobs]))
    if not layers:
        raise InputError(
            f"caffemodel {path}: no layer in it has weights; expected a trained network, not its description (.prototxt) or an empty file"
        )
    return layers


def _array(blob, place):
    """The numbers of a blob in the shape that it states, float32 or float64."""
    runs, dtype = (blob.double_data, "<f8") if blob.double_data else (blob.data, "<f4")
    data = runs[0] if len(runs) == 1 else b"".join(runs)
    shape = tuple(blob.shape.dim) if blob.HasField("shape") else (blob.num, blob.channels, blob.height, blob.width)
    itemsize = np.dtype(dtype).itemsize
    if any(size < 0 for size in shape) or math.prod(shape) * itemsize != len(data):
        stated = "x".join(map(str, shape[:6]))
        raise InputError(f"{place} states {stated} numbers and holds {len(data) / itemsize:g}; the file is damaged, download it again")
    return np.frombuffer(data, dtype).reshape(shape)


def take_weights(path, layers, shapes):
    """The weights of one network out of the layers of a caffemodel.

    layers: of read_layers. shapes: {name: shape} (models.layers.parameter_shapes).
    Returns {name: float32 array} in the table's order, and the names of the layers that were left over.
    Raises InputError (exit status 1) naming what is missing, or (2) what does not fit.
    """
    by_name = {}
    for layer in layers:
        if layer.name in by_name:
            raise InputError(f"caffemodel {path}: layer {layer.name!r} is there twice; the file is damaged, download it again")
        by_name[layer.name] = layer
    wanted = list(dict.fromkeys(name.rpartition("/")[0] for name in shapes))
    missing = [name for name in wanted if name not in by_name]
    if missing:
        few = ", ".join(missing[:4]) + (", ..." if len(missing) > 4 else "")
        raise InputError(
            f"caffemodel {path}: {len(wanted) - len(missing)} of {len(wanted)} layers found, {few} missing; "
            "nothing was written; name the network this file is for, or download it again",
            status=1,
        )
    weights = {}
    for name in wanted:
        layer = by_name[name]
        place = f"caffemodel {path}: layer {name}"
        if layer.type not in CONVOLUTIONS:
            raise InputError(f"{place} is no convolution; this file is for another network, or damaged")
        if len(layer.blobs) != 2:
            raise InputError(f"{place} has {len(layer.blobs)} blobs, expected weights and bias; this file is for another network, or damaged")
        for blob, parameter in zip(layer.blobs, (f"{name}/W", f"{name}/b"), strict=True):
            weights[parameter] = _fit(blob, shapes[parameter], f"{place}: {'weights' if parameter.endswith('W') else 'bias'}")
    return weights, [name for name in by_name if name not in wanted]


def _fit(blob, shape, place):
    """The blob in the expected shape, float32; a bias may be stored as (1, 1, 1, n)."""
    if blob.shape != shape and not (len(shape) == 1 and blob.shape == (1, 1, 1, *shape)):
        raise InputError(f"{place} of shape {blob.shape}, expected {shape}; this file is for another network, or damaged")
    with np.errstate(over="ignore"):
        array = np.ascontiguousarray(blob.reshape(shape), np.float32)
    check_finite(array, place)
    return array
