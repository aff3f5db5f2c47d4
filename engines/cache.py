"""The folder in which OpenVINO keeps compiled models, so that the second start is quick."""

import os
from pathlib import Path

MAX_BYTES = 2 << 30


def default_cache_dir() -> Path | None:
    """$XDG_CACHE_HOME/pose-toolkit/openvino, by default below ~/.cache; None where the user has no home, or the name is none for OpenVINO."""
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pose-toolkit" / "openvino"
        str(folder).encode()
    except (RuntimeError, UnicodeEncodeError):
        return None
    return folder


def make_room(folder) -> bool:
    """Make the folder and drop its oldest files above MAX_BYTES. False: it cannot be used; the engine does without."""
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        total = 0
        for file in sorted(folder.glob("*.blob"), key=lambda file: file.stat().st_mtime, reverse=True):
            total += file.stat().st_size
            if total > MAX_BYTES:
                file.unlink()
    except OSError:
        return False
    return os.access(folder, os.W_OK | os.X_OK)
