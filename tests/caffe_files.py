"""Caffe's file format, written by hand from its field numbers: an independent program to test models/caffe.py against."""

import struct

import numpy as np

SHAPES = {"conv1/W": (4, 3, 3, 3), "conv1/b": (4,), "conv2/W": (6, 4, 1, 1), "conv2/b": (6,), "out/W": (2, 6, 3, 3), "out/b": (2,)}


def varint(number) -> bytes:
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*out, number))


def field(number, value) -> bytes:
    """A field holding bytes (length-delimited) or a whole number (varint)."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def blob(array, form="shape", double=False) -> bytes:
    """BlobProto. form: shape (newer files), four (older files: num, channels, height, width)."""
    array = np.asarray(array)
    if form == "shape":
        head = field(7, field(1, b"".join(varint(size) for size in array.shape)))
    else:
        head = b"".join(field(n, size) for n, size in enumerate((1,) * (4 - array.ndim) + array.shape, start=1))
    data = field(8, array.astype("<f8").tobytes()) if double else field(5, array.astype("<f4").tobytes())
    return head + data


def layer(name, blobs, version=2, kind=None) -> bytes:
    """A field of NetParameter: `layer` (version 2) or `layers` (version 1). blobs: encoded BlobProtos."""
    name = name.encode()
    if version == 2:
        body = field(1, name) + field(2, b"Convolution" if kind is None else kind)
        return field(100, body + field(3, b"bottom") + field(4, name) + b"".join(field(7, b) for b in blobs))
    body = field(2, b"bottom") + field(3, name) + field(4, name) + field(5, 4 if kind is None else kind)
    return field(2, body + b"".join(field(6, b) for b in blobs))


def caffemodel(weights, version=2, form="shape", double=False) -> bytes:
    """A whole file from {"conv1_1/W": array, "conv1_1/b": array, ...}; with a data layer and a ReLU, which have no weights."""
    parts = [field(1, b"made for a test"), layer("data", [], version, b"Input" if version == 2 else 5)]
    for name in dict.fromkeys(key.rpartition("/")[0] for key in weights):
        arrays = weights[f"{name}/W"], weights[f"{name}/b"]
        parts.append(layer(name, [blob(array, form, double) for array in arrays], version))
        parts.append(layer(f"relu_{name}", [], version, b"ReLU" if version == 2 else 18))
    return b"".join(parts)


def unpacked(array) -> bytes:
    """BlobProto whose numbers are not packed, as the protobuf format also allows."""
    array = np.asarray(array, "<f4")
    head = field(7, field(1, b"".join(varint(size) for size in array.shape)))
    return head + b"".join(b"\x2d" + struct.pack("<f", value) for value in array.ravel())


def mutations(content, count):
    """Seeded damage: cut, flipped bits, overwritten, doubled and removed runs, exchanged numbers: (what, bytes, flipped bytes or None)."""
    rng = np.random.default_rng(1)
    data = np.frombuffer(content, np.uint8)
    for n in range(count):
        kind = n % 6
        at, length = int(rng.integers(len(data))), int(rng.integers(1, 64))
        if kind == 0:
            yield "cut", content[:at], None
        elif kind == 1:
            places = rng.integers(len(data), size=rng.integers(1, 4))
            flipped = data.copy()
            flipped[places] ^= (1 << rng.integers(8, size=len(places))).astype(np.uint8)
            yield "flip", flipped.tobytes(), len(places)
        elif kind == 2:
            flipped = data.copy()
            flipped[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF])
            yield "byte", flipped.tobytes(), 1
        elif kind == 3:
            yield "double", content[:at] + content[at : at + length] + content[at:], None
        elif kind == 4:
            yield "remove", content[:at] + content[at + length :], None
        else:
            noise = rng.bytes(length)
            yield "noise", content[:at] + noise + content[at + length :], min(length, len(content) - at)
