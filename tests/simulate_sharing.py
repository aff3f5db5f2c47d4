"""How sharing out grows: streams.ledger with 1 to 1,000 simulated processes. For docs/scale.md; no test.

python -m tests.simulate_sharing --picture 0.03 --message 0.0005
mpiexec -n 2 python -m tests.simulate_sharing --measure          # the seconds of a message on this machine
"""

import argparse
import heapq
import random
import sys
import time

from streams.ledger import Ledger

PROCESSES = (1, 2, 4, 10, 30, 100, 300, 1000)
LOOK = 0.003  # seconds between two looks of the first process at its messages (streams.desk.POLL)
AHEAD = 5  # pictures that a process has asked for and not done yet: those that are read ahead


def simulate(n_processes, n_pictures, picture, message, seed=0) -> tuple:
    """(seconds, share of its time that the first process answers). picture: mean seconds of one, with a spread of 30 % and processes that differ
    by 10 %; message: seconds in which the first process answers one; an answer waits in its queue."""
    rng = random.Random(seed)
    ledger = Ledger(range(n_pictures), n_processes)
    speed = [rng.uniform(0.95, 1.05) for _ in range(n_processes)]
    taken, free_at, answering, end = [0] * n_processes, 0.0, 0.0, 0.0
    events = [(0.0, number, 0) for number in range(n_processes)]  # when a process asks, which, and how many it has done then
    busy_until = [0.0] * n_processes
    while events:
        now, number, n_done = heapq.heappop(events)
        free_at = max(free_at, now + LOOK / 2) + message
        answering += message
        ledger.report(number, n_done)
        given = len(ledger.give(number, free_at))
        if not given:
            continue
        taken[number] += given
        begin = max(busy_until[number], free_at)
        times = [picture * speed[number] * rng.uniform(0.7, 1.3) for _ in range(given)]
        busy_until[number] = begin + sum(times)
        end = max(end, busy_until[number])
        ahead = sum(times[-AHEAD:])  # it asks when the last of them is read, and as many are not done yet
        heapq.heappush(events, (max(free_at, busy_until[number] - ahead), number, max(0, taken[number] - AHEAD)))
    return end, answering / end


def measure(n=2000):
    """Print the seconds of a message that is answered, by the code that answers: two processes, of which the second asks as quickly as it can."""
    from streams.shared import crew

    with crew("simulate_sharing") as mates:
        if mates is None:
            sys.exit("start it by mpiexec -n 2")
        mates.start({}, lambda: [0], lambda totals: None)
        if mates.first:
            begin = time.process_time()
            mates.desk.ledger.tasks = list(range(n))
            reports = mates.finish()
            print(f"{(time.process_time() - begin) / max(1, len(reports[1])) * 1000:.3f} ms of the first process for each message")
        else:
            asked = [mates._ask() for _ in range(n // 2)]
            mates.finish(asked)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picture", type=float, default=0.03, help="seconds")
    parser.add_argument("--message", type=float, default=0.0001, help="seconds")
    parser.add_argument("--pictures", type=int, default=1_000_000)
    parser.add_argument("--measure", action="store_true")
    options = parser.parse_args()
    if options.measure:
        measure()
        return
    one = options.pictures * options.picture
    print("| processes | time | times as fast | of the first process's time for messages |\n|---:|---:|---:|---:|")
    for n_processes in PROCESSES:
        seconds, share = simulate(n_processes, options.pictures, options.picture, options.message)
        print(f"| {n_processes:,} | {seconds / 60:.1f} min | {one / seconds:.1f} | {100 * share:.2f} % |")


if __name__ == "__main__":
    main()
