"""A batch of cases of one kind of file, in a process of its own: run.py starts it, and reads a line of JSON for each case."""

import contextlib
import json
import os
import resource
import sys
import tempfile
import time
import traceback
import zlib

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120
os.environ |= dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), "1")  # on a busy machine threads wait for each other
sys.path[:0] = [ROOT, os.path.join(ROOT, "tests")]  # noqa: PTH118

import numpy as np  # noqa: E402
from faults.kinds import kinds  # noqa: E402

from errors import InputError  # noqa: E402

MEMORY = 3 << 30  # bytes of addresses beyond what the process has when it begins


def outcome_of(kind, good, data, may_differ) -> tuple:
    """(what became of a case, details)."""
    try:
        answer = kind.answer(data)
    except InputError as error:
        return ("refused", "") if str(error).strip() else ("traceback", "an empty line")
    except Exception:
        return "traceback", traceback.format_exc()
    if answer == good:
        return "right", ""
    return ("other", "") if may_differ else ("wrong", "another answer than the good file's")


@contextlib.contextmanager
def stderr_to(file):
    """`with stderr_to(file):` what libraries write on descriptor 2 goes into a file."""
    kept = os.dup(2)
    os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def case(kind, good, seed, number, report):
    rng = np.random.default_rng([seed, zlib.crc32(kind.name.encode()), number])
    data, may_differ = kind.damaged(rng)
    report({"case": number})
    with tempfile.TemporaryFile() as said, stderr_to(said):
        begin = time.monotonic()
        outcome, details = outcome_of(kind, good, data, may_differ)
        seconds = time.monotonic() - begin
        sys.stderr.flush()
        said.seek(0)
        foreign = said.read(2000).decode(errors="replace")
    if foreign and outcome in ("right", "refused", "other"):
        outcome, details = "foreign", foreign
    report({"case": number, "outcome": outcome, "details": details[-3000:], "seconds": round(seconds, 3)})


def main(name, seed, first, last, folder):
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

    def report(entry):
        out.write(json.dumps(entry) + "\n")

    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):  # noqa: PTH123 - of Python; a bar, a warning
        kind = kinds()[name](folder)
        good = kind.answer(kind.good)
    with open("/proc/self/statm") as file:  # noqa: PTH123
        addresses = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (addresses + MEMORY, resource.RLIM_INFINITY))
    report({"ready": True})
    for number in range(int(first), int(last)):
        case(kind, good, int(seed), number, report)
    report({"memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10})


if __name__ == "__main__":
    main(*sys.argv[1:])
