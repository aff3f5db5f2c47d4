"""Files: read one or say in one line why not; write one whole or not at all."""

import os
from contextlib import contextmanager
from pathlib import Path

from errors import InputError


def read_bytes(path, what, cure="check the name") -> bytes:
    """The contents of a file; raises as open_binary."""
    with open_binary(path, what, cure) as file:
        return file.read()


def open_binary(path, what, cure="check the name"):
    """A file, open for reading. Raises InputError, beginning with `what` ("picture") and ending, where there is no such file, with `cure`."""
    path = Path(path)
    try:
        if path.exists() and not path.is_file() and not path.is_dir():
            raise InputError(f"{what} {path}: expected a file, got a device or a pipe; name a file")
        return path.open("rb")
    except FileNotFoundError:
        raise InputError(f"{what} {path}: no such file; {cure}") from None
    except IsADirectoryError:
        raise InputError(f"{what} {path}: expected a file, got a folder; name a file in it") from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise InputError(f"{what} {path}: not readable ({getattr(error, 'strerror', None) or error}); check name and permissions") from None


def check_path(path, option):
    """Raise InputError if no file can be written at path."""
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{option} {path}: expected a file's name, got a folder")
    if not path.parent.is_dir():
        raise InputError(f"{option} {path}: the folder {path.parent} does not exist; create it first")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise InputError(f"{option} {path}: the folder {path.parent} is not writable; choose another one")


@contextmanager
def atomic_file(path):
    """`with atomic_file(path) as part:` write the file `part`; it is renamed to path at the end, or removed after an error."""
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error}); choose another place") from None
    finally:
        part.unlink(missing_ok=True)
