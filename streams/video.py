"""Write a video: whole or not at all, and valid also when the run is interrupted. By the program ffmpeg where there is one, else by OpenCV."""

import os
import sys
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from errors import InputError
from files import atomic_file, check_path
from streams import ffmpeg
from streams.capture import open_capture, opencv_name

H264, MPEG4 = "avc1", "mp4v"  # what every browser plays; what OpenCV always has, and no browser plays
CODECS = {  # extension -> its codecs: the first that can be had is the usual one
    ".mp4": (H264, MPEG4, "vp09"),
    ".m4v": (H264, MPEG4),
    ".mov": (H264, MPEG4, "MJPG"),
    ".mkv": (H264, MPEG4, "VP90", "VP80", "MJPG", "XVID"),
    ".webm": ("VP90", "VP80"),
    ".avi": ("MJPG", MPEG4, "XVID"),
}


def usual_codec(path) -> str:
    """The four letters for a video of this name: the first that this machine can write, and is quick at."""
    suffix = Path(path).suffix.lower()
    if suffix == ".webm":  # OpenCV's VP8 is four times as quick as its VP9
        return "VP90" if ffmpeg.encoder(path, "VP90") else "VP80"
    return next(codec for codec in CODECS[suffix] if codec != H264 or can_write(suffix, codec))


def note_on(path, codec=None):
    """What to say before a video is written that browsers do not play; None otherwise."""
    if Path(path).suffix.lower() in (".mp4", ".m4v") and codec is None and usual_codec(path) == MPEG4:
        cure = "install the program ffmpeg (or: pip install imageio-ffmpeg), or take --out NAME.webm, which is slower"
        return f"{path}: written as MPEG-4 part 2, which browsers do not play, for this machine has no H.264; {cure}"
    return None


class VideoFile:
    """`write` frames, then `close`; the file appears under its name when it is closed, and not at all if no frame was written."""

    def __init__(self, path, rate, codec=None):
        """path: its extension says the container (CODECS). rate: frames per second. codec: four letters; None is the container's usual one."""
        self.path, self.rate = Path(path), rate
        self.codec = codec or usual_codec(self.path)
        self.sound = None  # of a video file: (its path, the second from which on)
        self.n_written = 0
        self.size_wh = None  # of the first frame; all others are fitted into it
        self.stack, self.writer, self.part = ExitStack(), None, None

    def write(self, image, times=1):
        """Add a picture (H, W, 3) uint8 BGR, `times` frames long."""
        if self.writer is None:
            self.size_wh = image.shape[1], image.shape[0]
            self.part = self.stack.enter_context(atomic_file(self.path, f".part{self.path.suffix}"))
            self.writer = _open(self.part, self.codec, self.rate, self._even(image))
            if not self.writer.isOpened():
                raise InputError(
                    f"--out {self.path}: cannot be written as a video of {self.size_wh[0]}x{self.size_wh[1]}; choose another name or place"
                )
        image = self._even(_fit(image, self.size_wh))
        with _silent_opencv():
            for _ in range(times):
                self.writer.write(image)
        self.n_written += times

    def _even(self, image):
        """Most codecs need even sides: the last column or row of an odd size is doubled, so that nothing is cut off."""
        height, width = image.shape[:2]
        if _backend(self.path, self.codec, self.rate, (width, height)) == cv2.CAP_OPENCV_MJPEG:
            return image
        return cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE) if height % 2 or width % 2 else image

    def close(self):
        """Complete the file. Raises InputError if it is not whole on the disk."""
        if self.writer is None:
            return
        with _silent_opencv():
            self.writer.release()
        self.writer = None
        with self.stack:
            capture = open_capture(str(self.part))
            n_readable = capture.get(cv2.CAP_PROP_FRAME_COUNT) if capture.isOpened() else 0
            capture.release()
            if n_readable < self.n_written:
                raise InputError(f"--out {self.path}: only {n_readable:.0f} of {self.n_written} frames could be written; is the disk full?")
            if self.sound and ffmpeg.program():
                self._add_sound()

    def abandon(self):
        """Take away what was written: no file appears, and nothing is said, also where its folder is gone."""
        if self.writer is None:
            return
        with _silent_opencv():
            self.writer.release()
        self.writer = None
        left = GeneratorExit()
        with suppress(InputError, OSError):
            self.stack.__exit__(type(left), left, None)

    def _add_sound(self):
        """Where that cannot be done (a format that ffmpeg does not know), the video stays without."""
        with suppress(InputError), atomic_file(self.part, f".part{self.part.suffix}") as joined:
            if not ffmpeg.add_sound(self.part, *self.sound, self.n_written / self.rate, joined):
                raise InputError(f"--out {self.path}: no sound")


