"""What is to be read and what is to become of it, as named values; whether that can be done is checked before the work begins."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from errors import InputError
from files import STDIN, STDOUT, check_distinct, check_folder, check_path, real_place
from streams import results, sinks
from streams.durations import is_animated
from streams.frames import PICTURES, VIDEOS, Pictures, check_there, is_picture_url
from streams.selection import Choice, check_choice
from streams.video import CODECS, check_video_path
from streams.window import check_screen

FILES = ("json", "jsonl", "csv", "coco_results")  # fields of Wanted that name a file of results
FOLDERS = ("openpose_json",)  # and a folder
OUTPUTS = ("out", *FILES, *FOLDERS)
NO_CODEC = f"--codec is for --out with a video ({', '.join(CODECS)})"
OTHERS = PICTURES | VIDEOS | {".npz", ".npy", ".xml", ".bin", ".caffemodel", ".prototxt", ".onnx", ".pb", ".h5", ".py"}


class Source(NamedTuple):
    """What is to be read: one of img, names and camera."""

    img: str | None = None  # one picture; what is wrong with it ends the work
    names: tuple = ()  # pictures, folders, globs, lists, one video, a camera's number or a URL, as --input takes them
    recursive: bool = False  # names: with the folders in the folders
    camera: str | None = None  # a camera's number, a URL, or a video that is played as if it were a camera
    choice: Choice = Choice()  # which of the frames

    @property
    def picture(self):
        """The one picture that is named, or None."""
        if self.img is not None:
            return self.img
        name = self.names[0] if len(self.names) == 1 else None
        if not name or is_picture_url(name):
            return name or None
        return name if Path(name).suffix.lower() in PICTURES and Path(name).is_file() and not is_animated(name) else None


@dataclass(frozen=True)
class Wanted:
    """What is to become of the frames. The fields are called as the options of the scripts are."""

    out: str | None = None  # drawn: a picture, a folder or a video
    json: str | None = None  # files of results
    jsonl: str | None = None
    csv: str | None = None
    coco_results: str | None = None
    openpose_json: str | None = None  # a folder
    openpose_model: str = "COCO"  # of formats.OPENPOSE_MODELS
    codec: str | None = None  # of the video, four letters
    resume: bool = False
    track: bool = False
    smooth: bool = False
    show: bool = False
    threshold: float = 0.0  # people whose rank is lower are left out, of everything
    max_people: int | None = None  # in one picture: those with the highest ranks; None: all
    no_draw: bool = False
    labels: bool = False  # drawn: number and rank above each person
    heatmaps: bool = False  # drawn: what the network saw, below the people
    background: str = "photo"  # of keypoints.draw.BACKGROUNDS: what is drawn on
    verbose: bool = False
    settings: dict = field(default_factory=dict)  # {option: value}: what else decides the results; --resume goes on with the same alone
    reads: dict = field(default_factory=dict)  # {option: file}: what else is read, weights for example, and must not be overwritten
    prog: str = "pipeline"  # who speaks: begins the lines on stderr, and the window's title

    @property
    def named(self) -> list:
        """What is named as outputs."""
        return [getattr(self, name) for name in OUTPUTS if getattr(self, name)]

    @property
    def to_stdout(self) -> bool:
        """Whether results go to stdout, so that nothing else may."""
        return STDOUT in self.named

    @property
    def draws(self) -> bool:
        """Whether anything is drawn."""
        return self.show or self.out is not None

    @property
    def out_kind(self):
        """None, "picture", "video" or "folder". Raises InputError."""
        if self.out is None or self.out == STDOUT:
            return self.out and "picture"
        suffix = Path(self.out).suffix.lower()
        if str(self.out).endswith("/") or not suffix or os.path.isdir(self.out):  # noqa: PTH112 - Path.is_dir raises where a name is too long
            return "folder"
        if suffix in CODECS:
            return "video"
        if suffix in results.FORMATS:
            return "picture"
        raise InputError(f"--out {self.out}: expected a folder, a video ({', '.join(CODECS)}) or a picture ({', '.join(results.FORMATS)})")


def check(wanted, source):
    """Raise InputError for what contradicts itself, or cannot be written, before the source is opened."""
    check_choice(source.choice)
    if source.picture is not None and is_for_one_picture(wanted, source):
        if source.choice != Choice():
            raise InputError("--first, --last, --step and --fps are for videos and many pictures, not for one")
        for name, many in (("track", "many frames"), ("smooth", "many frames"), ("resume", "a folder")):
            if getattr(wanted, name):
                raise InputError(f"--{name} is for --input with {many}, not for one picture")
        if source.recursive:
            raise InputError("--recursive is for --input with a folder, not for one picture")
        if wanted.out is not None:
            results.check_image_path(wanted.out)
    check_results(wanted, source, may_be_folders=bool(source.names))
    if wanted.openpose_model != Wanted.openpose_model and wanted.openpose_json is None:
        raise InputError(f"--openpose_model {wanted.openpose_model} is for --openpose_json, which names the folder; name it too")
    if wanted.show:
        check_screen()
    kind = wanted.out_kind
    if kind == "video":
        check_video_path(wanted.out, wanted.codec)
    elif wanted.codec is not None and (kind != "folder" or not source.names):
        raise InputError(NO_CODEC)
    if kind == "picture":
        results.check_image_path(wanted.out)
    if not wanted.show and not wanted.named:
        check_there(source.names)
        if wanted.no_draw:
            raise InputError("nothing would be written, for --no_draw leaves the picture out: name --json, --jsonl, --csv or another file of results")
        raise InputError("nothing would be written: name --out (a folder, a video), --jsonl, --csv, --openpose_json or another file of results")
    check_drawing(wanted)
    if wanted.resume and wanted.to_stdout:
        raise InputError("--resume cannot continue what went to stdout (-); name files")
    if wanted.resume and (kind == "video" or wanted.json):
        raise InputError("--resume cannot continue a video or --json; it is for --out FOLDER, --jsonl, --csv, --coco_results and --openpose_json")


def check_drawing(wanted):
    """Raise InputError for options that contradict each other about drawing."""
    if wanted.no_draw and wanted.draws:
        raise InputError(f"--no_draw contradicts {'--out' if wanted.out is not None else '--show'}; leave one of them out")
    for name, usual in (("labels", False), ("heatmaps", False), ("background", "photo")):
        if getattr(wanted, name) != usual and not wanted.draws:
            raise InputError(f"--{name} changes what is drawn, and nothing would be; name --out or --show, or leave it out")


def is_for_one_picture(wanted, source) -> bool:
    """Whether a source that names one picture is worked on as one, and not as a folder with one picture in it."""
    return source.img is not None or (wanted.out_kind in (None, "picture") and not wanted.resume)


def check_frames(wanted, source, frames):
    """Raise InputError where the frames of a source (Pictures, Video or Live) are too much for the outputs, or among them."""
    if wanted.resume and (wanted.track or wanted.smooth):
        raise InputError("--resume cannot continue --track and --smooth: the numbers would begin anew; run it from the beginning")
    if wanted.codec is not None and wanted.out_kind == "folder":
        raise InputError(NO_CODEC)
    check_results(wanted, source, frames.paths if isinstance(frames, Pictures) else [] if frames.live or frames.path == STDIN else [frames.path])
    check_kinds(wanted)
    if wanted.out_kind == "picture":
        raise InputError(f"--out {wanted.out}: one picture cannot hold many; name a folder or a video ({', '.join(CODECS)})")
    if wanted.out_kind == "folder" and isinstance(frames, Pictures):
        read = set(map(real_place, frames.paths))
        for path in map(sinks.PictureFolder(wanted.out).path_of, frames.entries()):
            if real_place(path) in read:
                raise InputError(f"--out {wanted.out}: {path} would overwrite a picture of --input; choose another folder")
    if wanted.json:
        raise InputError("--json is for one picture; --jsonl writes a line for each frame")


def check_detector(wanted, detector):
    """Raise InputError where poses are asked for and the detector finds none."""
    for name in ("track", "smooth", "coco_results", "heatmaps"):
        if getattr(wanted, name) and not detector.has_pose:
            raise InputError(f"--{name} is for poses, and {detector.name} finds none; leave it out")


def check_results(wanted, source, inputs=(), may_be_folders=False):
    """Raise InputError for files of results that cannot be written, or that are in use already. inputs: paths of pictures or videos.

    may_be_folders: it is not known yet whether several videos are read, for which folders are named.
    """
    for name in FILES:
        if getattr(wanted, name) is not None and not (may_be_folders and os.path.isdir(getattr(wanted, name))):  # noqa: PTH112
            check_path(getattr(wanted, name), f"--{name}")
    for name in FOLDERS if wanted.out_kind != "folder" else ("out", *FOLDERS):
        if getattr(wanted, name) is not None:
            check_folder(getattr(wanted, name), f"--{name}")
    listed = [name for name in (*source.names, source.camera or "") if os.path.isfile(name)]  # noqa: PTH113 - Path.is_file raises where a name is too long
    if may_be_folders:  # of several videos one folder may hold all
        return
    read = {"img": None if source.img == STDIN else source.img} if source.img is not None else {"input": [*listed, *inputs]}
    check_distinct(read | wanted.reads, {name: getattr(wanted, name) for name in OUTPUTS})


def check_kinds(wanted):
    """Raise InputError if a file of results has the name of something else, or of a file that will be written into a folder of results."""
    for name in FILES:
        path = Path(getattr(wanted, name) or "")
        if path.suffix.lower() in OTHERS:
            raise InputError(f"--{name} {path}: this is the name of a picture, a video or weights; name a file for results (.json, .jsonl, .csv)")
        folder = wanted.openpose_json
        if folder is not None and path.name.endswith(sinks.OPENPOSE) and real_place(path.parent) == real_place(folder):
            raise InputError(f"--{name} {path}: --openpose_json writes files of such names there; choose another name")
