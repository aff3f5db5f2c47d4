"""training/iterator.py: which samples come when, whoever makes them; pictures that cannot be read; processes that die."""

import os
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from conftest import PATIENCE, ROOT
from samples import Numbers

from engines.chainer_compat import chainer
from errors import InputError
from training.iterator import MOST_TRIES, SampleIterator

LENGTH, BATCH = 7, 3
serializers = chainer.serializers

needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc to look for processes in")


def batches(count, length=LENGTH, begin=0, **options):
    """The first batches of an iterator; with `begin`, those that come after a resumption there."""
    iterator = SampleIterator(Numbers(length), **{"batch_size": BATCH, **options})
    iterator.serialize(serializers.NpzDeserializer({"n_steps": np.array(begin)}))
    try:
        return [iterator.next() for _ in range(count)]
    finally:
        iterator.finalize()


@pytest.mark.parametrize("jobs", [1, 2])
def test_samples_do_not_depend_on_who_makes_them_nor_on_a_resumption(jobs):
    expected = batches(6)
    assert batches(4, begin=2, jobs=jobs) == expected[2:]
    assert batches(3, begin=3) == expected[3:]


def test_the_seed_decides():
    first, same, other = batches(4), batches(4, seed=0), batches(4, seed=1)
    assert first == same
    assert [index for batch in first for index, _ in batch] != [index for batch in other for index, _ in batch]
    assert not {number for batch in first for _, number in batch} & {number for batch in other for _, number in batch}


def test_every_epoch_is_an_order_of_its_own():
    samples = [sample for batch in batches(7) for sample in batch]
    epochs = [tuple(index for index, _ in samples[begin : begin + LENGTH]) for begin in (0, 7, 14)]
    assert all(sorted(epoch) == list(range(LENGTH)) for epoch in epochs)
    assert len(set(epochs)) == 3
    assert len({number for _, number in samples}) == 21  # a picture is varied anew in each


def test_two_processes_see_together_what_one_with_twice_the_batch_sees():
    together = batches(5, batch_size=4)
    halves = [batches(5, batch_size=2, rank=rank, size=2) for rank in (0, 1)]
    assert [first + second for first, second in zip(*halves, strict=True)] == together


def test_epochs_are_counted():
    iterator, seen = SampleIterator(Numbers(LENGTH), BATCH), []
    for _ in range(5):
        iterator.next()
        seen.append((iterator.epoch, iterator.is_new_epoch))
    assert seen == [(0, False), (0, False), (1, True), (1, False), (2, True)]
    assert iterator.epoch_detail == pytest.approx(15 / 7)
    assert iterator.previous_epoch_detail == pytest.approx(12 / 7)


def test_its_state_goes_through_a_file(tmp_path):
    iterator = SampleIterator(Numbers(LENGTH), BATCH)
    before = [iterator.next() for _ in range(4)]
    serializers.save_npz(tmp_path / "state.npz", iterator)
    other = SampleIterator(Numbers(LENGTH), BATCH)
    serializers.load_npz(tmp_path / "state.npz", other)
    assert (other.epoch, other.epoch_detail) == (iterator.epoch, iterator.epoch_detail)
    assert [other.next(), other.next()] == [iterator.next(), iterator.next()] != before[:2]


def test_a_batch_larger_than_the_set_goes_round():
    (batch,) = batches(1, length=2, batch_size=5)
    assert sorted(index for index, _ in batch[:2]) == sorted(index for index, _ in batch[2:4]) == [0, 1]


@pytest.mark.parametrize("jobs", [0, 1])
def test_the_next_picture_takes_the_place_of_one_that_cannot_be_read(jobs, capsys):
    iterator = SampleIterator(Numbers(LENGTH, unreadable=[3, 4]), BATCH, jobs=jobs)
    indices = [index for _ in range(7) for index, _ in iterator.next()]
    iterator.finalize()
    right = [index for batch in batches(7) for index, _ in batch]
    assert indices == [5 if index in (3, 4) else index for index in right]
    out, err = capsys.readouterr()
    assert out == ""
    assert sorted(err.splitlines()) == [f"picture {number}.jpg: damaged; another picture takes its place" for number in (3, 4)]


@pytest.mark.parametrize("jobs", [0, 1])
def test_where_none_can_be_read_the_run_ends(jobs):
    iterator = SampleIterator(Numbers(LENGTH, unreadable=range(LENGTH)), BATCH, jobs=jobs)
    with pytest.raises(InputError, match=rf"{MOST_TRIES} pictures one after another cannot be read; picture \d.jpg: damaged"):
        iterator.next()
    iterator.finalize()


