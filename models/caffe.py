"""Read the weights of a .caffemodel: both forms (`layer` and the older `layers`), float and double, `shape` and the older four numbers.

The file is a protobuf message; models/caffe.proto is our own minimal description of it. Nothing else of Caffe is needed.
"""

import math
import os
from typing import NamedTuple

import numpy as np

from errors import InputError
from files import open_binary
from models.weights import to_float32

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5  # protobuf's wire types
MAX_AXES = 32  # of a blob, in Caffe (include/caffe/blob.hpp)
MAX_FIELDS = 10_000  # of a file; a network has some hundred
CONVOLUTIONS = (b"Convolution", 4)  # Layer.type in the newer and in the older form


class Layer(NamedTuple):
    """One layer that has weights: blobs are float32 or float64 arrays in the file's own shapes, or None for a layer that nobody wants."""

    name: str
    type: object
    blobs: list


def read_layers(path, wanted) -> list:
    """The layers of a .caffemodel that hold weights, in the file's order. Raises InputError.

    wanted: names of the layers whose blobs are read; the others get none.
    """
    from google.protobuf.message import DecodeError

    from models import caffe_pb2 as pb

    kinds = {100: pb.LayerParameter, 2: pb.V1LayerParameter}
    layers = []
    try:
        for number, body in _fields(path, kinds):
            message = kinds[number].FromString(body)
            del body
            if not message.blobs:
                continue
            name = message.name.decode("utf-8", "backslashreplace")
            blobs = [_array(blob, f"caffemodel {path}: layer {name!r}") for blob in message.blobs] if name in wanted else None
            layers.append(Layer(name, message.type, blobs))
    except (DecodeError, EOFError):
        raise InputError(f"caffemodel {path}: expected a Caffe network, got something else or a file cut off; download it again") from None
    if not layers:
        raise InputError(f"caffemodel {path}: expected a trained network, got a file in which no layer has weights; download it again")
    return layers


def _fields(path, numbers):
    """Yield (number, bytes) of the file's fields that have one of the numbers, one at a time. Raises EOFError where the file is no message.

    Source: "Encoding", Protocol Buffers documentation: a field is the varint number << 3 | type, and then its value.
    """
    with open_binary(path, "caffemodel", "docs/networks.md says how to get it") as file:
        left, count = os.fstat(file.fileno()).st_size, 0
        while left:
            tag, tag_bytes = _varint(file)
            number, kind = tag >> 3, tag & 7
            length, length_bytes = _varint(file) if kind in (VARINT, BYTES) else ({FIXED64: 8, FIXED32: 4}.get(kind, left + 1), 0)
            size = 0 if kind == VARINT else length
            left -= tag_bytes + length_bytes + size
            count += 1
            if left < 0 or number == 0 or count > MAX_FIELDS:
                raise EOFError
            if number in numbers and kind == BYTES:
                yield number, file.read(size)
            else:
                file.seek(size, os.SEEK_CUR)


def _varint(file):
    """A number of 7 bits a byte, the last byte without the high bit: (number, bytes read)."""
    value = 0
    for n in range(10):
        byte = file.read(1)
        if not byte:
            raise EOFError
        value |= (byte[0] & 0x7F) << (7 * n)
        if byte[0] < 0x80:
            return value, n + 1
    raise EOFError


def _array(blob, place):
    """The numbers of a blob in the shape that it states, float32 or float64."""
    runs, dtype = (blob.double_data, "<f8") if blob.double_data else (blob.data, "<f4")
    data = runs[0] if len(runs) == 1 else b"".join(runs)
    shape = tuple(blob.shape.dim) if blob.HasField("shape") else (blob.num, blob.channels, blob.height, blob.width)
    itemsize = np.dtype(dtype).itemsize
    if len(shape) > MAX_AXES or any(size < 0 for size in shape) or math.prod(shape) * itemsize != len(data) or not data:
        stated = "x".join(map(str, shape[:6])) + ("x..." if len(shape) > 6 else "")
        raise InputError(f"{place} states {stated} numbers and holds {len(data) / itemsize:g}; the file is damaged, download it again")
    return np.frombuffer(data, dtype).reshape(shape)


def read_caffemodel(path, shapes):
    """The weights of one network out of a caffemodel.

    shapes: {name: shape} (models.layers.parameter_shapes).
    Returns {name: float32 array} in the table's order, and the names of the layers that were left over.
    Raises InputError (exit status 1) naming what is missing, or (2) what does not fit.
    """
    wanted = list(dict.fromkeys(name.rpartition("/")[0] for name in shapes))
    by_name = {}
    for layer in read_layers(path, set(wanted)):
        if layer.name in by_name:
            raise InputError(f"caffemodel {path}: layer {layer.name!r} is there twice; the file is damaged, download it again")
        by_name[layer.name] = layer
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
    return to_float32(blob.reshape(shape), place)
