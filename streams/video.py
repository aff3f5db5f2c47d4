"""Write a video: whole or not at all, and valid also when the run is interrupted."""

import os
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path

import cv2
import numpy as np

from errors import InputError
from files import atomic_file, check_path
from streams.capture import open_capture, opencv_name

CODECS = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v", ".mkv": "mp4v", ".avi": "MJPG"}  # extension -> its usual codec


class VideoFile:
    """`write` frames, then `close`; the file appears under its name when it is closed, and not at all if no frame was written."""

    def __init__(self, path, rate, codec=None):
        """path: its extension says the container (CODECS). rate: frames per second. codec: four letters; None is the container's usual one."""
        self.path, self.rate = Path(path), rate
        self.codec = codec or CODECS[self.path.suffix.lower()]
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


def check_video_path(path, codec=None):
    """Raise InputError if no video can be written there: an unknown extension, a codec that is not to be had, a place that cannot be written."""
    path = Path(path)
    if path.suffix.lower() not in CODECS:
        raise InputError(f"--out {path}: expected a video's name ({', '.join(CODECS)}), got {path.suffix or 'no extension'!r}")
    if codec is not None and (len(codec) != 4 or not codec.isascii()):
        raise InputError(f"--codec {codec}: expected four letters, for example mp4v, MJPG or XVID")
    check_path(path, "--out")
    opencv_name(path.resolve())
    codec = codec or CODECS[path.suffix.lower()]
    try:
        with tempfile.TemporaryDirectory() as folder:
            size = _size_of_trial(Path(folder) / f"trial{path.suffix}", codec)
    except OSError as error:
        cure = "make room there, or name another one in TMPDIR"
        raise InputError(f"{error.filename or 'TMPDIR'}: the temporary folder cannot be written ({error.strerror or error}); {cure}") from None
    if not size:
        raise InputError(f"--codec {codec}: this OpenCV cannot write it into {path.suffix}; leave --codec out, or try mp4v, MJPG or XVID")


def _size_of_trial(path, codec) -> int:
    """Bytes of a video with one frame; 0 where it cannot be written. Raises OSError where there is no room for it."""
    path.write_bytes(bytes(1 << 14))
    image = np.zeros((64, 64, 3), np.uint8)
    with _quiet():
        writer = _open(path, codec, 25, image)
        opened = writer.isOpened()
        writer.write(image)
        writer.release()
    return path.stat().st_size if opened else 0


def _backend(path, codec, rate, size_wh):
    """OpenCV's own writer keeps odd sizes, but only whole rates; FFmpeg keeps any rate, and cuts off what is odd."""
    odd = size_wh[0] % 2 or size_wh[1] % 2
    return cv2.CAP_OPENCV_MJPEG if Path(path).suffix.lower() == ".avi" and codec == "MJPG" and odd and float(rate).is_integer() else cv2.CAP_FFMPEG


def _open(path, codec, rate, image):
    size_wh = image.shape[1], image.shape[0]
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
