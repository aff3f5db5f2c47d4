"""Keep libraries of C quiet (libpng, libjpeg, FFmpeg, OpenVINO's readers), which write on stderr by themselves: our own line says what is wrong."""

import contextlib
import os
import sys
import threading
from contextlib import contextmanager

STDERR = 2

_lock = threading.Lock()
_depth, _kept = 0, None  # how many ask for quiet now; the real stderr meanwhile


@contextmanager
def quiet():
    """`with quiet():` nothing that is written on descriptor 2 is seen, whichever thread writes it. Python's own stderr is (own_stderr)."""
    _enter()
    try:
        yield
    finally:
        _leave()


def own_stderr():
    """Give Python's stderr a descriptor of its own, so that it speaks while descriptor 2 is quiet. For scripts, once."""
    with contextlib.suppress(OSError, ValueError, AttributeError):  # it is closed, or somebody else's
        if sys.stderr.fileno() == STDERR:
            sys.stderr = open(os.dup(STDERR), "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace")  # noqa: PTH123, SIM115


def _enter():
    global _depth, _kept
    with _lock:
        _depth += 1
        if _depth > 1:
            return
        with contextlib.suppress(OSError):  # stderr is closed: all is quiet
            kept = os.dup(STDERR)
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, STDERR)
            os.close(nowhere)
            _kept = kept


def _leave():
    global _depth, _kept
    with _lock:
        _depth -= 1
        if _depth == 0 and _kept is not None:
            os.dup2(_kept, STDERR)
            os.close(_kept)
            _kept = None
