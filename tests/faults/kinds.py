"""What a kind of file is to the runner, and the kinds by their names."""

import contextlib
import hashlib
import io
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
from faults import mutations

from errors import InputError

MODULES = ("weights", "snapshot", "caffe", "networks", "pictures", "videos", "lists", "results", "annotations", "logs", "cache", "packs")


class Kind:
    """A kind of file that is read: how a good one is made, how it is damaged, and what a reader answers."""

    name = ""
    share = 1.0  # of the cases: less for what is slow
    has_checksum = False  # whether another answer than the good file's is a wrong one

    def __init__(self, folder):
        """Make the good file in a folder of its own: self.good, bytes."""
        self.folder, self.good = Path(folder), b""

    def damaged(self, rng) -> tuple:
        """(bytes, whether a reader cannot know that they are another good file)."""
        return mutations.of_bytes(rng, self.good), not self.has_checksum

    def answer(self, data):
        """What is read from the bytes, as something that can be compared. Raises InputError, and nothing else."""
        raise NotImplementedError


def kinds() -> dict:
    """{name: Kind class}."""
    found = {}
    for module in MODULES:
        for kind in import_module(f"faults.{module}").KINDS:
            found[kind.name] = kind
    return found


def digest(*arrays) -> str:
    total = hashlib.sha256()
    for array in arrays:
        total.update(np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


def script(main, *argv, many=False) -> str:
    """What a script prints. Raises InputError with its line where it refuses; AssertionError where that is more than one (many: its own may be)."""
    out, err = io.StringIO(), io.StringIO()
    before = sys.stderr
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main([str(word) for word in argv])
    finally:
        sys.stderr = before
    said = err.getvalue()
    if status:
        assert status in (1, 2), f"exit status {status}"
        lines, prog = said.splitlines(), said.split(":")[0]
        assert len(lines) == 1 or (many and all(line.startswith(f"{prog}: ") for line in lines)), f"{len(lines)} lines on stderr: {said[:500]!r}"
        raise InputError(said)
    return out.getvalue()
