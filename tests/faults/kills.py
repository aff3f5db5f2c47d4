"""End every kind of long work at random moments, by SIGKILL, SIGTERM, SIGINT and SIGHUP, and start it again until it ends by itself.

python tests/faults/kills.py --seed 1 --kills 120 --minutes 30
python tests/faults/kills.py --seed 1 --work training

Wanted: what one run gives is there in the end, and nothing else; whatever is there after a signal is whole; one line on stderr at most; nothing of
a killed run stays. Of five moments four lie in the work, whose length an uninterrupted run has told; the fifth may lie in the start-up.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "streams"), str(ROOT / "tests" / "faults")]

from works import WORKS  # noqa: E402

PATIENCE = 600  # seconds for a run
STATUS = {  # of a process that has ended by a signal; the second where Python had not come so far as to hear it
    signal.SIGKILL: (-9,),
    signal.SIGTERM: (143, -15),
    signal.SIGHUP: (129, 143, -1),
    signal.SIGINT: (130, -2),
}
SIGNALS = [signal.SIGKILL, *STATUS]  # the hard one twice as often


class Fault(AssertionError):
    pass


class Trial:
    """A kind of work, killed and started again."""

    def __init__(self, work, place, rng):
        self.work, self.place, self.rng = work, place, rng
        self.seconds = dict.fromkeys(STATUS, 0.0)  # the longest from the signal to the end
        self.counts = Counter()
        (place / "tmp").mkdir()
        begin = time.monotonic()
        folder = self.folder("whole")
        process = self.start(folder, again=False)
        self.until_begun(process, folder)
        self.startup = time.monotonic() - begin
        self.finish(process)
        self.length = time.monotonic() - begin - self.startup
        self.hidden = 0.0  # seconds of start-up that cannot be seen from outside
        if not work.sign:
            self.startup = self.hidden = self.length = self.length / 2
        self.whole = work.read(folder)

    def folder(self, name):
        folder = self.place / name
        folder.mkdir()
        self.work.prepare(folder)
        return folder

    def start(self, folder, again):
        environment = {**os.environ, "TMPDIR": str(self.place / "tmp"), **self.work.environment()}
        self.errors = tempfile.TemporaryFile()  # noqa: SIM115
        command, self.since = self.work.command(folder, again), time.time_ns()
        return subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=self.errors, stdin=subprocess.DEVNULL, preexec_fn=default
        )

    def until_begun(self, process, folder):
        end = time.monotonic() + PATIENCE
        while process.poll() is None and not self.work.has_begun(folder, self.since):
            if time.monotonic() > end:
                process.kill()
                raise Fault("it does not begin")
            time.sleep(0.001)

    def said(self):
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")

    def finish(self, process):
        try:
            status = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            raise Fault("a hang") from None
        said = self.said()
        if status and not (status == 2 and self.work.reached and self.work.reached in said):
            raise Fault(f"status {status}: {said}")

    def run_once(self, number):
        """A run in a folder of its own, killed some times. Raises Fault."""
        folder = self.folder(f"run{number}")
        for n_kills in range(self.work.most_kills):
            if not self.kill(self.start(folder, again=n_kills > 0), folder):
                break
        else:
            self.finish(self.start(folder, again=True))
        if self.work.read(folder) != self.whole:
            raise Fault("the results are others than those of one run")
        if left := [str(path) for path in folder.rglob(".*") if "part" in path.name or "queue" in path.name]:
            raise Fault(f"left: {left}")
        if left := [path.name for path in (self.place / "tmp").iterdir()]:
            raise Fault(f"left in the temporary folder: {left}")

    def kill(self, process, folder) -> bool:
        """Send a signal at a random moment; False where the process ended by itself before. Raises Fault."""
        in_work, number = self.rng.random() < 0.8, self.rng.choice(SIGNALS)
        if in_work:
            self.until_begun(process, folder)
            share = 1.0 if not self.work.resumes else 0.4  # of what one run takes: those that go on are to be killed several times
            delay = self.hidden + self.rng.uniform(0, share * self.length)
        else:
            delay = self.rng.uniform(0, self.startup)
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            process.send_signal(number)
        else:
            self.counts["too late"] += 1
            self.finish(process)
            return False
        begin = time.monotonic()
        try:
            status = process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            raise Fault(f"a hang after {number.name}, {delay:.2f} s {'after its beginning' if in_work else 'after the start'}") from None
        self.seconds[number] = max(self.seconds[number], time.monotonic() - begin)
        said = self.said()
        moment = f"{number.name}, {delay:.2f} s after {'the beginning of the work' if in_work else 'the start'}"
        if status == 0 or (self.work.reached and self.work.reached in said):
            self.counts["too late"] += 1
            return False
        if status not in STATUS[number]:
            raise Fault(f"status {status} after {moment}: {said}")
        lines = [line for line in said.replace("\r", "\n").splitlines() if line.strip()]
        if number is signal.SIGINT and "init_import_site" in said:  # Python itself was starting
            said, lines = "", []
        if "Traceback" in said or (number is not signal.SIGKILL and len([line for line in lines if "%|" not in line and "it/s" not in line]) > 2):
            raise Fault(f"{moment}: {said}")
        self.counts[f"{number.name} in the work" if in_work else f"{number.name} in the start-up"] += 1
        try:
            self.work.check(folder, number)
        except Exception as error:
            raise Fault(f"after {moment}: {type(error).__name__}: {error}") from error
        return True


def default():
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kills", type=int, default=90, help="of all kinds together (default: 90)")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--work", choices=tuple(WORKS), help="only this one")
    options = parser.parse_args()
    names = [options.work] if options.work else list(WORKS)
    each, end, faults = options.kills / len(names), time.monotonic() + 60 * options.minutes, 0
    for n_done, name in enumerate(names):
        until = time.monotonic() + (end - time.monotonic()) / (len(names) - n_done)
        with tempfile.TemporaryDirectory(prefix="kills_") as place:
            place = Path(place)
            (place / "made").mkdir()
            trial = Trial(WORKS[name](place / "made"), place, random.Random(f"{options.seed} {name}"))
            n_runs = 0
            while n_runs == 0 or (sum(trial.counts.values()) - trial.counts["too late"] < each and time.monotonic() < until):
                n_runs += 1
                try:
                    trial.run_once(n_runs)
                except Fault as fault:
                    faults += 1
                    print(f"{name}, seed {options.seed}, run {n_runs}: {str(fault)[-1500:]}", flush=True)
            seconds = ", ".join(f"{number.name} {longest:.1f} s" for number, longest in trial.seconds.items() if longest)
            counts = ", ".join(f"{count} {what}" for what, count in sorted(trial.counts.items()))
            print(
                f"{name}: {n_runs} runs; {counts}; to the end at most {seconds}; start {trial.startup:.1f} s, work {trial.length:.1f} s",
                flush=True,
            )
    print(f"{faults} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
