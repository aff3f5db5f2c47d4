"""What comes through a pipe on stdin, as a video: YUV4MPEG2 (ffmpeg -f yuv4mpegpipe) or pictures in JPEG, one after another (ffmpeg -f mjpeg).

Source of the format: the manual page yuv4mpeg(5) of MJPEG Tools.
"""

import re
import sys
from fractions import Fraction
from itertools import count

import cv2
import numpy as np

from errors import InputError
from streams.frames import DEFAULT_RATE, Frame
from streams.picture import check_size, decode
from streams.picture_size import JPEG

Y4M = b"YUV4MPEG2"
LINE = 4096  # bytes that a header has at most
CHUNK = 1 << 16
CURE = "give it ffmpeg -i VIDEO -f yuv4mpegpipe -pix_fmt yuv420p - (or -f mjpeg); a single picture is --img -"


class PipedVideo:
    """The frames that come on stdin, as streams.frames.Video; their number is not known."""

    live, is_video, path = False, True, "-"

    def __init__(self, file=None):
        """file: binary; None for stdin. Raises InputError where it is no video."""
        self.file, self.failures = file or sys.stdin.buffer, []
        begin = self.file.read(len(Y4M))
        if begin == Y4M:
            self.rate, self.size_wh = self._header()
            self.images = self._y4m()
        elif begin[:2] == JPEG:
            self.rate = DEFAULT_RATE
            self.images = self._jpegs(begin)
        else:
            raise InputError(
                f"--input -: {'nothing came' if not begin else 'expected a video in YUV4MPEG2 or Motion JPEG, got something else'}; {CURE}"
            )
        self.first = next(self.images, None)
        if self.first is None:
            raise InputError(f"--input -: it ends before the first picture, or is damaged; {CURE}")
        self.size_wh = self.first.shape[1], self.first.shape[0]

    def __len__(self):
        return 0

    def frames(self, skip=lambda frame: False):
        image = self.first
        for number in count():
            if image is None:
                return
            frame = Frame(number, "stdin", f"stdin_{number:012d}", number / self.rate, None)
            if not skip(frame):
                yield frame._replace(image=image)
            image = next(self.images, None)

    def close(self):
        pass

    def _header(self) -> tuple:
        """(frames per second, (width, height)). Raises InputError."""
        words = self.file.readline(LINE).decode(errors="replace").split()
        fields = {word[0]: word[1:] for word in words}
        try:
            rate, size_wh = Fraction(fields.get("F", "25:1").replace(":", "/")), (int(fields["W"]), int(fields["H"]))
        except (KeyError, ValueError, ZeroDivisionError):
            raise InputError(f"--input -: its first line is no header of YUV4MPEG2; {CURE}") from None
        if min(size_wh) < 1 or not re.fullmatch(r"420(jpeg|paldv|mpeg2)?", fields.get("C", "420")):
            raise InputError(f"--input -: expected 8 bits of yuv420p, got C{fields.get('C', '420')} of {size_wh[0]}x{size_wh[1]}; {CURE}")
        check_size(size_wh, "--input -")
        return float(rate) if 0.1 <= rate <= 1000 else DEFAULT_RATE, size_wh

    def _y4m(self):
        width, height = self.size_wh
        half_wh = (width + 1) // 2, (height + 1) // 2
        n_bytes = width * height + 2 * half_wh[0] * half_wh[1]
        while self.file.readline(LINE).startswith(b"FRAME"):
            data = self.file.read(n_bytes)
            if len(data) < n_bytes:
                self.failures.append(("stdin", "it ends in the middle of a picture"))
                return
            yield _to_bgr(np.frombuffer(data, np.uint8), width, height, half_wh)

    def _jpegs(self, rest):
        """Pictures of Motion JPEG; thumbnails, which would hold end marks of their own, are no part of it."""
        while True:
            end = rest.find(b"\xff\xd9", 2)
            while end < 0:
                more = self.file.read1(CHUNK)
                if not more:
                    if rest.strip(b"\0\r\n"):
                        self.failures.append(("stdin", "it ends in the middle of a picture"))
                    return
                begin = max(2, len(rest) - 1)
                rest += more
                end = rest.find(b"\xff\xd9", begin)
            picture, rest = rest[: end + 2], rest[end + 2 :]
            image = decode(picture[max(0, picture.find(JPEG)) :])
            if image is None:
                self.failures.append(("stdin", "a picture in it is damaged"))
                continue
            yield image


def _to_bgr(data, width, height, half_wh):
    """The planes of yuv420p (BT.601, 16 to 235) -> (H, W, 3) uint8 BGR."""
    y = data[: width * height].reshape(height, width)
    chroma = data[width * height :].reshape(2, half_wh[1], half_wh[0])
    if width % 2 or height % 2:
        y = cv2.copyMakeBorder(y, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    planes = np.concatenate([y.ravel(), chroma.ravel()]).reshape(-1, y.shape[1])
    return cv2.cvtColor(planes, cv2.COLOR_YUV2BGR_I420)[:height, :width]
