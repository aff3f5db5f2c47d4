"""Pictures one after another: those of a folder, and reading ahead of the work."""

import queue
import threading
from pathlib import Path

from errors import InputError

PICTURES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}
END = object()


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


def find_pictures(folder, most) -> list:
    """At most `most` pictures of a folder, spread evenly over their names."""
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a folder of pictures, and there is none of this name")
    pictures = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)
    if not pictures:
        raise InputError(f"{folder}: no pictures in it ({', '.join(sorted(PICTURES))}); name another folder")
    return pictures[:: -(-len(pictures) // most)]
