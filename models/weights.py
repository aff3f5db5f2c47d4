"""Weights, read strictly: every parameter of the table, nothing left over, every shape right, every number finite, or nothing at all."""

import numpy as np

from errors import InputError
from files import atomic_file
from models.npz import open_npz

# Files made by the original converter lack this layer: its bias stayed zero beside a trained one (facts: 91 of 92 layers were copied).
FORGOTTEN, TRAINED = "conv5_5_CPM_L1/b", "conv5_5_CPM_L2/b"


def read_weights(path, shapes, others=()) -> dict:
    """The weights of one network, float32, in the order of its table.

    path: an npz with the parameter names of the table, float16, float32 or float64.
    shapes: {name: shape} (models.layers.parameter_shapes). others: {arch: shapes} of other networks, to recognise their files.
    Raises InputError naming the file, what is wrong, and the cure.
    """
    with open_npz(path) as npz:
        _check_headers(path, shapes, dict(others), npz.headers)
        arrays = {name: npz.read(name) for name in npz.headers}
    if FORGOTTEN in shapes and not arrays[FORGOTTEN].any() and arrays[TRAINED].any():
        raise InputError(
            f"weights {path}: layer conv5_5_CPM_L1 was never copied from the caffemodel (its bias is all zero), a fault of the "
            "original converter; convert the caffemodel again with convert_model.py"
        )
    return {name: to_float32(arrays[name], f"weights {path}: {name}") for name in shapes}


def _check_headers(path, shapes, others, headers):
    """Raise InputError where the arrays that a file announces are not those of the network. headers: {name: models.npz.Header}."""
    given = {name: header.shape for name, header in headers.items()}
    for arch, other in others.items():
        if given == other and given != shapes:
            raise InputError(f"weights {path}: these are the weights of {arch}; name that network, or another file")
    missing = [name for name in shapes if name not in headers]
    extra = [name for name in headers if name not in shapes]
    if missing:
        layers = list(dict.fromkeys(name.split("/")[0] for name in missing))
        found = len({name.split("/")[0] for name in shapes}) - len(layers)
        few = ", ".join(layers[:3]) + (", ..." if len(layers) > 3 else "")
        raise InputError(
            f"weights {path}: {'layer' if len(layers) == 1 else 'layers'} {few} {'is' if len(layers) == 1 else 'are'} missing "
            f"({found} of {found + len(layers)} found); convert the caffemodel again, or name the network these weights are for"
        )
    if extra:
        raise InputError(f"weights {path}: {extra[0]!r} belongs to no layer of this network ({len(extra)} such entries); name the right network")
    for name, shape in shapes.items():
        header = headers[name]
        if header.shape != shape:
            raise InputError(f"weights {path}: {name} has shape {header.shape}, expected {shape}; these weights are for another network")
        if header.dtype.kind != "f":
            raise InputError(f"weights {path}: {name} holds {header.dtype}, expected floating point numbers; convert the file again")


def fold_normalisation(weight, bias, gamma, beta, mean, var, epsilon):
    """(weight, bias) of the one convolution that does what a convolution and batch normalisation after it do. weight (out, in, k, k), the rest
    (out,)."""
    factor = gamma / np.sqrt(var + epsilon)
    return weight * factor[:, None, None, None], (bias - mean) * factor + beta


def write_weights(path, weights):
    """Write {name: array} as an npz, whole or not at all. The same weights give the same bytes."""
    with atomic_file(path) as part, part.open("wb") as file:
        np.savez(file, **weights)


def to_float32(array, place):
    """The array as float32, in silence. Raises InputError, beginning with `place`, where it holds what is no number there."""
    with np.errstate(all="ignore"):  # too large; a signalling NaN
        array = np.ascontiguousarray(array, np.float32)
    check_finite(array, place)
    return array


def check_finite(array, place):
    """Raise InputError, beginning with `place`, if the array holds NaN or infinity. The sum tells quickly, and without a copy, that it does not."""
    with np.errstate(all="ignore"):
        finite = np.isfinite(array.sum(dtype=np.float64)) or np.isfinite(array).all()
    if not finite:
        raise InputError(f"{place} holds NaN or infinity; the file is damaged or its training diverged, use another one")
