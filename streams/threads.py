"""Reading ahead of the work; work that Ctrl-C does not divide."""

import queue
import signal
import threading
from contextlib import contextmanager

END = object()


@contextmanager
def undivided():
    """`with undivided():` Ctrl-C and SIGTERM wait until its end. For short work only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    handlers = {number: handler for number, handler in before.items() if handler is not None}  # None: not set by Python
    try:
        for number in handlers:
            signal.signal(number, lambda number, _: came.append(number))
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


def read_ahead(frames, size=4):
    """Yield what the iterable yields, in order; a thread runs it up to `size` items ahead, so that reading overlaps with the work.

    What the iterable raises is raised here. Leaving the loop early stops the thread.
    """
    waiting, stopped = queue.Queue(size), threading.Event()

    def put(item):
        while not stopped.is_set():
            try:
                waiting.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def run():
        try:
            for frame in frames:
                if not put((frame, None)):
                    return
            put((END, None))
        except BaseException as error:  # for the caller to see
            put((END, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        while True:
            frame, error = waiting.get()
            if error is not None:
                raise error
            if frame is END:
                return
            yield frame
    finally:
        stopped.set()
        thread.join(timeout=5)
