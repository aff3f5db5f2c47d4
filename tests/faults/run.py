"""Damage every kind of file that is read, thousands of times, and count what becomes of it.

python tests/faults/run.py --seed 1 --cases 5000 --minutes 10
python tests/faults/run.py --seed 1 --kind npz --first 117 --cases 1     one case again

right: the answer of the good file; other: another good file's, which no reader can tell; refused: InputError, one line. Faults: traceback, crash
(the process ended by a signal), hang, wrong (another answer where a checksum says better), foreign (lines of libraries on stderr).
"""

import argparse
import json
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent.parent), str(HERE.parent)]

from faults.kinds import kinds  # noqa: E402

FAULTS = ("traceback", "crash", "hang", "wrong", "foreign")
COLUMNS = ("right", "other", "refused", *FAULTS)
BATCH = 200  # cases of a process
PATIENCE = 60.0  # seconds for a case; it takes milliseconds
START = 600.0  # seconds for the good file; the machine may be busy


def run_batch(name, seed, first, last, deadline, note) -> Counter:
    """Cases first..last of a kind; a process that dies or hangs is replaced by another one behind the case. note(name, case, outcome, details)."""
    counts = Counter()
    while first < last and time.monotonic() < deadline:
        first = _run_process(name, seed, first, last, deadline, counts, note)
    return counts


def _run_process(name, seed, first, last, deadline, counts, note) -> int:
    """Returns the case to go on with."""
    with tempfile.TemporaryDirectory(prefix="faults_") as folder, tempfile.TemporaryFile() as said:
        command = [sys.executable, str(HERE / "batch.py"), name, str(seed), str(first), str(last), folder]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said, text=True, cwd=folder)
        lines = queue.Queue()
        threading.Thread(target=lambda: [lines.put(line) for line in [*iter(process.stdout.readline, ""), None]], daemon=True).start()
        case, patience, status = None, START, None
        try:
            while time.monotonic() < deadline:
                line = lines.get(timeout=patience)
                if line is None:
                    status = process.wait()
                    break
                entry, patience = json.loads(line), PATIENCE
                if "outcome" in entry:
                    counts[entry["outcome"]] += 1
                    if entry["outcome"] in FAULTS:
                        note(name, case, entry["outcome"], entry["details"])
                    first, case = case + 1, None
                elif "case" in entry:
                    case = entry["case"]
                counts["MB"] = max(counts["MB"], entry.get("memory", 0))
            else:
                return last
        except queue.Empty:
            counts["hang"] += 1
            note(name, case, "hang", f"nothing for {patience:.0f} s")
            return last if case is None else case + 1
        finally:
            process.kill()
            process.wait()
        if case is None and status == 0:
            return last
        said.seek(0)
        counts["crash"] += 1
        note(name, case, "crash", f"exit status {status}: {said.read().decode(errors='replace')[-2000:]}")
        return last if case is None else case + 1


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--cases", type=int, default=5000, help="of all kinds together (default: 5000)")
    p.add_argument("--minutes", type=float, default=10, help="what is not done by then is left out (default: 10)")
    p.add_argument("--kind", help="only this one")
    p.add_argument("--first", type=int, default=0, help="with --kind: the first case's number")
    p.add_argument("--jobs", type=int, default=2, help="processes (default: 2)")
    options = p.parse_args()
    chosen = {name: kind for name, kind in kinds().items() if options.kind in (None, name)}
    shares = sum(kind.share for kind in chosen.values())
    deadline, faults = time.monotonic() + 60 * options.minutes, []
    totals = {name: Counter() for name in chosen}

    def note(name, case, outcome, details):
        faults.append(outcome)
        print(f"\n{outcome}: run.py --seed {options.seed} --kind '{name}' --first {case} --cases 1\n{details.strip()[-1200:]}", flush=True)

    def work(task):
        name, first, last = task
        totals[name] += run_batch(name, options.seed, first, last, deadline, note)

    tasks = []
    for name, kind in chosen.items():
        n_cases = max(1, round(options.cases * kind.share / shares))
        ends = range(options.first, options.first + n_cases, BATCH)
        tasks += [(name, first, min(first + BATCH, options.first + n_cases)) for first in ends]
    with ThreadPoolExecutor(options.jobs) as pool:
        for _ in pool.map(work, sorted(tasks, key=lambda task: task[1])):
            pass
    print_table(totals)
    return 1 if faults else 0


def print_table(totals):
    print(f"\n{'':28}{'cases':>7}" + "".join(f"{column:>10}" for column in COLUMNS) + f"{'MB':>7}")
    every = Counter()
    for name, counts in totals.items():
        print_row(name, counts)
        every.update({column: counts[column] for column in COLUMNS})
    print_row("all", every)


def print_row(name, counts):
    print(
        f"{name:28}{sum(counts[column] for column in COLUMNS):7}" + "".join(f"{counts[column]:10}" for column in COLUMNS) + f"{counts['MB'] or '':>7}"
    )


if __name__ == "__main__":
    sys.exit(main())
