"""The options that both trainings share, and what they do with them."""

import os
import sys
from functools import partial
from itertools import islice
from pathlib import Path
from shutil import which
from typing import NamedTuple

import numpy as np

import cli
from errors import InputError
from evaluation.coco import SPLITS
from files import check_path
from models import ARCHS, shapes_of
from models.layers import parameter_shapes
from models.light import light_network
from models.npz import open_npz
from models.weights import read_weights

minutes = partial(cli.bounded_float, least=0.001, most=1e6, what="number of minutes")
MOST_WIDTH = 4096
STATISTICS_BATCHES = 20  # from which a network that begins with weights gets the statistics of its normalisation


class Training(NamedTuple):
    """What was asked of a training; the fields are add_training_options' and the state."""

    state: str
    total: float
    minutes: float
    rate: float
    resume: bool
    start: str | None
    widths: tuple | None
    device: str | None
    threads: int | None
    compile: bool
    steps: int
    seed: int


def add_coco_options(parser):
    """--coco_dir and --splits: the photos that crops are cut from."""
    cli.add_coco_dir(parser)
    about = "Cut crops from these parts of COCO; of val, every seventh photo is left out (default: train)."
    parser.add_argument("--splits", nargs="+", choices=SPLITS, default=["train"], help=about)


def training_options(options) -> Training:
    """The values of the options of add_training_options, and STATE."""
    return Training(*(getattr(options, field) for field in Training._fields))


def add_training_options(parser, rate):
    """--total, --minutes, --resume, --start, the widths, and what the machine can do."""
    parser.add_argument(
        "--total", type=minutes, required=True, metavar="MINUTES", help="Plan for a training of so many minutes, along which the rate falls."
    )
    parser.add_argument(
        "--minutes", type=minutes, default=1e6, metavar="MINUTES", help="End this call after so many minutes; --resume does the rest later."
    )
    parser.add_argument("--resume", action="store_true", help="Go on from STATE.")
    parser.add_argument("--start", metavar="WEIGHTS.npz", help="Begin with these weights, of this network or of a narrower one.")
    parser.add_argument(
        "--widths", type=widths, metavar="W,M,A,B", help="Give a light network these widths: between blocks, inside one, of the stem's two parts."
    )
    parser.add_argument("--rate", type=partial(cli.bounded_float, least=1e-9, most=1), default=rate, help=f"Learn at this rate (default: {rate:g}).")
    parser.add_argument("--device", help="Train on cpu or cuda (default: a GPU where there is one).")
    parser.add_argument("--threads", type=partial(cli.whole_number, most=1024), metavar="N", help="Let PyTorch use N threads (default: all cores).")
    about = "Compile the network first, which takes minutes and needs a C++ compiler; on a CPU it then learns a fifth to a half faster."
    parser.add_argument("--compile", action="store_true", help=about)
    parser.add_argument("--steps", type=cli.positive_int, default=10**9, help="End this call after so many iterations, for a trial.")
    parser.add_argument("--seed", type=partial(cli.whole_number, least=0), default=0, help="Begin weights and order by this number (default: 0).")


def widths(text) -> tuple:
    """An argparse type: "192,96,24,48"."""
    parts = text.split(",")
    if len(parts) != 4:
        raise cli.ArgumentTypeError(f"expected four whole numbers W,M,A,B, got {text!r}")
    return tuple(cli.whole_number(part, least=1, most=MOST_WIDTH) for part in parts)


def checked_widths(found, path):
    """The widths that a state says. Raises InputError where they are none."""
    if found is None:
        return None
    if not isinstance(found, (list, tuple)) or len(found) != 4 or not all(type(width) is int and 1 <= width <= MOST_WIDTH for width in found):
        raise InputError(f"state {path}: expected four widths from 1 to {MOST_WIDTH}, got something else; name another one")
    return tuple(found)


def network_of(arch, wanted):
    """The network of a row of ARCHS, or with other widths (W, M, A, B) than its table's. Raises InputError where it has none to choose."""
    network = ARCHS[arch].network
    if wanted is None:
        return network
    if not arch.startswith("light"):
        raise InputError(f"--widths: the widths of {arch} are fixed; leave it out")
    width, middle, *stem = wanted
    return light_network([output.stop - output.start for output in network.outputs], width, middle, stem)


def check_state(training):
    """Raise InputError if STATE is there and should not be, or the other way round, or can't be written; or --compile finds no compiler."""
    check_path(training.state, "STATE")
    exists = Path(training.state).exists()
    if exists and not training.resume:
        raise InputError(f"STATE {training.state}: the file is there; --resume goes on with it, or choose another name")
    if training.resume and not exists:
        raise InputError(f"--resume: {training.state} is not there; name the state of a training, or leave --resume out to begin one")
    if training.resume and training.start:
        raise InputError("--start begins a training, --resume goes on with one; leave one of them out")
    if training.compile and not any(which(os.environ.get("CXX") or name) for name in ("g++", "clang++")):
        raise InputError("--compile needs a C++ compiler (apt install g++), or one named in CXX; without --compile none is needed")


def read_start(path, arch, network):
    """The weights of an .npz for the network, or for one with fewer channels; strictly. Raises InputError."""
    shapes = parameter_shapes(network.layers)
    with open_npz(path) as npz:
        given = {name: header.shape for name, header in npz.headers.items()}
    narrower = given.keys() == shapes_of(arch).keys() and given != shapes
    return read_weights(path, given if narrower else shapes)


def make_trainer(training, arch, taps, facts, examples):
    """A distil.loop.Trainer of a new student, of one that begins with weights, or of the state that is gone on with.

    facts: beside the network's, what the state must agree in. examples: x tensors without end, for the statistics of a network that begins
    with weights.
    """
    import torch

    from distil.loop import Schedule, Trainer, device_of, read_state
    from distil.student import Student
    from distil.widen import widen

    check_state(training)
    if training.threads:
        torch.set_num_threads(training.threads)
    torch.manual_seed(training.seed)
    state = read_state(training.state) if training.resume else None
    chosen = checked_widths(state["facts"]["widths"], training.state) if state else training.widths
    facts = {"arch": arch, "widths": list(chosen) if chosen else None, **facts}
    if state and state["facts"] != facts:
        name = next(name for name in (*facts, *state["facts"]) if facts.get(name) != state["facts"].get(name))
        was, got = state["facts"].get(name), facts.get(name)
        raise InputError(f"--resume {training.state}: {name} was {was}, got {got}; give the same, or begin another one")
    network = network_of(arch, chosen)
    student = Student(network, taps)
    if training.start:
        rng = np.random.default_rng(training.seed)
        weights = widen(read_start(training.start, arch, network), network, rng)
        student.take(weights, islice(examples, STATISTICS_BATCHES))
    schedule = Schedule(training.total, training.minutes, training.rate, training.steps, training.compile)
    trainer = Trainer(student, training.state, facts, schedule, device_of(training.device))
    if state:
        trainer.go_on(state)
    return trainer


def need_torch():
    """Raise InputError if PyTorch is not installed."""
    from importlib.util import find_spec

    if find_spec("torch") is None:
        raise InputError("PyTorch is not installed: pip install -r distil/requirements.txt")


def run(parser, argv=None) -> int:
    """The exit status of a script whose parser's subcommands set `work`."""
    return cli.run(parser, lambda options: options.work(options), sys.argv[1:] if argv is None else argv)
