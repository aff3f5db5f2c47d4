"""The folder in which compiled models are kept, so that the second start is quick. OpenVINO does not look whether its files are whole: we do.

Files are called KEY.NAME.SUM.blob: KEY stands for the network and its settings, NAME.blob is how OpenVINO calls the file, SUM is the checksum of
what is in it. OpenVINO itself sees a folder that lives for one compilation, with links to those files of its KEY that are whole.
"""

import hashlib
import os
import shutil
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

MAX_BYTES = 2 << 30
MIN_FREE = 1 << 20  # bytes; with less, what OpenVINO wrote may be cut off, and it does not say so
WORKSHOP = "compiling-"  # begins the names of the folders that live for one compilation
HOUR = 3600


def default_cache_dir() -> Path | None:
    """$XDG_CACHE_HOME/pose-toolkit/openvino, by default below ~/.cache; None where the user has no home, or the name is none for OpenVINO."""
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pose-toolkit" / "openvino"
        str(folder).encode()
    except (RuntimeError, UnicodeEncodeError):
        return None
    return folder


@contextmanager
def workshop(folder, key):
    """`with workshop(folder, key) as place:` a folder for OpenVINO's CACHE_DIR, with what was compiled before; what is new in it is kept at the end.

    folder: of the cache. key: text for the network and its settings. place: None where the cache cannot be used; the engine does without.
    """
    key = hashlib.sha256(key.encode()).hexdigest()[:16]
    with ExitStack() as stack:
        place = None
        with suppress(OSError):
            if make_room(folder):
                place = stack.enter_context(TemporaryDirectory(prefix=WORKSHOP, dir=folder, ignore_cleanup_errors=True))
                _lay_out(Path(folder), key, Path(place))
        before = set(os.listdir(place)) if place else set()  # noqa: PTH208
        yield place
        with suppress(OSError):
            if place and shutil.disk_usage(place).free >= MIN_FREE:
                for blob in Path(place).glob("*.blob"):
                    if blob.name not in before:
                        blob.replace(Path(folder) / f"{key}.{blob.stem}.{_sum_of(blob)}.blob")


def make_room(folder) -> bool:
    """Make the folder and drop its oldest files above MAX_BYTES. False: it cannot be used, or others may write to it."""
    folder = Path(folder)
    try:
        for missing in [each for each in (folder, *folder.parents) if not each.exists()][::-1]:
            missing.mkdir(mode=0o700, exist_ok=True)
        if not _is_safe(folder):
            return False
        total = 0
        for file in sorted(folder.glob("*.blob"), key=lambda file: file.stat().st_mtime, reverse=True):
            total += file.stat().st_size
            if total > MAX_BYTES:
                file.unlink()
        for left in folder.glob(f"{WORKSHOP}*"):  # by a process that was killed
            if time.time() - left.stat().st_mtime > HOUR:
                shutil.rmtree(left, ignore_errors=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)


def _is_safe(folder) -> bool:
    """Whether the folder is this user's own, and nobody else may write to it: what lies in it is run."""
    status = folder.stat()
    return os.name != "posix" or (status.st_uid == os.geteuid() and not status.st_mode & 0o022)


def _lay_out(folder, key, place):
    """Link what is whole of the key's files into place, under OpenVINO's names; remove what is damaged."""
    for blob in folder.glob(f"{key}.*.*.blob"):
        _, name, stated, _ = blob.name.split(".")
        if _sum_of(blob) == stated:
            (place / f"{name}.blob").hardlink_to(blob)
        else:
            blob.unlink()


def _sum_of(path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]
