"""What a run was asked for, remembered beside its results, so that --resume does not mix two runs: .NAME.run beside NAME, a file or a folder.

While a run writes a file, its record is locked: of two at once each would lose what the other one has written.
"""

import json
import os
from contextlib import contextmanager
from pathlib import Path

from errors import InputError
from files import STDOUT, make_folder
from streams.wanted import FILES, FOLDERS


def record_of(path) -> Path:
    """Where the record of a file or a folder of results is."""
    path = Path(path)
    return path.parent / f".{path.name}.run"


@contextmanager
def held(wanted):
    """`with held(wanted):` no other run writes the same files. Raises InputError where one does. Folders are for several runs."""
    locks = []
    try:
        for place in (Path(path) for path in (getattr(wanted, name) for name in FILES) if path not in (None, STDOUT)):
            locks.append(_lock(place))
        yield
    finally:
        for lock, record in locks:
            if not os.fstat(lock).st_size:  # nothing was begun
                record.unlink(missing_ok=True)
            os.close(lock)


def _lock(place) -> tuple:
    """(open file, its path): the record of a file, locked as long as it is open."""
    record = record_of(place)
    try:
        make_folder(place.parent)
        lock = os.open(record, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise InputError(f"{record}: cannot be written ({error.strerror or error}); choose another folder") from None
    if not _try_lock(lock):
        os.close(lock)
        raise InputError(f"{place}: another run writes into it; wait for its end, or name another file")
    return lock, record


def _try_lock(file) -> bool:
    """Whether an open file is locked now; on systems without locks always."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):  # Windows; a file system without
        pass
    return True


def check_same_run(wanted, detector):
    """Raise InputError where --resume would go on with what was begun with other options."""
    for place in _places(wanted) if wanted.resume else ():
        if os.path.lexists(place):
            _compare(place, _read(record_of(place)), asked(wanted, detector))


def remember_run(wanted, detector):
    """Leave a record beside each file and folder of results."""
    for place in _places(wanted):
        make_folder(place.parent)
    content = json.dumps(asked(wanted, detector)) + "\n"
    for place in _places(wanted):
        try:
            record_of(place).write_text(content, encoding="utf-8", errors="backslashreplace")  # no new file: this one is locked
        except OSError as error:
            raise InputError(f"{record_of(place)}: cannot be written ({error.strerror or error}); choose another folder") from None


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
