"""Frames from pictures, folders, lists and videos, one after another. Cameras: streams/live.py."""

import glob
import os
import threading
from itertools import chain, count
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import cv2
import numpy as np

from errors import InputError
from files import STDIN, is_url, open_binary, read_bytes
from silence import quiet
from streams.capture import open_capture, opencv_name, with_first
from streams.durations import is_animated
from streams.picture import read_image, read_reduced
from streams.threads import LEAVE

PICTURES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".avif", ".heic", ".heif", ".jp2"}
UNREAD = {".svg", ".jxl", ".psd", ".cr2", ".cr3", ".nef", ".arw", ".dng", ".raf", ".orf", ".rw2"}  # pictures that OpenCV cannot read
VIDEOS = {".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp", ".ts", ".mts", ".ogv", ".mjpeg", ".mjpg"}
LISTS = {".txt", ".lst"}
DEFAULT_RATE = 25.0  # frames per second, where a source does not say


class Frame(NamedTuple):
    """One picture of a source."""

    number: int  # from 0
    name: str  # of the picture, video or camera, as the user gave it
    stem: str  # unique in its source: results of this frame are called so, in a folder; may hold folders
    seconds: float | None  # since the beginning of a video; None for a picture
    image: np.ndarray | None  # (H, W, 3) uint8 BGR
    full_wh: tuple | None = None  # of the picture, where the image is smaller

    @property
    def size_wh(self):
        """Of the picture in full."""
        return self.full_wh or (self.image.shape[1], self.image.shape[0])

    @property
    def reduction(self):
        """(x, y): by how much the image is smaller than the picture, 1 or more."""
        return np.divide(self.size_wh, (self.image.shape[1], self.image.shape[0]))

    @property
    def key(self) -> str:
        """What tells this frame from all others of its source, also in a later run."""
        return frame_key(self.name, self.number, self.seconds)


def frame_key(name, number, seconds) -> str:
    return name if seconds is None else f"{name}#{number}"


class Pictures:
    """Pictures from files. Those that cannot be read are left out, and listed in `failures`: (name, why)."""

    live, rate, is_video = False, None, False
    least = None  # pixels that the short side must have: large JPEGs are then read smaller, quickly (streams.picture.read_reduced); None: in full

    def __init__(self, paths, stems, left_out=()):
        """left_out: (path, why) of what looks like a picture or a video and is not worked on."""
        self.paths, self.stems, self.failures, self.left_out = paths, stems, [], list(left_out)
        self.numbers = None  # a function that gives the numbers of those that are to be read, where it is not all in turn

    def __len__(self):
        return len(self.paths)

    def entries(self):
        """Yield a Frame without its image for each picture."""
        yield from map(self.entry, range(len(self)))

    def entry(self, number):
        return Frame(number, str(self.paths[number]), self.stems[number], None, None)

    def frames(self, skip=lambda frame: False):
        """Yield a Frame for each picture that can be read and is not to be skipped; skip is asked before reading (frame.image is None)."""
        for frame in self.entries() if self.numbers is None else map(self.entry, self.numbers()):
            if skip(frame):
                continue
            try:
                image, full_wh = (read_image(frame.name), None) if self.least is None else read_reduced(frame.name, self.least)
                yield frame._replace(image=image, full_wh=full_wh)
            except InputError as error:
                self.failures.append((frame.name, str(error)))

    def close(self):
        pass


class Video:
    """The frames of a video file, here or on a server, upright as the file says. `failures` has an entry if it ends too early."""

    live, is_video = False, True

    def __init__(self, path, others=""):
        """path: of a file, or the URL of one. others: what else it might have been, for the message. Raises InputError if it cannot be read, or has
        no frame."""
        if not is_url(path):
            with open_binary(path, "video") as file:
                if not file.read(1):
                    raise InputError(f"video {path}: the file is empty; copy or download it again")
        self.path, self.failures = str(path), []
        self.reading = threading.Lock()
        self.capture, image = with_first(open_capture, self.path)
        if image is None:
            raise InputError(f"video {path}: expected a video (.mp4, .avi, .mov, ...){others}, got something else, or a damaged one; convert it")
        self.first = image
        self.size_wh = image.shape[1], image.shape[0]
        rate = self.capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if 0.1 <= rate <= 1000 else DEFAULT_RATE
        self.length = max(0, int(min(self.capture.get(cv2.CAP_PROP_FRAME_COUNT), 1e9)))

    def __len__(self):
        """As the file says, which may be an estimate; 0 where it says nothing."""
        return self.length

    def frames(self, skip=lambda frame: False):
        stem, image, n_read = Path(self.path).stem, self.first, 0
        for number in count():
            frame = Frame(number, self.path, f"{stem}_{number:012d}", number / self.rate, image)
            with quiet(), self.reading:  # once for both: each call of the system lets another thread have Python's lock
                if number and not self.capture.grab():
                    break
                n_read += 1
                if skip(frame):
                    image = None
                    continue
                done, image = (True, image) if image is not None else self.capture.retrieve()
            if done:
                yield frame._replace(image=image)
            else:
                self.failures.append((f"{self.path}, frame {number}", "it cannot be decoded"))
            image = None
        if n_read < 0.9 * self.length:  # the length of some formats is an estimate
            self.failures.append((self.path, f"it ends after {n_read} of {self.length} frames; it may be damaged"))

    def close(self):
        if self.reading.acquire(timeout=LEAVE):  # a thread that waits for a server would crash on a released capture; it ends with the process
            self.capture.release()
            self.reading.release()


