"""The whole state of a training run in a file: written atomically, and read only by the run it belongs to."""

import contextlib
import json
import re
from pathlib import Path

import numpy as np

from engines.chainer_compat import chainer
from errors import InputError
from files import atomic_file
from models.weights import read_npz

FACTS, NOTHING = "facts", "nothing"  # entries of the file: what run it is, JSON; names of entries that are None
NAME = "snapshot_iter_{}"
NO_OPTIONS = {"samples": "the number of training pictures", "processes": "the number of processes"}  # facts that are not


def save(path, trainer, facts):
    """Write the trainer's state. facts: {option: value} that a resumed run must share. Raises InputError, and leaves what was there, on failure."""
    state = chainer.serializers.DictionarySerializer()
    state.save(trainer)
    arrays = {name: array for name, array in state.target.items() if array.dtype != object}
    arrays[NOTHING] = np.array(json.dumps(sorted(state.target.keys() - arrays.keys())))
    arrays[FACTS] = np.array(json.dumps(facts))
    with atomic_file(path) as part, part.open("wb") as file:
        np.savez(file, **arrays)


def load(path, trainer, facts):
    """Give the trainer the state in a file. Raises InputError where that is of another run, or damaged."""
    arrays = read_npz(path, "snapshot", "name a snapshot_iter_N of the run, or none: --resume alone takes the newest one")
    try:
        then, nothing = (dict(json.loads(str(arrays.pop(FACTS)))), json.loads(str(arrays.pop(NOTHING))))
    except (KeyError, ValueError, TypeError):
        expected = "expected a snapshot of train_coco_pose_estimation.py, got other arrays; weights go to --initmodel"
        raise InputError(f"--resume {path}: {expected}") from None
    for name, value in facts.items():
        if then.get(name) != value:
            what = NO_OPTIONS.get(name, f"--{name}")
            raise InputError(f"--resume {path}: {what} was {then.get(name)}, got {value}; give the same, or begin anew with --initmodel")
    arrays |= {name: np.asarray(None) for name in nothing}
    try:
        chainer.serializers.NpzDeserializer(arrays).load(trainer)
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(f"--resume {path}: the snapshot does not fit this run ({error}); resume with the same version and options") from None


def find_last(folder):
    """The snapshot of the highest iteration in a folder; None if there is none."""
    found = {iteration_of(path): path for path in Path(folder).glob(NAME.format("*")) if iteration_of(path) is not None}
    return found[max(found)] if found else None


def prune(folder, keep, last):
    """Remove all but the `keep` newest snapshots up to iteration `last`; keep 0 is all. Later ones are of a run that went further: they stay."""
    numbered = sorted((iteration_of(path), path) for path in Path(folder).glob(NAME.format("*")) if (iteration_of(path) or last + 1) <= last)
    for _, path in numbered[:-keep] if keep else []:
        with contextlib.suppress(OSError):
            path.unlink()


def iteration_of(path):
    match = re.fullmatch(NAME.format(r"(\d+)"), Path(path).name)
    return int(match[1]) if match else None
