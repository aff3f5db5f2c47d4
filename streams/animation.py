"""Animated GIF and WebP files as videos: all pictures, each as long as its file says."""

from itertools import accumulate
from math import gcd
from pathlib import Path

import cv2
import numpy as np

from errors import InputError
from files import read_bytes
from silence import quiet
from streams.durations import durations_of
from streams.frames import Frame
from streams.picture import check_size, on_white
from streams.picture_size import picture_size

QUICKEST, USUAL, FINEST = 20, 100, 10  # ms: pictures that claim to be shorter are shown as long as the usual, as browsers do; times are rounded
TOGETHER = 32  # pictures that are decoded at a time: more would take memory, fewer time, for OpenCV begins at the first one each time


class Animation:
    """The pictures of an animation, as streams.frames.Video."""

    live, is_video = False, True

    def __init__(self, path):
        """Raises InputError if it cannot be read."""
        self.path, self.failures = str(path), []
        self.data = read_bytes(path, "animation")
        check_size(picture_size(self.data), f"animation {path}")
        durations = [round(each / FINEST) * FINEST if each >= QUICKEST else USUAL for each in durations_of(self.data)]
        first = _decode(self.data, 0, 1)
        if not first:
            raise InputError(f"animation {path}: expected an animated GIF or WebP, got something else, or a damaged one; convert it")
        self.size_wh = first[0].shape[1], first[0].shape[0]
        self.starts = [0, *accumulate(durations)]  # ms; the last one is the end
        common = gcd(*durations)
        self.rate = 1000 / common  # frames per second: the slowest at which each picture is a whole number of frames long
        self.times = [duration // common for duration in durations]

    def __len__(self):
        return len(self.times)

    def frames(self, skip=lambda frame: False):
        stem, n_read = Path(self.path).stem, 0
        for begin in range(0, len(self), TOGETHER):
            for image in _decode(self.data, begin, TOGETHER):
                frame = Frame(n_read, self.path, f"{stem}_{n_read:012d}", self.starts[n_read] / 1000, None)
                n_read += 1
                if not skip(frame):
                    yield frame._replace(image=image)
        if n_read < len(self):
            self.failures.append((self.path, f"it ends after {n_read} of {len(self)} pictures; it may be damaged"))

    def times_of(self, frame) -> int:
        """How many frames of a video at `rate` the picture is long."""
        return self.times[frame.number]

    def close(self):
        pass


def _decode(data, begin, most) -> list:
    """At most `most` pictures (H, W, 3) uint8 BGR from number `begin` on; none where OpenCV cannot read them."""
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # our own line says it
    try:
        with quiet():
            done, animation = cv2.imdecodeanimation(np.frombuffer(data, np.uint8).reshape(1, -1), begin, most)
    except cv2.error:
        done = False
    finally:
        cv2.utils.logging.setLogLevel(level)
    return [on_white(image) if image.shape[2] == 4 else image for image in animation.frames] if done else []
