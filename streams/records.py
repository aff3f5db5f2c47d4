"""What a run was asked for, remembered beside its results, so that --resume does not mix two runs: .NAME.run beside NAME, a file or a folder."""

import json
import os
from pathlib import Path

from errors import InputError
from files import STDOUT, make_folder, read_bytes
from streams.results import write_files
from streams.wanted import FILES, FOLDERS


def record_of(path) -> Path:
    """Where the record of a file or a folder of results is."""
    path = Path(path)
    return path.parent / f".{path.name}.run"


def check_same_run(wanted, detector):
    """Raise InputError where --resume would go on with what was begun with other options; otherwise remember those of this run."""
    asked = {"networks": list(detector.networks), **wanted.settings}
    places = [getattr(wanted, name) for name in (*FILES, *FOLDERS, *(("out",) if wanted.out_kind == "folder" else ()))]
    places = [Path(place) for place in places if place not in (None, STDOUT)]
    for place in places if wanted.resume else ():
        if os.path.lexists(place) and record_of(place).is_file():
            _compare(place, _read(record_of(place)), asked)
    for place in places:
        make_folder(place.parent)
        write_files({record_of(place): (json.dumps(asked) + "\n").encode(errors="backslashreplace")})


def _read(path) -> dict:
    try:
        record = json.loads(read_bytes(path, "record"))
        if not isinstance(record, dict):
            raise ValueError
    except (ValueError, RecursionError):
        raise InputError(f"{path}: expected what an earlier run was asked for, got something else; remove it, or leave --resume out") from None
    return record


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
