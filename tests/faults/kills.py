"""Kill runs over pictures at random moments, hard, and resume them: what one run gives must be there in the end, whole, and nothing else.

python tests/faults/kills.py --seed 1 --minutes 5
"""

import argparse
import json
import random
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests" / "streams")]

from test_sinks import NAMES, arguments, read_results  # noqa: E402
from videos import fake_main, start_fake, write_pictures  # noqa: E402

KILLS = 60


def resume_until_done(pictures, folder, rng) -> int:
    """Start, kill, and start again until a run ends by itself. Returns the number of kills."""
    for n_kills in range(1000):
        process = start_fake(*arguments(pictures, folder), "--resume", seconds=0.02)
        time.sleep(rng.uniform(0, 4))
        process.kill()
        _, errors = process.communicate()
        if process.returncode == 0:
            return n_kills
        assert process.returncode == -9, errors
        if (folder / "r.json").exists():
            json.loads((folder / "r.json").read_text())
    raise AssertionError("it does not end")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=5)
    options = parser.parse_args()
    rng, end, n_kills, n_runs = random.Random(options.seed), time.monotonic() + 60 * options.minutes, 0, 0
    with tempfile.TemporaryDirectory() as place:
        place = Path(place)
        write_pictures(place / "in", NAMES)
        assert fake_main(arguments(place / "in", place / "whole")) == 0
        whole = read_results(place / "whole")
        while n_kills < KILLS and time.monotonic() < end:
            folder = place / f"run{n_runs}"
            n_kills, n_runs = n_kills + resume_until_done(place / "in", folder, rng), n_runs + 1
            assert read_results(folder) == whole, folder
            assert not list(folder.rglob(".*.part*")), "part files are left"
    print(f"seed {options.seed}: {n_kills} kills, {n_runs} runs resumed to their end, all whole")
    return 0


if __name__ == "__main__":
    sys.exit(main())
