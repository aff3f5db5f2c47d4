"""Measure functions side by side, and processes from the shell."""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

REST = 0.2  # seconds


class Timing(NamedTuple):
    """Of a function that was run several times, milliseconds."""

    median: float
    high: float  # nine of ten runs take less


def timings(jobs, repeats, rest=REST) -> dict:
    """{name: Timing} of jobs {name: function}, run in turn so that a slow moment of the machine meets all of them.

    Before each turn the threads of the job before may come to rest: those of most engines go on waiting actively for a while, and would
    take the cores from the next one (PyTorch: 105 ms instead of 14). Then the job's own are woken by a run that does not count.
    """
    seconds = {name: [] for name in jobs}
    for _ in range(repeats):
        for name, job in jobs.items():
            time.sleep(rest)
            job()
            begin = time.perf_counter()
            job()
            seconds[name].append(time.perf_counter() - begin)
    return {name: summary(values) for name, values in seconds.items()}


def summary(seconds) -> Timing:
    """Of a list of seconds."""
    high = statistics.quantiles(seconds, n=10, method="inclusive")[-1] if len(seconds) > 1 else seconds[0]
    return Timing(1000 * statistics.median(seconds), 1000 * high)


class Run(NamedTuple):
    """A process from its start to its end."""

    seconds: float
    cores: float  # how many were busy on average, its children's work too
    megabytes: float  # of memory at most


# A small process starts the one that is measured: the memory of whoever starts it counts as its own.
LAUNCHER = """
import json, os, subprocess, sys, time
begin = time.perf_counter()
process = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
if hasattr(os, "wait4"):
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    facts = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / (1 << (20 if sys.platform == "darwin" else 10))
else:
    process.wait()
    facts = float("nan"), float("nan")
with open(sys.argv[1], "w") as file:
    json.dump((time.perf_counter() - begin, *facts), file)
sys.exit(process.returncode)
"""


def run_script(*command) -> Run:
    """Run a Python script with its options. Raises RuntimeError with what it said where it fails; what the system does not tell is NaN."""
    with tempfile.TemporaryDirectory() as folder:
        facts = Path(folder) / "facts.json"
        process = subprocess.run([sys.executable, "-c", LAUNCHER, facts, sys.executable, *command], stderr=subprocess.PIPE, text=True, check=False)
        if process.returncode:
            raise RuntimeError(f"{' '.join(map(str, command))}: {process.stderr.strip()}")
        seconds, busy, megabytes = json.loads(facts.read_text())
    return Run(seconds, busy / seconds, megabytes)
