"""A camera, or a video played as if it were one: always the newest frame; what could not be used meanwhile is dropped.

The networks warm up on the first frame, which may take seconds: the clock starts when that one is done.
"""

import threading
import time
from itertools import islice

import cv2

from errors import InputError
from files import is_url
from streams.capture import open_capture, with_first
from streams.frames import DEFAULT_RATE, Frame, Video
from streams.threads import LEAVE

PATIENCE = 5.0  # seconds without a frame until a camera counts as gone
WAIT = 0.05
MOST_CAMERAS = 9999  # OpenCV takes numbers from 100 on for other kinds of access, and none that an int does not hold


def open_live(name, as_camera=False):
    """A Live for a camera's number or a URL. A URL of a file (it has an end) gives its Video, or with as_camera the Video played as a camera.

    Raises InputError if no picture comes.
    """
    live = Live(name)
    if not live.has_end:
        return live
    live.close()
    video = Video(name)
    return Live(name, video) if as_camera else video


class Live:
    """`for frame in live.frames(): ...` gives the newest frame each time, never one twice. Close it on every path: that releases the camera."""

    live, is_video = True, True

    def __init__(self, name, video=None):
        """name: a camera's number, or a URL (rtsp://, http://), as text. video: a frames.Video to be played in its place, at its own rate.

        Raises InputError if there is no such camera, or it gives no picture.
        """
        self.name, self.video, self.failures = name, video, []
        self.n_dropped, self.taken = 0, 0.0  # taken: time.monotonic() when the last frame that was given out was taken
        self.paused = False  # a video stands still meanwhile; a camera goes on
        self._newest, self._ended, self._stopped = None, False, threading.Event()
        self._played, self._begin = None, time.monotonic()
        self._changed = threading.Condition()
        if video is not None:
            self.rate, self.size_wh, self.capture = video.rate, video.size_wh, video.capture
        else:
            self.capture, image = with_first(open_capture, min(int(name), MOST_CAMERAS) if name.isdecimal() else name)
            self.first = image
            if image is None:
                kind, cure = ("camera", "plug it in, or try another number") if name.isdecimal() else ("stream", "check the URL")
                reason = _why_not(name) if name.lower().startswith("http") else ""
                said = f" ({reason})" if reason else ""
                raise InputError(f"{kind} {name}: no picture comes from it{said}; {cure}, or play a file with --input VIDEO")
            rate = self.capture.get(cv2.CAP_PROP_FPS)
            self.rate, self.size_wh = rate if 1 <= rate <= 240 else DEFAULT_RATE, (image.shape[1], image.shape[0])
            self.has_end = is_url(name) and self.capture.get(cv2.CAP_PROP_FRAME_COUNT) > 0
        self.thread = threading.Thread(target=self._play if video is not None else self._watch, daemon=True)

    def __len__(self):
        return 0  # nobody knows

    def frames(self, skip=lambda frame: False):
        """Yield the newest Frame, as soon as there is one that was not yielded; end with the video, or when the camera is gone."""
        for frame in self._first():
            self.taken = time.monotonic()
            if not skip(frame):
                yield frame
        self._start_clock()
        while True:
            with self._changed:
                while self._newest is None and not self._ended:
                    self._changed.wait(WAIT)
                if self._newest is None:
                    return
                (frame, self.taken), self._newest = self._newest, None
            if not skip(frame):
                yield frame

    def close(self):
        """Release the camera."""
        self._stopped.set()
        if self.thread.is_alive():
            self.thread.join(LEAVE)
        if not self.thread.is_alive():  # a thread that hangs in the driver would crash on a released camera; it ends with the process
            self.capture.release()

    def _first(self):
        """Yield the Frame that came when the source was opened, if it can be decoded. A camera is read on meanwhile, or it gives old frames later."""
        if self.video is not None:
            self._played = self.video.frames()
            yield from islice(self._played, 1)
            return
        self.thread.start()
        yield Frame(0, self.name, f"camera_{0:012d}", 0.0, self.first)

    def _start_clock(self):
        if self.video is not None:
            self.thread.start()
            return
        with self._changed:
            self._begin, self._newest, self.n_dropped = time.monotonic(), None, 0

    def _watch(self):
        number, silent_since = 1, None
        while not self._stopped.is_set():
            done, image = self.capture.read()
            now = time.monotonic()
            if done:
                self._put(Frame(number, self.name, f"camera_{number:012d}", max(0.0, now - self._begin), image), now)
                number, silent_since = number + 1, None
                continue
            silent_since = silent_since or now
            if now - silent_since > PATIENCE:
                self.failures.append((self.name, f"no picture came for {PATIENCE:.0f} s, after {number} frames"))
                break
            time.sleep(WAIT)
        self._end()

    def _play(self):
        begin = time.monotonic()
        try:
            for frame in self._played:
                while self.paused and not self._stopped.is_set():
                    time.sleep(WAIT)
                    begin += WAIT
                wait = begin + frame.seconds - time.monotonic()
                if self._stopped.wait(max(0.0, wait)):
                    break
                self._put(frame, time.monotonic())
        finally:
            self.failures += self.video.failures
            self._end()

    def _put(self, frame, now):
        with self._changed:
            self.n_dropped += self._newest is not None
            self._newest = frame, now
            self._changed.notify()

    def _end(self):
        with self._changed:
            self._ended = True
            self._changed.notify()


def _why_not(url) -> str:
    from streams.web import why_not  # takes 50 ms, and is seldom needed

    return why_not(url)
