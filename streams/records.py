"""What a run was asked for, remembered beside its results, so that --resume does not mix two runs: .NAME.run beside NAME, a file or a folder."""

import json
import os
from pathlib import Path

from errors import InputError
from files import STDOUT, make_folder
from streams.results import write_files
from streams.wanted import FILES, FOLDERS


def record_of(path) -> Path:
    """Where the record of a file or a folder of results is."""
    path = Path(path)
    return path.parent / f".{path.name}.run"


def check_same_run(wanted, detector):
    """Raise InputError where --resume would go on with what was begun with other options."""
    for place in _places(wanted) if wanted.resume else ():
        if os.path.lexists(place):
            _compare(place, _read(record_of(place)), asked(wanted, detector))


def remember_run(wanted, detector):
    """Leave a record beside each file and folder of results."""
    for place in _places(wanted):
        make_folder(place.parent)
    content = (json.dumps(asked(wanted, detector)) + "\n").encode(errors="backslashreplace")
    write_files({record_of(place): content for place in _places(wanted)})


def asked(wanted, detector) -> dict:
    """What the results depend on, beside the pictures."""
    return {"networks": list(detector.networks), **wanted.settings}


def _places(wanted) -> list:
    """The files and folders that --resume can go on with."""
    places = [getattr(wanted, name) for name in (*FILES, *FOLDERS, *(("out",) if wanted.out_kind == "folder" else ()))]
    return [Path(place) for place in places if place not in (None, STDOUT)]


def _read(path) -> dict:
    """Without a record, or with one that is damaged, nothing is compared."""
    try:
        record = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}


def _compare(place, before, now):
    for name in sorted(before.keys() & now.keys(), key=lambda name: name != "networks"):
        if before[name] != now[name]:
            was, is_ = (_words(name, value[name]) for value in (before, now))
            raise InputError(f"--resume: {place} was begun {was}, and this run is {is_}; ask for the same, or leave --resume out")


def _words(name, value) -> str:
    if name == "networks":
        return f"with {', '.join(map(str, value))}" if isinstance(value, list) else f"with {value}"
    option = f"--{name}" if name != "weights" else "the weights"
    if value in (None, False):
        return f"without {option}"
    return f"with {option}" if value is True else f"with {option} {value}"
