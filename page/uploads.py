"""What people hand in: pictures and videos. How large they are is looked at before room is taken for them."""

import shutil
import threading
import time
from contextlib import contextmanager
from pathlib import Path

from errors import InputError
from files import read_bytes
from streams.frames import Video
from streams.picture import read_image
from streams.picture_size import picture_size

MEGAPIXELS = 40  # of a picture, and of a video's frame
MINUTES = 5  # of a video
UPLOAD = "500mb"  # of a file, which is refused while it comes in


def read_picture(path):
    """The picture (H, W, 3) uint8 BGR. Raises InputError, which names the file as the user does, for what is too large or cannot be read."""
    try:
        size_wh = picture_size(read_bytes(path, "picture"))
        if size_wh is not None:
            check_size(size_wh, f"picture {path}")
        return read_image(path)
    except InputError as error:
        raise _as_the_user_says(error, path) from None


def open_video(path):
    """A streams.frames.Video of at most MINUTES, as far as the file says. Raises InputError as read_picture does."""
    try:
        video = Video(path)
        try:
            check_size(video.size_wh, f"video {path}")
            check_seconds(len(video) / video.rate, path)
        except InputError:
            video.close()
            raise
        return video
    except InputError as error:
        raise _as_the_user_says(error, path) from None


def check_size(size_wh, what):
    """Raise InputError, beginning with `what`, for more than MEGAPIXELS."""
    width, height = size_wh
    if width * height > MEGAPIXELS * 1_000_000:
        raise InputError(f"{what}: {width}x{height} pixels, expected {MEGAPIXELS} million at most; make it smaller")


def check_seconds(seconds, path):
    """Raise InputError for a video of more than MINUTES."""
    if seconds > 60 * MINUTES:
        raise InputError(f"video {path}: {seconds / 60:.1f} minutes, expected {MINUTES} at most; cut it, or use pose_detector.py --input")


@contextmanager
def sweeping(folder, seconds, every=60):
    """`with sweeping(folder, 1800):` a thread deletes what lies in the folder and was not used for so many seconds: also what the page does not know,
    as an upload that was broken off."""
    left = threading.Event()

    def run():
        while not left.wait(every):
            sweep(folder, seconds)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        left.set()


def sweep(folder, seconds):
    """Delete the files in a folder, and the folders of such files, that were not used for so many seconds."""
    for each in Path(folder).iterdir():
        try:
            inside = [file.stat().st_mtime for file in each.rglob("*")] if each.is_dir() else []
            if max([each.stat().st_mtime, *inside]) < time.time() - seconds:
                shutil.rmtree(each) if each.is_dir() else each.unlink()
        except OSError:  # another one was quicker
            continue


def _as_the_user_says(error, path):
    """The same error without the folder in which the upload lies."""
    return InputError(str(error).replace(str(path), Path(path).name))
