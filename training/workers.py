"""Processes that work for another one."""

import multiprocessing
import os
import signal
import threading
import time
from contextlib import contextmanager

WATCH = 2.0  # seconds


def settle():
    """Call it in a worker, first of all: interruptions are the main process's, and a worker ends when that one is gone, even killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()


@contextmanager
def undisturbed():
    """`with undisturbed():` a process that is started in it never sees Ctrl-C, not even before it comes to `settle`; this one sees it afterwards."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def start(pool):
    """Start all processes of a ProcessPoolExecutor before its first order; none of them sees Ctrl-C.

    By itself it starts one with each order, while a thread of its own closes the pipes as soon as an earlier one has died: the next would be
    given descriptors that are closed, or something else by now (ValueError: bad value(s) in fds_to_keep).
    """
    with undisturbed():
        pool._launch_processes()


def end(pool):
    """End a ProcessPoolExecutor and its processes now: they only read, and the interpreter would wait for what they are doing at its own end."""
    processes = list((pool._processes or {}).values())
    pool.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.kill()


def _end_with_parent(parent):
    main = multiprocessing.parent_process()
    while os.getppid() == parent and (main is None or main.is_alive()):  # it may have gone before this process asked for its parent
        time.sleep(WATCH)
    os._exit(1)