class Videos:
    """Several videos, each to be worked on by itself."""

    live, is_video = False, True

    def __init__(self, paths, stems, left_out=()):
        """As Pictures."""
        self.paths, self.stems, self.failures, self.left_out = paths, stems, [], list(left_out)

    def __len__(self):
        return len(self.paths)

    def close(self):
        pass


def open_video(path):
    """A Video, or an animation.Animation. Raises InputError if it cannot be read."""
    if is_animated(path):
        from streams.animation import Animation  # which needs a Frame

        return Animation(path)
    return Video(path, "" if path.suffix.lower() in VIDEOS else ", a picture, or a list of pictures (.txt)")


def is_live(names) -> bool:
    """Whether --input names a camera: a number, or a URL, which may also be a video's."""
    return len(names) == 1 and (names[0].isdecimal() or (is_url(names[0]) and not is_picture_url(names[0])))


def is_picture_url(name) -> bool:
    return is_url(name) and Path(_path_of(name)).suffix.lower() in PICTURES


def _path_of(url):
    try:
        return unquote(urlsplit(url).path)
    except ValueError:  # no URL after all
        return ""


def open_frames(names, recursive=False, without=None):
    """Pictures, a Video or Videos for what --input names: files, folders, globs, lists (.txt). Videos beside a folder's pictures are left out.

    recursive: folders with all that is in them. without: a folder that, where it is in one of them, is left out, because results are written there.
    Raises InputError where there is nothing, or a mixture.
    """
    if len(names) == 1 and is_picture_url(names[0]):
        return Pictures(names, [Path(_path_of(names[0])).stem])
    if list(names) == [STDIN]:
        from streams.piped import PipedVideo  # which needs a Frame

        return PipedVideo()
    paths, left_out, places = {}, {}, {}  # each once -> the part of it that is left out of the results' names; why it is left out; that part too
    for name in names:
        in_folder = os.path.isdir(name)  # noqa: PTH112 - Path.is_dir raises where a name is too long
        for path, base in _expand(name, recursive):
            if without is None or not _is_in(path, base, without):
                why = _why_left_out(path) if in_folder else None
                (left_out if why else paths).setdefault(path, why or base)
                places.setdefault(path, base)
    if len(paths) == 1 and (path := next(iter(paths))).suffix.lower() in UNREAD and not _is_picture(path):
        raise InputError(f"picture {path}: {_why_left_out(path)}")
    if len(paths) == 1 and not left_out and (is_video(*paths) or is_animated(*paths)):
        return open_video(*paths)
    if all(map(_is_named_video, paths)):  # or none at all: then those of a folder count too
        paths = {path: base for path, base in places.items() if _is_named_video(path)}
        left_out = {path: why for path, why in left_out.items() if path not in paths}
    videos = [path for path in paths if _is_named_video(path)]
    if videos and len(videos) < len(paths):
        raise InputError(f"--input: {videos[0]} is a video among {len(paths)} files; name videos only, or pictures only")
    if videos:
        return Videos(videos, _stems(paths, paths.values()), left_out.items())
    if not paths:
        deeper = (
            "; with -r folders in folders are searched too" if any(Path(name).is_dir() for name in names) and not recursive else "; check the names"
        )
        others = f", but {len(left_out)} left out ({next(iter(left_out))}: {next(iter(left_out.values()))})" if left_out else ""
        raise InputError(f"--input {' '.join(names)}: no pictures there ({', '.join(sorted(PICTURES))}){others}{deeper}")
    return Pictures(list(paths), _stems(paths, paths.values()), left_out.items())


def check_there(names):
    """Raise InputError for a name of --input that stands for nothing here, or, where it is the only one, for nothing that can be read."""
    here = [name for name in names if name != STDIN and not is_url(name)] if not is_live(names) else []
    for name in here:
        _expand(name, recursive=False)
    if len(here) == len(names) == 1 and not Path(here[0]).is_dir():
        open_frames(here).close()


