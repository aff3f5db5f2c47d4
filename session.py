"""While a script works: standard streams that do not stop it, and signals that end it."""

from process import open_streams

import _thread
import os
import signal
import sys
import threading
import time
from contextlib import contextmanager, suppress
from typing import NamedTuple

ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
PATIENCE = 5.0  # seconds in which a second signal is taken for the first one
INSISTENCE = 1.0  # seconds until it is looked whether a signal was heard
CONTROLS = {code: f"\\x{code:02x}" for code in (*range(9), *range(11, 32), *range(127, 160))}  # all but the tabulator and the end of a line
UP = "\033[A"  # tqdm's, between its bars
STARTERS = (  # variables in which the number and the count of processes that were started together stand
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),  # Open MPI's mpiexec
    ("PMI_RANK", "PMI_SIZE"),  # MPICH's, Intel's
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),  # srun
)


class Launch(NamedTuple):
    """This process among those that mpiexec or srun has started together."""

    number: int  # from 0
    count: int


def launched() -> Launch:
    """What the environment says; (0, 1) where nothing does."""
    for names in STARTERS:
        number, count = (os.environ.get(name, "") for name in names)
        if number.isdecimal() and count.isdecimal() and int(number) < int(count):
            return Launch(int(number), int(count))
    return Launch(0, 1)


class Output:
    """A standard stream that never stops the work: where it cannot be written any more, what follows is dropped, and `error` says why.

    Control characters, which the name of a file may hold, are written as text: they would be orders to the terminal.
    """

    def __init__(self, stream):
        self.stream, self.error = stream, None

    def __getattr__(self, name):
        return getattr(self.stream, name)

    def write(self, text):
        self._try(self.stream.write, shown(text))
        return len(text)

    def flush(self):
        self._try(self.stream.flush)

    def _try(self, work, *arguments):
        if self.error is None:
            try:
                work(*arguments)
            except OSError as error:
                self.error = error
                with suppress(OSError, ValueError):  # what is still in its buffer goes there at the end
                    os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())


def shown(text) -> str:
    """Text without control characters, except those that tqdm moves the cursor with: returns at both ends, and lines that hold nothing else."""
    body = text.strip("\r\n")
    if not body.replace(UP, "") or body.isprintable():
        return text
    return text.replace(body, body.translate(CONTROLS), 1)


@contextmanager
def lasting_streams():
    """`with lasting_streams() as (stdout, stderr):` both are an Output."""
    open_streams()
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = outputs = tuple(map(Output, before))
    try:
        yield outputs
    finally:
        for output in outputs:
            output.flush()
        sys.stdout, sys.stderr = before


@contextmanager
def ending_on_signals():
    """`with ending_on_signals():` Ctrl-C is KeyboardInterrupt; SIGTERM and SIGHUP are SystemExit, so that nothing half-written stays."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came, left = -PATIENCE, threading.Event()

    def end(number, _):
        nonlocal came
        again, came = time.monotonic() - came < PATIENCE, time.monotonic()
        if again and not lost():  # who closes a terminal sends several; one is enough, and the next would break off what the first one closes
            return
        with suppress(RuntimeError):  # no memory for a thread
            _thread.start_new_thread(insist, (number, left))
        sys.exit(128 + number)

    handlers = dict.fromkeys(ENDING, end) | {signal.SIGINT: signal.default_int_handler}
    before = {number: signal.getsignal(number) for number in handlers}
    chosen = [number for number, handler in before.items() if handler not in (signal.SIG_IGN, None)]  # as nohup sets them; None: not Python's
    for number in chosen:
        signal.signal(number, handlers[number])
    try:
        yield
    finally:
        left.set()
        for number in chosen:
            signal.signal(number, before[number])


@contextmanager
def unwrapped_ends():
    """`with unwrapped_ends():` a SystemExit or KeyboardInterrupt that a library made another exception of is what it was.

    A signal may come while a module in C++ is imported, which makes "ImportError: initialization failed" of whatever is raised meanwhile (pybind11).
    """
    try:
        yield
    except Exception as error:
        end = _end_in(error)
        if end is None:
            raise
        raise end from None


def _end_in(error):
    """The SystemExit or KeyboardInterrupt that caused an exception, or one that led to it; not one on whose way closing failed."""
    while error is not None:
        if isinstance(error.__cause__, SystemExit | KeyboardInterrupt):
            return error.__cause__
        error = error.__cause__ or error.__context__
    return None


def insist(number, left):
    """Send a signal again where the SystemExit that it raised was lost: some libraries drop what is raised while they ask Python for something."""
    if not left.wait(INSISTENCE) and lost():
        signal.pthread_kill(threading.main_thread().ident, number)


def lost() -> bool:
    """Whether no SystemExit is on its way through the main thread: what it runs is neither a handler nor a `finally` of one."""
    error = sys._current_exceptions().get(threading.main_thread().ident)
    error = error[1] if isinstance(error, tuple) else error  # (type, exception, traceback) before Python 3.12
    while error is not None and not isinstance(error, SystemExit):
        error = error.__context__
    return error is None