@pytest.mark.parametrize("waits", [False, True], ids=["at once", "seen before"])
def test_a_process_that_is_killed_is_one_line(waits):
    """Whether its death is noticed while a sample is awaited, or when the next one is ordered."""
    iterator = SampleIterator(Numbers(LENGTH), BATCH, jobs=1)
    iterator.next()
    (number,) = iterator.pool._processes
    os.kill(number, signal.SIGKILL)
    end = time.monotonic() + PATIENCE
    while waits and not iterator.pool._broken and time.monotonic() < end:
        time.sleep(0.01)
    with pytest.raises(InputError, match="ended by itself") as caught:
        list(islice(iterator, 5))
    assert "--resume" in str(caught.value)
    iterator.finalize()


DYING = """
import os
import signal
import sys
import threading
import time
from concurrent.futures.process import _ExecutorManagerThread
from multiprocessing import popen_spawn_posix
from multiprocessing.process import BaseProcess
from pathlib import Path
from errors import InputError
from samples import Numbers
from training.iterator import SampleIterator


def kill_the_first():
    while True:
        for number in Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split():
            if b"spawn_main" in Path(f"/proc/{number}/cmdline").read_bytes():
                os.kill(int(number), signal.SIGKILL)
                return
        time.sleep(0.001)


def die_at_the_worst_moment():
    # The first process is killed when the second one's descriptors are chosen and not yet handed over; the number of one that the pool closes
    # upon that is taken by the pipe that is opened next.
    free, n_processes = os.dup(0), 0

    def dump_and_kill(what, file):
        nonlocal n_processes
        dump(what, file)
        n_processes += isinstance(what, BaseProcess)
        if n_processes == 2:
            kill_the_first()
            for manager in (thread for thread in threading.enumerate() if isinstance(thread, _ExecutorManagerThread)):
                reader = manager.call_queue._reader
                number = reader.fileno()
                while not reader.closed:
                    time.sleep(0.001)
                while os.dup(0) < number:
                    pass
                os.close(free), os.close(number)

    class Reduction:
        dump = staticmethod(dump_and_kill)

    dump, popen_spawn_posix.reduction = popen_spawn_posix.reduction.dump, Reduction


if __name__ == "__main__":
    dataset = Numbers(100)
    dataset.weight = bytes(10_000_000)  # more than a pipe holds
    iterator = SampleIterator(dataset, 4, jobs=2)
    if sys.argv[1] == "any":
        threading.Thread(target=kill_the_first, daemon=True).start()
    else:
        die_at_the_worst_moment()
    try:
        iterator.next()
    except InputError as error:
        print(error)
    iterator.finalize()
"""


@needs_proc
@pytest.mark.parametrize("moment", ["any", "between the first and the second"])
def test_a_process_that_is_killed_while_it_starts_is_one_line(tmp_path, moment):
    (tmp_path / "main.py").write_text(DYING)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    command = [sys.executable, str(tmp_path / "main.py"), moment]
    process = subprocess.run(command, env=env, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (process.returncode, process.stderr) == (0, "")
    assert process.stdout.count("\n") == 1
    assert "ended by itself" in process.stdout


MAIN = """
import signal
import sys
from samples import Numbers
from training.iterator import SampleIterator

if __name__ == "__main__":
    iterator = SampleIterator(Numbers(100), 4, jobs=2)
    signal.signal(signal.SIGINT, lambda *_: None)
    if sys.argv[1] == "ready":
        iterator.next()
    else:
        iterator._submit(0), iterator._submit(1)
    print(*iterator.pool._processes, flush=True)
    sys.stdin.read()
    print(len(iterator.next()))
    iterator.finalize()
"""


def start_main(folder, state):
    """(process, numbers of its two workers), which are "ready" or "starting". The process goes on when its stdin is closed."""
    script = folder / "main.py"
    script.write_text(MAIN)
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    main = subprocess.Popen([sys.executable, str(script), state], **pipes, text=True, env=env, start_new_session=True)
    numbers = [int(word) for word in main.stdout.readline().split()]
    assert len(numbers) == 2
    return main, numbers


@pytest.mark.parametrize("state", ["ready", "starting"])
def test_ctrl_c_is_not_the_workers(tmp_path, state):
    """A terminal sends it to all processes."""
    main, _ = start_main(tmp_path, state)
    os.killpg(main.pid, signal.SIGINT)
    assert main.communicate(timeout=PATIENCE) == ("4\n", "")
    assert main.returncode == 0


def is_alive(number) -> bool:
    """Whether there is such a process, other than as a zombie."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@needs_proc
@pytest.mark.parametrize("state", ["ready", "starting"])
def test_no_process_outlives_one_that_is_killed(tmp_path, state):
    main, numbers = start_main(tmp_path, state)
    main.kill()
    main.wait(PATIENCE)
    for stream in (main.stdin, main.stdout, main.stderr):
        stream.close()
    end = time.monotonic() + PATIENCE
    while any(map(is_alive, numbers)) and time.monotonic() < end:
        time.sleep(0.05)
    assert not any(map(is_alive, numbers))
