"""Files: read one, here or on a server, or say in one line why not; write one whole or not at all."""

import contextlib
import errno
import os
import re
import shutil
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from errors import InputError
from parts import clear_once, make_part, sync

STDIN = STDOUT = "-"  # the name of what comes through a pipe, and of where it goes on
TIMEOUT = 10  # seconds without a word from a server


def read_bytes(path, what, cure="check the name") -> bytes:
    """The contents of a file. Raises InputError, beginning with `what` ("picture") and ending, where there is no such file, with `cure`."""
    with open_binary(path, what, cure) as file:
        try:
            return file.read()
        except OSError as error:
            raise InputError(f"{what} {path}: not readable ({error.strerror}); check the disk, or name another file") from None


def is_url(name) -> bool:
    return re.match(r"\w+://", str(name)) is not None


def check_url(url, what):
    """Raise InputError for file://, which names no server, and for what is none."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise InputError(f"{what} {url}: this is no URL ({error}); check it") from None
    if parts.scheme.lower() == "file":
        raise InputError(f"{what} {url}: a URL names a server; for a file of this machine give its path, {unquote(parts.path) or '/...'}")


def open_binary(path, what, cure="check the name"):
    """A file, open for reading; raises as read_bytes. Pipes and devices, which may never end, are refused."""
    path = Path(path)
    try:
        if path.is_dir():
            raise InputError(f"{what} {path}: expected a file, got a folder; name a file in it")
        if path.exists() and not path.is_file():
            raise InputError(f"{what} {path}: expected a file, got a device or a pipe; name a file")
        return path.open("rb")
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{what} {path}: no such file; {cure}") from None
    except (OSError, ValueError, RuntimeError) as error:  # ValueError: a null character in the name; RuntimeError: links in a circle
        raise InputError(f"{what} {path}: not readable ({getattr(error, 'strerror', None) or error}); check name and permissions") from None


def check_path(path, option):
    """Raise InputError if no file can be written at path: a folder, a device, one in a folder that cannot be written or made. Not for stdout (-)."""
    if str(path) == STDOUT:
        return
    path = Path(path)
    try:
        if path.is_dir():
            raise InputError(f"{option} {path}: expected a file's name, got a folder")
        if path.exists() and not path.is_file():
            raise InputError(f"{option} {path}: expected a file's name, got a device or a pipe")
        if not os.path.lexists(path.parent):  # it is made when the file is
            check_folder(path.parent, option)
            return
        if not path.parent.is_dir():
            raise InputError(f"{option} {path}: {path.parent} is no folder; choose another name")
        target = _target(path)
        if len(os.fsencode(target.name)) > 255:
            raise OSError(errno.ENAMETOOLONG, "the name is too long")
        if not os.access(target.parent, os.W_OK | os.X_OK):
            raise InputError(f"{option} {path}: the folder {target.parent} is not writable; choose another one")
        if target.exists() and not os.access(target, os.W_OK):
            raise InputError(f"{option} {path}: the file is there and must not be written to; choose another name, or remove it")
    except InputError:
        raise
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f"{option} {path}: cannot be written ({getattr(error, 'strerror', None) or error}); choose another name") from None


def check_folder(path, option):
    """Raise InputError if path is no folder that can be written, and none that can be made."""
    if path == STDOUT:
        raise InputError(f"{option} -: expected a folder's name, and - is stdout; name a folder")
    path = Path(path)
    try:
        there = next(each for each in (path, *path.absolute().parents) if os.path.lexists(each))
        if not there.is_dir():
            raise InputError(f"{option} {path}: expected a folder's name, and {there} is a file")
        if not os.access(there, os.W_OK | os.X_OK):
            raise InputError(f"{option} {path}: the folder {there} is not writable; choose another one")
    except InputError:
        raise
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(f"{option} {path}: cannot be made ({getattr(error, 'strerror', None) or error}); choose another name") from None


def make_folder(path) -> Path:
    """The folder, made with those around it if it is not there. Raises InputError where it cannot be, or cannot be written to."""
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: the folder cannot be made ({getattr(error, 'strerror', None) or error}); choose another name or place") from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise InputError(f"{path}: the folder is not writable; choose another one")
    return path


def real_place(path):
    """What tells a file from all others, whatever its names: its device and number on the disk, or where it would be, behind all links."""
    try:
        status = Path(path).stat()
        if status.st_ino:
            return status.st_dev, status.st_ino
        return os.path.realpath(path)
    except (OSError, ValueError, RuntimeError):
        pass
    try:
        return os.path.realpath(path)
    except (OSError, ValueError):
        return str(path)


def is_same_file(path, other) -> bool:
    """Whether two names mean one file, that is there or would be."""
    return real_place(path) == real_place(other)


def check_distinct(inputs, outputs):
    """Raise InputError if an output would overwrite an input or another output. inputs, outputs: {option: path, paths or None}.

    The .bin beside an .xml counts as named.
    """
    taken = {}  # where a file is -> the option that names it
    for name, value in inputs.items():
        for path in value if isinstance(value, list) else [value] if value else []:
            taken.setdefault(real_place(path), name)
            if str(path).lower().endswith(".xml"):
                taken.setdefault(real_place(Path(path).with_suffix(".bin")), name)
    for name, path in outputs.items():
        if not path:
            continue
        place = real_place(path)
        if place in taken and path == STDOUT:
            raise InputError(f"--{name} -: stdout takes one of the results, and --{taken[place]} goes there already; name a file")
        if place in taken:
            raise InputError(f"--{name} {path}: this file is in use already ({taken[place]}); choose another name")
        taken[place] = name


@contextmanager
def atomic_file(path, suffix=".part"):
    """`with atomic_file(path) as part:` write the file `part`; it is renamed to path at the end, or removed after an error.

    suffix: the part's ending, for writers that choose a format by it.

    Where path is a link, the file it points to is written. Raises InputError where that fails.
    """
    path = Path(path)
    try:
        target = _target(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        clear_once(target.parent)
        part = make_part(target, suffix)
        try:
            yield part
            if target.exists():
                shutil.copymode(target, part)
            sync(part)
            part.replace(target)
        finally:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error}); choose another place") from None


def _target(path):
    """The file that a link points to, or the path itself."""
    if not path.is_symlink():
        return path
    with contextlib.suppress(FileNotFoundError):  # a link to a file that is still to come
        path.stat()  # links in a circle: OSError
    return Path(os.path.realpath(path))
