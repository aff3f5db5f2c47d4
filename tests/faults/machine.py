"""A machine that fails: little memory, closed streams, Ctrl-C at random moments. Every script works, or ends in one line, soon.

python tests/faults/machine.py --seed 1 --minutes 5
"""

import argparse
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
PICTURE = str(ROOT / "data" / "person.png")
COMMANDS = (
    ("pose_detector.py", "lightposenet", "--img", PICTURE, "--out", "r.png"),
    ("pose_detector.py", "lightposenet", "--input", PICTURE, PICTURE, "--jsonl", "r.jsonl", "--out", "drawn"),
    ("pose_detector.py", "lightposenet", "--img", PICTURE, "--engine", "chainer", "--out", "r.png"),
    ("demo.py", "--img", PICTURE, "--out", "r.png"),
    ("convert_model.py", "lightposenet", str(ROOT / "models" / "light_posenet.npz"), "light.xml"),
    ("plot_train_log.py", "log"),
)
LONGEST = 120  # seconds


def run(command, folder, before=None, stop_after=None, closed=""):
    """(exit status, stdout, stderr, seconds) of a script; stop_after: seconds until Ctrl-C; closed: standard streams that are, of "012"."""

    def prepare():
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if before is not None:
            before()

    words = [sys.executable, str(ROOT / command[0]), *command[1:]]
    if closed:
        words = ["bash", "-c", '"$@" ' + " ".join(f"{number}>&-" for number in closed), "bash", *words]
    process = subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=prepare)
    begin = time.monotonic()
    try:
        if stop_after is not None:
            time.sleep(stop_after)
            process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=LONGEST)
    except subprocess.TimeoutExpired:
        process.kill()
        out, errors = process.communicate()
        return "hangs", out, errors, LONGEST
    return process.returncode, out, errors, time.monotonic() - begin


def limited(megabytes):
    return lambda: resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))


def fault_of(kind, status, errors):
    """What is wrong with the end of a run; None if nothing is."""
    if "Traceback" in errors:
        return "a traceback"
    if status == 0:
        return None
    expected = {"memory": (2,), "closed": (), "interrupt": (130, -2)}[kind]
    if status not in expected:
        return f"status {status}"
    return None if errors.count("\n") <= 1 else "more than one line"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=5)
    options = parser.parse_args()
    rng, end, n_cases, faults = random.Random(options.seed), time.monotonic() + 60 * options.minutes, 0, []
    while time.monotonic() < end:
        command, kind = rng.choice(COMMANDS), rng.choice(("memory", "closed", "interrupt"))
        how = {
            "memory": lambda: {"before": limited(rng.randint(300, 1000))},
            "closed": lambda: {"closed": rng.choice(("1", "2", "12", "012"))},
            "interrupt": lambda: {"stop_after": rng.uniform(0.3, 6)},  # before, Python itself begins
        }[kind]()
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "log").write_text('[{"iteration": 1, "main/loss": 0.5}]')
            status, _, errors, seconds = run(command, folder, **how)
            fault = fault_of(kind, status, errors)
            if fault is None and status != 0 and (left := [path.name for path in Path(folder).rglob(".*.part*")]):
                fault = f"left {left}"
        n_cases += 1
        if fault is not None:
            faults.append(fault)
            print(f"{kind}: {fault} after {seconds:.1f} s: {' '.join(command[:4])}\n{errors[-400:]}")
    print(f"seed {options.seed}: {n_cases} cases, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
