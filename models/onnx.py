"""Write a network's table as an ONNX file: opset 13, IR version 7, as onnx.proto of the ONNX project numbers its fields.

A message of protobuf is a run of fields, each a key (number * 8 + kind) and a value; kind 0 is a varint, kind 2 a length and as many bytes
(protobuf.dev, "Encoding"). What a network needs is so little that it is written here without a library.
"""

import numpy as np

from models.layers import INPUT, run_layers

OPSET, IR_VERSION = 13, 7
ELEMENTS = {np.dtype(np.float32): 1, np.dtype(np.float16): 10}  # TensorProto.DataType
INT, INTS = 2, 7  # AttributeProto.AttributeType
OPS = {"conv": "Conv", "pool": "MaxPool", "concat": "Concat", "add": "Add"}


def varint(number) -> bytes:
    """A whole number from 0 on."""
    data = bytearray()
    while number > 0x7F:
        data.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes(data + bytes([number]))


def field(number, value) -> bytes:
    """value: a whole number, text or bytes (of a message too)."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def to_onnx(network, weights, name, facts, input_shape=None) -> bytes:
    """The file of a models.layers.Network.

    weights: {"conv1/W": float32 or float16...}; halves are stored as they are and become float32 when the network runs. name: of the network.
    facts: {key: text} for the file's metadata. input_shape: (N, 3, H, W); None leaves N, H and W free. Input `data`, outputs called as their layers.
    """
    nodes, tensors, channels = [], [], {}

    def parameter(key):
        array = weights[key]
        stored = f"{key}/half" if array.dtype == np.float16 else key
        tensors.append(_tensor(stored, array))
        if stored != key:
            nodes.append(_node("Cast", [stored], key, to=1))
        return key

    def step(layer, inputs):
        given, attributes = [each for each, _ in inputs], {}
        n_channels = layer.channels or (sum if layer.op == "concat" else max)(each for _, each in inputs)
        if layer.op == "conv":
            given += [parameter(f"{layer.name}/W"), parameter(f"{layer.name}/b")]
            square = {"kernel_shape": layer.kernel, "strides": layer.stride, "dilations": layer.dilation}
            attributes = {key: [value] * 2 for key, value in square.items()} | {"pads": [layer.pad] * 4}
        elif layer.op == "pool":
            attributes = {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1}
        elif layer.op == "concat":
            attributes = {"axis": 1}
        before = f"{layer.name}/before" if layer.relu else layer.name
        nodes.append(_node(OPS[layer.op], given, before, **attributes))
        if layer.relu:
            nodes.append(_node("Relu", [before], layer.name))
        channels[layer.name] = n_channels
        return layer.name, n_channels

    names = list(dict.fromkeys(output.layer for output in network.outputs))
    run_layers(network.layers, (INPUT, 3), step, names)
    graph = [field(1, node) for node in nodes] + [field(2, name)] + [field(5, tensor) for tensor in tensors]
    graph.append(field(11, _value(INPUT, input_shape or ("N", 3, "H", "W"))))
    graph += [field(12, _value(each, ("N", channels[each], f"{each}_H", f"{each}_W"))) for each in names]
    metadata = [field(14, field(1, key) + field(2, text)) for key, text in facts.items()]
    return b"".join([field(1, IR_VERSION), field(2, "pose toolkit"), field(7, b"".join(graph)), field(8, field(2, OPSET)), *metadata])


def _node(op, inputs, output, **attributes) -> bytes:
    parts = [*(field(1, each) for each in inputs), field(2, output), field(3, output), field(4, op)]
    for key, value in attributes.items():
        many = isinstance(value, list)
        numbers = b"".join(field(8, each) for each in value) if many else field(3, value)
        parts.append(field(5, field(1, key) + numbers + field(20, INTS if many else INT)))
    return b"".join(parts)


def _tensor(name, array) -> bytes:
    data = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()
    return b"".join([*(field(1, side) for side in array.shape), field(2, ELEMENTS[array.dtype]), field(8, name), field(9, data)])


def _value(name, shape) -> bytes:
    """A float32 input or output; a side is a number, or a name where it is free."""
    sides = b"".join(field(1, field(1 if isinstance(side, int) else 2, side)) for side in shape)
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, sides)))
