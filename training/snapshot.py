"""The whole state of a training run in a file: written atomically, and read only by the run it belongs to."""

import contextlib
import json
import re
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np

from engines.chainer_compat import chainer
from errors import InputError
from evaluation.curves import MOST_ITERATIONS, check_log
from files import atomic_file
from models.npz import open_npz

FACTS, NOTHING = "facts", "nothing"  # entries of the file: what run it is, JSON; names of entries that are None
OPTIMIZER = "updater/optimizer:main"
STEPS = (f"{OPTIMIZER}/t", "updater/iterator:main/n_steps")  # they count what the iteration counts
LOG, NAMES = (f"extensions/LogReport/{name}" for name in ("_log", "_summary/_names"))  # JSON
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
    """Give the trainer the state in a file, all of which is checked before. Raises InputError where that is of another run, or damaged."""
    with open_npz(path, "snapshot", "name a snapshot_iter_N of the run, or none: --resume alone takes the newest one") as npz:
        then, nothing = _read_text(path, npz, FACTS, dict), _read_text(path, npz, NOTHING, list)
        for name, value in facts.items():
            if then.get(name) != value:
                what = NO_OPTIONS.get(name, f"--{name}")
                raise InputError(f"--resume {path}: {what} was {then.get(name)}, got {value}; give the same, or begin anew with --initmodel")
        _check_headers(path, trainer, npz.headers, nothing)
        arrays = {name: npz.read(name) for name in npz.headers if name not in (FACTS, NOTHING)}
    _check_numbers(path, arrays)
    _check_log(path, arrays)
    arrays |= {name: np.asarray(None) for name in nothing}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Chainer warns of what is missing, and goes on
            chainer.serializers.NpzDeserializer(arrays).load(trainer)
    except (KeyError, ValueError, TypeError, UserWarning) as error:
        raise _unfit(path, error) from None


def _unfit(path, why):
    return InputError(f"--resume {path}: the snapshot does not fit this run ({why}); resume with the same version and options")


def _check_headers(path, trainer, headers, nothing):
    """Raise InputError where an array is not of the shape and type that this run gives it. headers: {name: models.npz.Header}.

    nothing: the names of what is None, which no array may be.
    """
    now = chainer.serializers.DictionarySerializer()
    trainer.updater.serialize(now["updater"])
    expected = {name: (array.shape, array.dtype) for name, array in now.target.items() if array.dtype.kind in "fiu" and array.ndim}
    for link, parameter in trainer.updater.get_optimizer("main").target.namedparams():
        expected |= {f"{OPTIMIZER}{link}/{name}": (parameter.shape, parameter.dtype) for name in ("m", "v")}
    if not all(isinstance(name, str) and name not in headers and name not in expected for name in nothing):
        raise _unfit(path, f"{NOTHING} names arrays")
    for name, header in headers.items():
        shape, dtype = expected.get(name, ((), header.dtype))
        if header.shape != shape or header.dtype != dtype or header.dtype.kind not in "fiuU":
            raise _unfit(path, f"{name} is {header.dtype} {header.shape}")
        if name not in expected and not _is_bounded(header):
            raise _unfit(path, f"{name} is packed")


def _is_bounded(header) -> bool:
    """A text is as long as it likes, but no longer than the file: it is not packed."""
    return header.nbytes <= header.packed


def _read_text(path, npz, name, kind):
    """What JSON an entry holds."""
    header = npz.headers.get(name)
    if header is None or header.dtype.kind != "U" or header.shape or not _is_bounded(header):
        expected = "expected a snapshot of train_coco_pose_estimation.py, got other arrays; weights go to --initmodel"
        raise InputError(f"--resume {path}: {expected}")
    return _parse(path, npz.read(name), kind)


def _parse(path, text, kind):
    """The dict or the list that a text of the snapshot holds."""
    try:
        value = json.loads(str(text))
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, kind):
        raise InputError(f"--resume {path}: expected a snapshot of train_coco_pose_estimation.py, got something else in it; name another one")
    return value


def _check_numbers(path, arrays):
    """Raise InputError for numbers that no run has: NaN, steps that were never made, variances below zero."""
    try:
        iteration = int(arrays["updater/iteration"])
        for name, array in arrays.items():
            is_number = array.dtype.kind in "fiu"
            if is_number and not np.isfinite(array.sum(dtype=np.float64)):
                raise ValueError(name)
            is_variance = name.endswith("/v") and f"{name[:-1]}m" in arrays  # Adam's; SGD's v is a velocity, which has a sign
            if (is_variance or name.endswith(("/avg_var", "/N", "elapsed_time", "previous_iteration"))) and (not is_number or array.min() < 0):
                raise ValueError(name)
            if name in STEPS and (array.dtype.kind != "i" or array != iteration):
                raise ValueError(name)
            if name.startswith(OPTIMIZER) and name.endswith("/t") and (array.dtype.kind != "i" or not 0 <= array <= iteration):
                raise ValueError(name)
        if not 0 <= iteration <= MOST_ITERATIONS:
            raise ValueError("updater/iteration")
    except (ValueError, TypeError, KeyError) as error:
        raise _unfit(path, f"{str(error).strip(chr(39))} is missing, or no number of a run") from None


def _check_log(path, arrays):
    """Raise InputError for a log that is none, or goes beyond the iteration of the snapshot."""
    log = _parse(path, arrays.get(LOG, "[]"), list)
    if log:
        check_log(log, f"--resume {path}: its log")
    iterations = [0, *(entry["iteration"] for entry in log)]
    in_order = all(before < after for before, after in pairwise(iterations))
    if not in_order or iterations[-1] > arrays["updater/iteration"]:
        raise _unfit(path, "the iterations of its log are out of order")
    names = _parse(path, arrays.get(NAMES, "[]"), list)
    if not all(isinstance(name, str) for name in names):
        raise _unfit(path, f"{NAMES} holds no names")


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
