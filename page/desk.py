"""Answers what the page asks: it gets paths and settings, and gives messages, HTML and the paths of files."""

from process import shortage_in, words_of

import shutil
import tempfile
import threading
import time
import traceback
from html import escape
from pathlib import Path

from errors import InputError
from page import pictures, terminal, videos
from streams.results import write_files, write_image


class Desk:
    """Answers what the page asks for all its visitors. Each answer is a list that begins with a message, "" where all is well."""

    def __init__(self, folder, pose_detector, detector):
        """folder: for files. pose_detector(arch, engine, precision, short_side) and detector(kind, arch, engine, precision, short_side) make them."""
        self.folder, self.pose_detector, self.detector = Path(folder), pose_detector, detector

    def new_folder(self) -> Path:
        """For the files of an answer. The page takes copies of its own at once; after a minute it is deleted."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        timer = threading.Timer(60, shutil.rmtree, [folder], {"ignore_errors": True})
        timer.daemon = True
        timer.start()
        return folder

    def pictures(self, **images) -> list:
        """The paths of new files of pictures. images: {name: (H, W, 3) uint8 BGR}."""
        folder = self.new_folder()
        paths = [folder / f"{name}.png" for name in images]
        for path, image in zip(paths, images.values(), strict=True):
            write_image(path, image)
        return list(map(str, paths))

    def look(self, path, *settings):
        """-> drawn, people, times, downloads of picture and JSON, JSON."""
        check_picture(path)
        seen = pictures.look(path, self.detector(*settings))
        (drawn,) = self.pictures(result=seen.drawn)
        numbers = Path(drawn).with_suffix(".json")
        write_files({numbers: seen.text.encode()})
        return drawn, seen.people, seen.times, drawn, str(numbers), seen.text

    def compare(self, path, _, arch, engine, precision, short_side, *other):
        """other: arch, engine, precision. -> both drawn, the difference, tables."""
        check_picture(path)
        settings = {f"{mark}: {', '.join(chosen)}": chosen for mark, chosen in (("A", (arch, engine, precision)), ("B", other))}
        detectors = {name: self.pose_detector(*chosen, short_side) for name, chosen in settings.items()}
        first, second, difference, texts = pictures.compare(path, detectors)
        return *self.pictures(first=first, second=second, difference=difference), texts

    def maps(self, path, _, arch, engine, precision, short_side, joint):
        """-> heatmaps and PAFs over the picture."""
        check_picture(path)
        heatmaps, pafs = pictures.overlays(path, self.pose_detector(arch, engine, precision, short_side), joint)
        return self.pictures(heatmaps=heatmaps, pafs=pafs)

    def watch(self, path, *settings):
        """Yield how far it is; at the end the video, and downloads of it and of the lines."""
        pictures.check_there(path, "video", "drop one")
        folder, said = Path(tempfile.mkdtemp(dir=self.folder)), 0
        try:
            for done, total in videos.watch(path, self.detector(*settings), folder):
                if time.monotonic() > said + 0.5:
                    said = time.monotonic()
                    yield f"frame {done}{f' of {total}' if total else ''}", None, None, None
            kept = self.new_folder()
            drawn, lines = (str(shutil.move(folder / name, kept)) for name in (videos.DRAWN, videos.LINES))
            yield f"{done} frames", drawn, drawn, lines
        finally:  # also where the visitor has gone
            shutil.rmtree(folder, ignore_errors=True)


def check_picture(path):
    pictures.check_there(path, "picture", "drop one, or take one with the camera")


def answering(work, n_outputs):
    """work(*values) -> n_outputs values, as a function that puts a message before them, and never raises."""

    def answer(*values):
        try:
            return ["", *work(*values)]
        except Exception as error:
            return [words(error), *[None] * n_outputs]

    return answer


def answering_in_steps(work, n_outputs):
    """As answering, for work that yields."""

    def answer(*values):
        try:
            for step in work(*values):
                yield ["", *step]
        except Exception as error:
            yield [words(error), *[None] * n_outputs]

    return answer


def words(error) -> str:
    """HTML for a visitor. What is a fault of ours is told in the terminal too."""
    if isinstance(error, InputError):
        return escape(str(error))
    if shortage_in(error) is not None:  # of memory
        return escape(words_of(error))
    if isinstance(error, OSError):  # the machine's, such as a full disk
        terminal.tell("a picture or video could not be worked on", error)
        return escape(f"The machine that runs the page cannot do this now ({error.strerror or type(error).__name__}). Try it again later.")
    traceback.print_exception(error)
    return "This went wrong inside, and the terminal that runs the page says more. Other pictures and settings may work."
