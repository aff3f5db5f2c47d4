"""The window of a run: the newest frame, the rate, the latency, and a few keys."""

import os
import subprocess
import sys
import time
from collections import deque

import cv2

from errors import InputError
from streams.results import write_image

QUIT_KEYS = (ord("q"), ord("Q"), 27)  # 27: Esc
KEYS = "q or Esc: quit, s: save the frame, space: pause"
FONT = cv2.FONT_HERSHEY_SIMPLEX


def check_screen(option="--show", cure="leave --show out and open the file that --out names"):
    """Raise InputError where no window can be opened. Tried out in a process of its own, for OpenCV aborts the one in which it fails."""
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise InputError(f"{option}: there is no screen here (DISPLAY is not set); {cure}")
    attempt = subprocess.run([sys.executable, "-c", "import cv2; cv2.namedWindow('test')"], capture_output=True, check=False)
    if attempt.returncode:
        raise InputError(f"{option}: this machine's screen cannot be used by OpenCV; {cure}")


def has_screen() -> bool:
    """Whether a window can be opened."""
    try:
        check_screen()
    except InputError:
        return False
    return True


def is_open(title) -> bool:
    """Whether the window is there; OpenCV raises an error when the last one has gone."""
    try:
        return cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) >= 1
    except cv2.error:
        return False


def show_picture(name, picture) -> bool:
    """Show a picture until a key is pressed or the window is closed; False for q, Esc and closing, which say that it is enough."""
    name = name.encode(errors="replace").decode()  # OpenCV ends the process where a name is no UTF-8
    cv2.imshow(name, picture)
    while is_open(name):
        key = cv2.waitKey(100)
        if key >= 0:
            return key & 0xFF not in QUIT_KEYS
    return False


class Window:
    """`show` frames until it answers False."""

    def __init__(self, title, source, say=print):
        """source: what the frames come from; its `paused` is set while the window pauses, its `taken`, where it has one, gives the latency.

        say: is told, in a line, what was saved.
        """
        self.title, self.source, self.say = title, source, say
        self.shown = deque(maxlen=30)  # when
        cv2.namedWindow(title, cv2.WINDOW_NORMAL if max(getattr(source, "size_wh", (0, 0))) > 1600 else cv2.WINDOW_AUTOSIZE)

    def show(self, frame, drawn) -> bool:
        """Show a drawn frame; False when the user wants to end: q, Esc, or the window's own button. Waits while paused."""
        self.shown.append(time.monotonic())
        cv2.imshow(self.title, self._with_text(drawn))
        key = cv2.waitKey(1)
        if key == ord(" "):
            key = self._pause(frame, drawn)
        if key == ord("s"):
            self._save(frame, drawn)
        return key not in QUIT_KEYS and is_open(self.title)

    def close(self):
        if is_open(self.title):
            cv2.destroyWindow(self.title)

    def _pause(self, frame, drawn):
        """Until space or a key that ends the run. Returns that key."""
        self.source.paused = True
        try:
            while is_open(self.title):
                key = cv2.waitKey(50)
                if key == ord("s"):
                    self._save(frame, drawn)
                elif key >= 0:
                    return -1 if key == ord(" ") else key
            return -1
        finally:
            self.source.paused = False
            self.shown.clear()

    def _save(self, frame, drawn):
        path = f"frame_{frame.number:06d}.png"
        write_image(path, drawn)
        self.say(f"saved {path}")

    def _with_text(self, drawn):
        """A copy with the rate, and for cameras the time from taking the picture to showing it."""
        parts = []
        if len(self.shown) > 1:
            parts.append(f"{(len(self.shown) - 1) / (self.shown[-1] - self.shown[0]):.1f} frames/s")
        if getattr(self.source, "taken", 0):
            parts.append(f"{1000 * (time.monotonic() - self.source.taken):.0f} ms")
        canvas, text = drawn.copy(), ", ".join(parts)
        scale = max(0.4, min(drawn.shape[:2]) / 800)
        for color, width in (((0, 0, 0), 4), ((255, 255, 255), 1)):
            cv2.putText(canvas, text, (round(12 * scale), round(32 * scale)), FONT, scale, color, max(1, round(width * scale)), cv2.LINE_AA)
        return canvas
