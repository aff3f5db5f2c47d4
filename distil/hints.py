"""What a teacher says beside its maps: inner features, brought to few, equally strong numbers by their main axes (principal components)."""

from typing import NamedTuple

import numpy as np

from errors import InputError
from files import atomic_file
from models.layers import Output
from models.npz import read_npz


class Hint(NamedTuple):
    """A teacher's layer, how many main axes of it are kept, and the student's layer that learns to say them."""

    layer: str
    axes: int
    tap: str


# By the teacher's name in ARCHS; a layer is a name of its table, or of the operations in its .xml.
HINTS = {
    "human-pose-estimation-0001": (
        Hint("relu4_1/sep", 64, "block2"),
        Hint("relu5_1/sep", 64, "block4"),
        Hint("relu5_3/sep", 64, "block6"),
        Hint("relu4_4_CPM", 96, "block8"),
        Hint("Mconv5_stage2_L1/5x5/res", 96, "refine4"),
    ),
    "posenet": (Hint("conv4_2", 64, "block4"), Hint("conv4_4_CPM", 64, "block8")),
}


def add_outputs(net, layers):
    """Let an engines.openvino_net.OpenVinoNet answer these layers too, after its own outputs, and return it."""
    operations = {operation.get_friendly_name(): operation for operation in net.model.get_ordered_ops()}
    for layer in layers:
        port = operations[layer].output(0)
        port.get_tensor().set_names({layer})
        net.model.add_outputs([port])
        net.outputs = (*net.outputs, Output(layer, 0, port.get_partial_shape()[1].get_length()))
    return net


class Axes(NamedTuple):
    """The main axes of a layer's features."""

    layer: str  # the teacher's
    tap: str  # the student's
    mean: np.ndarray  # (C,) float32
    vectors: np.ndarray  # (C, K) float32, orthonormal, the strongest first
    deviations: np.ndarray  # (K,) float32: along each axis

    def project(self, features):
        """features (C, H, W) -> (K, H, W) float32 with mean 0 and deviation 1 over what the axes were found on."""
        return np.einsum("chw,ck->khw", features - self.mean[:, None, None], self.vectors / self.deviations, optimize=True)


def main_axes(rows, hint) -> Axes:
    """rows (N, C): features of N cells; the strongest axes of their covariance, as many as the hint names."""
    values, vectors = np.linalg.eigh(np.cov(rows.astype(np.float64).T))
    best = np.argsort(-values)[: hint.axes]
    deviations = np.sqrt(np.maximum(values[best], 1e-12))
    return Axes(hint.layer, hint.tap, *(array.astype(np.float32) for array in (rows.mean(0), vectors[:, best], deviations)))


def weights_of(axes) -> np.ndarray:
    """(K of all,) float32, 1 for each layer: how much each number counts; stronger axes count more."""
    return np.concatenate([each.deviations / each.deviations.sum() for each in axes])


def write_axes(path, axes):
    with atomic_file(path) as part, part.open("wb") as file:
        np.savez(file, **{f"{number}/{field}": array for number, each in enumerate(axes) for field, array in each._asdict().items()})


def read_axes(path) -> list:
    """What write_axes wrote. Raises InputError."""
    arrays = read_npz(path, "main axes of the hints", "make crops first (python -m distil.body crops)")
    count = len({name.split("/")[0] for name in arrays})
    try:
        rows = [[arrays[f"{number}/{field}"] for field in Axes._fields] for number in range(count)]
    except KeyError as error:
        raise InputError(
            f"{path}: expected the main axes of the hints, and {error} is missing; make crops again (python -m distil.body crops)"
        ) from None
    return [Axes(str(layer), str(tap), *numbers) for layer, tap, *numbers in rows]
