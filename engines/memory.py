"""What is needed of a limited memory is asked for before the work begins."""

from process import check_room

from pathlib import Path

import numpy as np

NETWORK_MB, TRAINING_MB = 400, 200  # of address space, beside the weights (measured on two cores: 300 for OpenVINO's threads and maps, 60)
QUANTISING_MB = 620  # by NNCF, beside the weights and the pictures (measured: 615 for 7 MB of weights)
COPIES, TRAINED_COPIES = 4, 8  # of the weights: as read, in the model, compiled, and while that is done; gradients, Adam's two, snapshots


def reserve(megabytes, what):
    """Raise MemoryError where a limit on memory leaves less for `what`.

    Where there is as much, OpenBLAS takes its own part at once: it ends the process if it cannot have it in the middle of the work.
    """
    check_room(megabytes, what)
    square = np.ones((256, 256), np.float32)
    square @ square


def of_network(weights) -> float:
    """MB that a network with these weights (a path) takes to run."""
    files = [path for path in (Path(weights), Path(weights).with_suffix(".bin")) if path.is_file()]
    return NETWORK_MB + COPIES * max((path.stat().st_size for path in files), default=0) / 2**20


def of_quantising(weights) -> float:
    """MB that quantising a network of these weights ({name: array}) takes, its pictures left out."""
    return QUANTISING_MB + COPIES * sum(array.nbytes for array in weights.values()) / 2**20


def of_training(shapes) -> float:
    """MB that training a network of these parameters ({name: shape}) takes, its samples left out."""
    return TRAINING_MB + TRAINED_COPIES * 4 * sum(float(np.prod(shape)) for shape in shapes.values()) / 2**20
