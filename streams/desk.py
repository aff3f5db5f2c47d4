"""The first of several processes (streams.shared) hears the others, and gives out what is to be done."""

import os
import signal
import threading
import time
from collections import Counter
from typing import NamedTuple

from errors import InputError
from parts import is_running
from streams.ledger import Ledger
from streams.threads import STOPPING

POLL, SHOW = 0.003, 0.2  # seconds between two looks for messages; at how far all are
END = "end"  # the first process lets the others go


class Place(NamedTuple):
    """Where a process is."""

    machine: str  # parts.machine
    cores: tuple  # that it may use
    name: str  # of the machine, for people
    process: int  # its number there


class Desk:
    """The first process's thread that hears the others: gives out tasks, adds up what was done."""

    def __init__(self, crew, places):
        """crew: streams.shared.Crew. places: the Place of each process."""
        self.crew, self.places, self.ledger, self.on_progress, self.on_signal = crew, places, None, None, None
        self.waiting, self.gone, self.closing = [], set(), False  # numbers of the others: who wants something to do, who has left
        self.ready, self.reports, self.failures = {}, {}, {}  # {number: what it told}
        self.counts = [Counter() for _ in range(crew.count)]
        self.lock = threading.Condition()
        self.error, self.signals = None, Signals()  # error: of the thread
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def check_same(self, mine):
        """Raise InputError where another process was asked for something else than the first one. mine: {what: digest}."""
        for number, theirs in sorted(self.ready.items()):
            for what, digest in mine.items():
                if theirs.get(what) != digest:
                    cure = "start all by one command line, on machines that see the same files"
                    raise InputError(f"{self.who(number)}, has other {what} than the first one, and they cannot share one work; {cure}")

    def who(self, number) -> str:
        return f"process {number + 1} of {self.crew.count}, on {self.places[number].name}"

    def lost(self) -> list:
        """(process, in words; tasks that it had in hand, in order) of those on this machine that are gone and did not say so: they were killed.

        Nobody tells of those on other machines.
        """
        with self.lock:
            numbers = [
                number
                for number, place in enumerate(self.places)
                if number not in self.gone and place.machine == self.places[0].machine and not is_running(place.process)
            ]
            return [(self.who(number), list(self.ledger.accounts[number].in_hand) if self.ledger else []) for number in numbers]

    def open(self, tasks, on_progress, on_signal):
        with self.lock:
            self.ledger = Ledger(tasks, self.crew.count)
            self.on_progress, self.on_signal = on_progress, on_signal

    def take(self) -> list:
        """For the first process itself."""
        with self.lock:
            self.ledger.report(0, self.crew.counts.get("done", 0), self.crew.last)
            return self.ledger.give(0, time.monotonic())

    def take_note(self, number, counts, last):
        with self.lock:
            self.counts[number] = Counter(counts)
            if self.ledger is not None:
                self.ledger.report(number, counts.get("done", 0), last)

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
        for number, (line, status) in sorted(self.failures.items()):
            lines.setdefault((line, status), self.who(number))
        return InputError("; ".join(f"{line} ({who})" for (line, _), who in lines.items()), next(status for _, status in lines))

    def _run(self):
        try:
            shown = 0.0
            while not self.closing or len(self.gone) + 1 < self.crew.count:
                while (heard := self.crew.heard_of_any()) is not None:
                    self._take_in(*heard)
                self._serve()
                if self.signals.came() and self.on_signal is not None:
                    self.on_signal(self.lost())
                    self.on_signal = None
                if self.on_progress is not None and not self.closing and time.monotonic() - shown > SHOW:
                    shown = time.monotonic()
                    self.on_progress(self.crew.totals)
                time.sleep(POLL)
            for number in range(1, self.crew.count):
                self.crew.send(number, END)
        except Exception as error:  # for the main thread to see
            self.error = error

    def _take_in(self, number, message):
        what, counts, last, *facts = message
        self.take_note(number, counts, last)
        with self.lock:
            if what == "ready":
                (self.ready[number],) = facts
            elif what == "wants":
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
