"""Processes that work for another one."""

import os
import signal
import threading
import time

WATCH = 2.0  # seconds


def settle():
    """Call it in a worker, first of all: interruptions are the main process's, and a worker ends when that one is gone, even killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()


def _end_with_parent(parent):
    while os.getppid() == parent:
        time.sleep(WATCH)
    os._exit(1)
