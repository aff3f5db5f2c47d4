"""Part files: what is not finished yet lies beside its place, under a name that says whose it is."""

import contextlib
import os
import platform
import re
import shutil
import tempfile
import zlib
from functools import cache
from pathlib import Path


def make_part(target, suffix=".part") -> Path:
    """A new, empty file beside target, under a name that nobody can have put a link at. It says whose it is, for remove_leftovers."""
    part = target.with_name(_part_name(target, suffix))
    os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), 0o666))
    return part


def _part_name(target, suffix) -> str:
    return f".{target.name[:50]}.{machine()}.{os.getpid()}.{os.urandom(8).hex()}{suffix}"


@contextlib.contextmanager
def part_folder(target):
    """`with part_folder(target) as folder:` a new folder beside target, as make_part's file; with what is in it, it is removed at the end."""
    folder = target.with_name(_part_name(target, ".part"))
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sync(path):
    """Wait until a file's contents are on the disk: a rename may get there earlier, and leave an empty file under the name after a power failure."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


@cache
def machine() -> str:
    """Eight digits that tell this machine, or container, from others which may write into the same folder: its processes have other numbers."""
    name = platform.node()
    for path, read in (("/etc/machine-id", Path.read_text), ("/proc/self/ns/pid", os.readlink)):
        with contextlib.suppress(OSError, ValueError):
            name += read(Path(path))
    return f"{zlib.crc32(name.encode(errors='replace')):08x}"


def remove_leftovers(folder):
    """Remove the part files that processes of this machine which were killed have left in a folder."""
    for part in Path(folder).glob(".*.part*"):
        match = re.fullmatch(r"\..*\.([0-9a-f]{8})\.(\d+)\.[0-9a-f]{16}\.part(\.\w+)?", part.name)
        if match and match[1] == machine() and not is_running(int(match[2])):
            with contextlib.suppress(OSError):
                shutil.rmtree(part) if part.is_dir() and not part.is_symlink() else part.unlink()


@cache
def clear_once(folder):
    """A folder that is written into for the first time is rid of what killed processes have left there."""
    with contextlib.suppress(OSError):
        remove_leftovers(folder)


def remove_folders(kind):
    """Remove the temporary folders of folder_prefix, of this user, where the process that made it is gone."""
    for folder in Path(tempfile.gettempdir()).glob(f"{kind}_{machine()}_*_*"):
        match = re.fullmatch(r"\w+?_[0-9a-f]{8}_(\d+)_\w+", folder.name)
        with contextlib.suppress(OSError):
            if match and not is_running(int(match[1])) and folder.lstat().st_uid == os.getuid() and not folder.is_symlink():
                shutil.rmtree(folder)


def folder_prefix(kind) -> str:
    """Of the name of a temporary folder that belongs to this process, for tempfile.TemporaryDirectory."""
    return f"{kind}_{machine()}_{os.getpid()}_"


def is_running(process) -> bool:
    if os.name != "posix":  # elsewhere, asking would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    with contextlib.suppress(OSError, IndexError):  # killed, and nobody has asked how it ended: it has a number, and does nothing any more
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return True
