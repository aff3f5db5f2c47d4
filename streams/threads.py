"""Reading ahead of the work, writing behind it; work that Ctrl-C does not divide, or does not wait for."""

import queue
import signal
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import cv2

END = object()
LEAVE = 0.5  # seconds for a thread that nobody needs any more; it ends with the process
STOPPING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


@contextmanager
def undivided():
    """`with undivided():` Ctrl-C, SIGTERM and SIGHUP wait until its end. For short work only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came = []
    before = {number: signal.getsignal(number) for number in STOPPING}
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


def aside(call, seconds=None):
    """call() in a thread of its own: signals are heard while it stands in a library or waits for a server. What it raises is raised here.

    Raises TimeoutError when it has not ended after so many seconds; it is left alone then, as it is after a signal.
    """
    answers = []

    def run():
        try:
            answers.append((call(), None))
        except BaseException as error:  # for the caller to see
            answers.append((None, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not answers:
        raise MemoryError if not thread.is_alive() else TimeoutError  # a thread that ends without a word had none left to say it
    ((answer, error),) = answers
    if error is not None:
        raise error
    return answer


@contextmanager
def opencv_on_one_thread():
    """`with opencv_on_one_thread():` OpenCV leaves the cores to the networks: its own threads wait actively for some milliseconds after each call."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


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
            try:
                frame, error = waiting.get(timeout=LEAVE)
            except queue.Empty:
                if thread.is_alive() or not waiting.empty():
                    continue
                raise MemoryError from None  # a thread that ends without a word had none left to say it
            if error is not None:
                raise error
            if frame is END:
                return
            yield frame
    finally:
        stopped.set()
        thread.join(LEAVE)


class Behind:
    """Work that threads do while the caller goes on: waiting for the disk, which eight files take as long for as one.

    What a piece of work raises is raised by a later `add`, or by `close`, which waits for all of it.
    """

    def __init__(self, threads=8, most=16):
        """most: pieces that wait, each with what it holds in memory."""
        self.pool, self.most, self.coming = ThreadPoolExecutor(threads), most, deque()

    def add(self, work, *arguments):
        while len(self.coming) >= self.most or (self.coming and self.coming[0].done()):
            self.coming.popleft().result()
        self.coming.append(self.pool.submit(work, *arguments))

    def close(self):
        with self.pool:
            while self.coming:
                self.coming.popleft().result()