def _why_left_out(path):
    """Why a file in a folder is not worked on; None if it is."""
    suffix = path.suffix.lower()
    if suffix in UNREAD:
        return f"{suffix} cannot be read here; convert it to .jpg or .png"
    if _is_named_video(path):
        return f"{'a video' if suffix in VIDEOS else 'an animation'} in a folder; name it alone"
    return None


def is_video(path) -> bool:
    """By its name, or, where that says nothing, because it is a file that is no picture."""
    suffix = Path(path).suffix.lower()
    return suffix in VIDEOS or (suffix not in PICTURES and os.path.isfile(path) and not _is_picture(path))  # noqa: PTH113 - Path.is_file may raise


def _is_named_video(path) -> bool:
    return path.suffix.lower() in VIDEOS or is_animated(path)


def _is_picture(path) -> bool:
    level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        return cv2.haveImageReader(opencv_name(path))
    finally:
        cv2.utils.logging.setLogLevel(level)


def _expand(name, recursive) -> list:
    """(path, base) of the files that one name of --input stands for."""
    path = Path(name)
    try:
        if path.is_dir():
            known = PICTURES | VIDEOS | UNREAD
            return [(file, path) for file in sorted(_files_in(path, recursive)) if file.suffix.lower() in known and file.is_file()]
        if path.exists():
            return _read_list(path) if path.suffix.lower() in LISTS else [(path, path.parent)]
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: links in a circle
        place, reason = getattr(error, "filename", None) or name, getattr(error, "strerror", None) or error
        raise InputError(f"--input {name}: {place} cannot be read ({reason}); check name and permissions") from None
    if glob.has_magic(name):
        found = sorted(Path(file) for file in glob.iglob(name, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute patterns
        base = Path(*path.parts[: next(i for i, part in enumerate(path.parts) if glob.has_magic(part))])
        return [(file, base) for file in found if file.suffix.lower() in PICTURES | VIDEOS and file.is_file()]
    raise InputError(f"--input {name}: no such file or folder, glob, camera number or URL; check the name")


def _is_in(path, base, folder) -> bool:
    """Whether the file is in the folder, and the folder in the base."""
    path, base, folder = (Path(os.path.realpath(each)) for each in (path, base, folder))  # Path.resolve raises where links go in a circle
    return path.is_relative_to(folder) and base in folder.parents


def _files_in(folder, recursive):
    """Yield the paths in a folder, and with recursive in its folders, hidden ones left out. Raises OSError where one may not be listed."""

    def refuse(error):
        raise error

    for place, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if recursive and not name.startswith(".")]
        yield from (Path(place, name) for name in files if not name.startswith("."))


def _read_list(path) -> list:
    """A file with one name on each line, relative to the file's folder; empty lines and those that begin with # do not count."""
    try:
        lines = read_bytes(path, "list").decode().splitlines()
    except UnicodeDecodeError:
        lines = ["\0"]
    if any("\0" in line for line in lines):
        raise InputError(f"list {path}: expected lines of text, one file's name on each, got something else")
    names = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    for name in names:
        if not Path(name).name:
            raise InputError(f"list {path}: expected a file's name on each line, got {name!r}")
    return [(path.parent / name, path.parent) for name in names]


def _stems(paths, bases) -> list:
    """A name for each picture's results: its path below the base, without the extension where that leaves it unique."""
    relative = []
    for path, base in zip(paths, bases, strict=True):
        below = path.relative_to(base) if path.is_relative_to(base) else Path(path.name)
        relative.append(Path(path.name) if ".." in below.parts or below.is_absolute() else below)
    stems, taken = [], set()
    plain = [path.with_suffix("").as_posix() for path in relative]
    seen = {}
    for stem in plain:
        seen[stem] = seen.get(stem, 0) + 1
    for path, stem in zip(relative, plain, strict=True):
        stem = stem if seen[stem] == 1 else path.as_posix()
        unique = next(name for name in chain([stem], (f"{path.with_suffix('').as_posix()}_{i}" for i in count(2))) if name not in taken)
        taken.add(unique)
        stems.append(unique)
    return stems


def find_pictures(folder, most) -> list:
    """At most `most` pictures of a folder (None: all), spread evenly over their names. Raises InputError if there are none."""
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a folder of pictures, and there is none of this name")
    pictures = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)
    if not pictures:
        raise InputError(f"{folder}: no pictures in it ({', '.join(sorted(PICTURES))}); name another folder")
    return pictures[:: -(-len(pictures) // (most or len(pictures)))]
