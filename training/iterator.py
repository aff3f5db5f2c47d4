"""Batches of training samples, in an order and with a randomness that depend on nothing but the seed and the position."""

import os
import pickle
import sys
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from concurrent.futures.process import BrokenProcessPool
from functools import cached_property
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from tqdm import tqdm

from engines.chainer_compat import chainer
from errors import InputError
from parts import folder_prefix, remove_folders
from training import workers

AHEAD = 2  # batches that are made before they are asked for
LOOK = 5.0  # seconds of waiting for a sample until the pool itself is looked at
FOLDER = "samples"  # begins the names of temporary folders
MOST_TRIES = 20  # pictures in a row that cannot be read

_dataset = None  # of a worker process


class SampleIterator(chainer.dataset.Iterator):
    """Batches of dataset.sample(index, rng), for ever, every epoch in an order of its own.

    The sample at position p is sample(order(epoch)[p % n], rng(seed, p)): a run that is resumed sees what an uninterrupted one sees, however
    many processes make the samples; and `size` processes with batches of B see together what one with batches of size B sees.
    """

    def __init__(self, dataset, batch_size, seed=0, jobs=0, rank=0, size=1):
        """dataset: has a length and sample(index, rng), and can be pickled. jobs: processes that make samples, 0 for none but this one."""
        self.dataset, self.batch_size, self.seed, self.jobs = dataset, batch_size, seed, jobs
        self.rank, self.size = rank, size
        self.n_steps = 0  # batches given out
        self.epoch, self.is_new_epoch, self.order_of = 0, False, (-1, None)
        self.coming = deque()  # futures of the samples of the next batches
        self.warned = set()

    @property
    def epoch_detail(self) -> float:
        return self.n_steps * self.size * self.batch_size / len(self.dataset)

    @property
    def previous_epoch_detail(self) -> float:
        return max(0, self.n_steps - 1) * self.size * self.batch_size / len(self.dataset)

    def positions(self, step) -> range:
        """Of the samples that this process takes in a step."""
        first = (step * self.size + self.rank) * self.batch_size
        return range(first, first + self.batch_size)

    def index_at(self, position) -> int:
        """Of the picture at a position."""
        epoch, place = divmod(position, len(self.dataset))
        if self.order_of[0] != epoch:
            self.order_of = epoch, np.random.default_rng([self.seed, epoch]).permutation(len(self.dataset))
        return int(self.order_of[1][place])

    def __next__(self):
        """A list of batch_size samples. Raises InputError where too many pictures cannot be read, or a process died."""
        if self.jobs:
            try:
                while len(self.coming) <= AHEAD:
                    self.coming.append([self._submit(position) for position in self.positions(self.n_steps + len(self.coming))])
                made = [self._result(future) for future in self.coming.popleft()]
            except BrokenProcessPool:
                cure = "--resume continues from the last snapshot; with fewer --loaderjob less memory is needed"
                raise InputError(f"a process that makes samples has ended by itself (killed, or out of memory); {cure}") from None
        else:
            made = [make_sample(self.dataset, self.index_at(position), self.seed, position) for position in self.positions(self.n_steps)]
        before = int(self.epoch_detail)
        self.n_steps += 1
        self.epoch = int(self.epoch_detail)
        self.is_new_epoch = self.epoch > before
        for _, troubles in made:
            self._warn(troubles)
        return [sample for sample, _ in made]

    next = __next__

    def _submit(self, position):
        return self.pool.submit(_make_sample, self.index_at(position), self.seed, position)

    def _result(self, future):
        while True:
            try:
                return future.result(LOOK)
            except FutureTimeout:
                if self.pool._broken and not future.done():  # a sample that was ordered while the pool broke may be forgotten
                    raise BrokenProcessPool from None

    @cached_property
    def pool(self):
        # By a file: through the pipe on which a new process gets its orders, this one would write for ever to one that dies meanwhile.
        remove_folders(FOLDER)
        self.folder = TemporaryDirectory(prefix=folder_prefix(FOLDER), ignore_cleanup_errors=True)
        path = Path(self.folder.name) / "dataset"
        try:
            path.write_bytes(pickle.dumps(self.dataset))
        except OSError as error:
            cure = "make room there, or name another one in TMPDIR"
            raise InputError(f"{path.parent}: the temporary folder cannot be written ({error.strerror}); {cure}") from None
        pool = ProcessPoolExecutor(self.jobs, get_context("spawn"), _start, (path,))
        try:
            workers.start(pool)
        except BaseException:
            self._end(pool)
            raise
        return pool

    def _warn(self, troubles):
        for trouble in troubles:
            if trouble not in self.warned:
                self.warned.add(trouble)
                tqdm.write(f"{trouble}; another picture takes its place", file=sys.stderr)

    def finalize(self):
        if "pool" in self.__dict__:
            self._end(self.__dict__.pop("pool"))
        self.coming.clear()

    def _end(self, pool):
        workers.end(pool)
        self.folder.cleanup()

    def serialize(self, serializer):
        self.n_steps = int(serializer("n_steps", self.n_steps))
        self.epoch = int(self.epoch_detail)
        self.coming.clear()


def make_sample(dataset, index, seed, position) -> tuple:
    """(sample, what went wrong on the way): a picture that cannot be read gives its place to the next one."""
    troubles = []
    for attempt in range(MOST_TRIES):
        try:
            return dataset.sample((index + attempt) % len(dataset), np.random.default_rng([seed, position])), troubles
        except InputError as error:
            troubles.append(str(error))
    raise InputError(f"{MOST_TRIES} pictures one after another cannot be read; {troubles[-1]}")


def _start(path):
    global _dataset
    workers.settle()
    try:
        _dataset = pickle.loads(path.read_bytes())
    except FileNotFoundError:  # the run has ended before this process began
        os._exit(0)


def _make_sample(index, seed, position):
    return make_sample(_dataset, index, seed, position)
