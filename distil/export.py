"""Write the weights that a training has come to: the average over its iterations, batch normalisation folded in, strictly as the table has them.

python -m distil.export body.pt models/light_posenet.npz
"""

import sys

import cli
from distil import options as shared
from errors import InputError
from files import check_distinct, check_path
from models import ARCHS
from models.layers import parameter_shapes
from models.weights import check_finite, write_weights


def parser():
    p = cli.Parser(prog="python -m distil.export", description=__doc__)
    p.add_argument("state", metavar="STATE", help="The file in which python -m distil.body train, or distil.points train, keeps a training.")
    p.add_argument("target", metavar="WEIGHTS.npz", help="The file to write.")
    return p


def export(options):
    shared.need_torch()
    check_path(options.target, "WEIGHTS.npz")
    check_distinct({"STATE": options.state}, {"target": options.target})
    arch, network, weights = weights_of_state(options.state)
    for name, array in weights.items():
        check_finite(array, f"state {options.state}: {name}")
    write_weights(options.target, weights)
    print(f"{options.target}: {len(weights) // 2} convolutions, {sum(array.size for array in weights.values())} numbers, for {arch}")
    if parameter_shapes(network.layers) != parameter_shapes(ARCHS[arch].network.layers):
        print(f"its widths are not those of the table: change them in models/{ARCHS[arch].table}.py")


def weights_of_state(path):
    """(arch, network, {"conv1/W": array float32, ...} in the table's order) of a state. Raises InputError."""
    from distil.loop import load, read_state
    from distil.student import Student

    state = read_state(path)
    arch = state["facts"]["arch"]
    if arch not in ARCHS:
        raise InputError(f"state {path}: it is of {arch!r}, which is not a network here; name another one")
    network = shared.network_of(arch, shared.checked_widths(state["facts"]["widths"], path))
    student = Student(network)
    load(student, {name: tensor for name, tensor in state["average"].items() if not str(name).startswith("adapters.")}, path)
    return arch, network, student.weights()


def main(argv=None) -> int:
    return cli.run(parser(), export, argv)


if __name__ == "__main__":
    sys.exit(main())