def check_video_path(path, codec=None):
    """Raise InputError if no video can be written there: an unknown extension, a codec that is not to be had, a place that cannot be written."""
    path = Path(path)
    if path.suffix.lower() not in CODECS:
        raise InputError(f"--out {path}: expected a video's name ({', '.join(CODECS)}), got {path.suffix or 'no extension'!r}")
    if codec is not None and (len(codec) != 4 or not codec.isascii()):
        raise InputError(f"--codec {codec}: expected four letters, for example mp4v, MJPG or XVID")
    check_path(path, "--out")
    opencv_name(path.resolve())
    suffix = path.suffix.lower()
    try:
        codec = codec or usual_codec(path)
        if can_write(suffix, codec):
            return
        others = ", ".join(each for each in CODECS[suffix] if can_write(suffix, each))
    except OSError as error:
        cure = "make room there, or name another one in TMPDIR"
        raise InputError(f"{error.filename or 'TMPDIR'}: the temporary folder cannot be written ({error.strerror or error}); {cure}") from None
    hint = "; the program ffmpeg would bring it" if codec.lower() in ffmpeg.CODECS and not ffmpeg.program() else ""
    raise InputError(f"--codec {codec}: cannot be written into {suffix} on this machine; leave --codec out, or take one of {others}{hint}")


@cache
def can_write(suffix, codec) -> bool:
    """Whether a codec can be had in a container, tried out. Raises OSError where there is no room for the trial."""
    with tempfile.TemporaryDirectory() as folder:
        path, image = Path(folder) / f"trial{suffix}", np.zeros((64, 64, 3), np.uint8)
        path.write_bytes(bytes(1 << 14))
        with _quiet():
            writer = _open(path, codec, 25, image)
            opened = writer.isOpened()
            for _ in range(2):
                writer.write(image)
            writer.release()
        return opened and path.stat().st_size > 0


def _backend(path, codec, rate, size_wh):
    """OpenCV's own writer keeps odd sizes, but only whole rates; FFmpeg keeps any rate, and cuts off what is odd."""
    odd = size_wh[0] % 2 or size_wh[1] % 2
    return cv2.CAP_OPENCV_MJPEG if Path(path).suffix.lower() == ".avi" and codec == "MJPG" and odd and float(rate).is_integer() else cv2.CAP_FFMPEG


def _open(path, codec, rate, image):
    size_wh = image.shape[1], image.shape[0]
    if ffmpeg.encoder(path, codec):
        return ffmpeg.Writer(path, codec, rate, size_wh)
    with _quiet():
        return cv2.VideoWriter(str(path), _backend(path, codec, rate, size_wh), cv2.VideoWriter_fourcc(*codec), rate, size_wh)


@contextmanager
def _quiet():
    """What OpenCV and FFmpeg print by themselves is left out: our own line says it."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    sys.stderr.flush()
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        with _silent_opencv():
            yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)


@contextmanager
def _silent_opencv():
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)


def _fit(image, size_wh):
    """A picture of another size, as large as fits, in the middle of black."""
    if (image.shape[1], image.shape[0]) == size_wh:
        return image
    scale = min(size_wh[0] / image.shape[1], size_wh[1] / image.shape[0])
    width, height = (max(1, min(round(side * scale), most)) for side, most in zip((image.shape[1], image.shape[0]), size_wh, strict=True))
    left, top = (size_wh[0] - width) // 2, (size_wh[1] - height) // 2
    canvas = np.zeros((size_wh[1], size_wh[0], 3), np.uint8)
    canvas[top : top + height, left : left + width] = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return canvas
