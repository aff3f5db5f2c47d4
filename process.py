"""The process of a script from its first moment on: its standard streams, Ctrl-C, its memory. Every script imports this before all else.

This is the one module that does something when it is imported, and it does so only in a process that was started with a script of this folder:
what it is there for happens during the other imports, which take seconds, before any function of ours is called.
"""

import _signal  # signal itself, and what it imports, would take as long as all that is done here
import os
import sys

BAD_INPUT, INTERRUPTED = 2, 130
SCRIPT_MB = 700  # of address space, which the libraries take before the work begins (measured: 660 on two cores)
ENOUGH = "raise the limit (ulimit -v), or take a machine with more"
SPENT = (  # words of those who raise something else than MemoryError
    *("bad_alloc", "cannot allocate memory", "failed to map segment", "insufficient memory", "out of memory"),
    *("can't alloc", "failed to allocate", "not allocate", "can't start new thread", "resource temporarily unavailable"),
)
M_ARENA_MAX = -8  # of mallopt (glibc's malloc.h)


def was_started_here() -> bool:
    """Whether Python was started with a script of this folder, or works for such a process."""
    script = getattr(sys.modules["__mp_main__" if is_worker() else "__main__"], "__file__", None)
    return script is not None and os.path.realpath(script).rpartition(os.sep)[0] == os.path.realpath(__file__).rpartition(os.sep)[0]


def is_worker() -> bool:
    """Whether this process works for another one: multiprocessing imports the script under this name then."""
    return "__mp_main__" in sys.modules


def begin():
    """Make the process one that ends in one line."""
    if not is_worker():
        quiet_interrupts()
    open_streams()
    sys.excepthook = tell_shortage
    if room_mb() is not None:
        share_arena()
    if is_worker():
        return
    quiet_matplotlib()
    if room_mb() is not None:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # it ends the process where there is no room for its threads
        if room_mb() < SCRIPT_MB:
            end(BAD_INPUT, f"not enough memory for the libraries: {room_mb():.0f} MB may be used, {SCRIPT_MB} are needed; {ENOUGH}")


def open_streams():
    """Standard streams that whoever started us has closed lead nowhere, so that no file gets their numbers, and their text."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, errors="backslashreplace", closefd=False))  # noqa: SIM115


def quiet_interrupts():
    """Ctrl-C ends the process at once, with a line. For the time before and after the work, when there is nothing to keep."""
    if _signal.getsignal(_signal.SIGINT) != _signal.SIG_IGN:  # as nohup's children
        _signal.signal(_signal.SIGINT, lambda *_: end(INTERRUPTED, "interrupted"))


def share_arena():
    """All threads take memory from one place. By itself glibc's malloc gives each thread 64 MB of addresses; where a limit leaves no room for them,
    every few bytes become a mapping of their own, and compiling a network, a second otherwise, did not end in two minutes.
    """
    os.environ.setdefault("MALLOC_ARENA_MAX", "1")  # of processes to come
    try:
        import ctypes

        ctypes.CDLL(None).mallopt(M_ARENA_MAX, 1)
    except (ImportError, OSError, AttributeError):  # another C library
        pass


def quiet_matplotlib():
    """Where it cannot write into the user's home it says so in two lines, and takes a temporary folder."""
    import logging

    logging.getLogger("matplotlib").setLevel(logging.ERROR)


def end(status, line):
    """End the process at once, whatever it is doing."""
    try:
        os.write(2, f"{os.path.basename(sys.argv[0])}: {line}\n".encode(errors="backslashreplace"))
    finally:
        os._exit(status)


def tell_shortage(kind, error, traceback):
    """sys.excepthook: a lack of memory is one line, all else keeps its traceback."""
    if shortage_in(error) is None:
        sys.__excepthook__(kind, error, traceback)
    elif is_worker():
        os._exit(BAD_INPUT)  # the process that it works for says it
    else:
        end(BAD_INPUT, words_of(error))


def shortage_in(error):
    """What says that there is no memory among an exception and those that led to it (NumPy's, OpenCV's, OpenVINO's, the loader's ...), or None."""
    while error is not None:
        text = "" if isinstance(error, ValueError) else str(error).lower()  # ours say what a user gave
        if isinstance(error, MemoryError) or any(word in text for word in SPENT):
            return error
        error = error.__cause__ or error.__context__
    return None


def words_of(error) -> str:
    """A line about the lack of memory in an exception."""
    shortage = shortage_in(error)
    reason = (str(shortage).strip().splitlines() or [""])[-1] or type(shortage).__name__
    return f"not enough memory ({reason}); {ENOUGH}"


def room_mb():
    """The address space that is left to this process, MB; None where there is no limit."""
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit == resource.RLIM_INFINITY:
            return None
        with open("/proc/self/statm") as file:
            pages = int(file.read().split()[0])
    except (ImportError, OSError, ValueError):  # a system without
        return None
    return (limit - pages * os.sysconf("SC_PAGESIZE")) / 2**20


def check_room(megabytes, what):
    """Raise MemoryError if a limit leaves less: some libraries do not raise where memory is short, they end the process, or wait for ever."""
    room = room_mb()
    if room is not None and room < megabytes:
        raise MemoryError(f"{what} needs {megabytes:.0f} MB, and {room:.0f} may be used")


if was_started_here():
    begin()
