"""Where the results of many frames go: files that grow, folders, a video. What is finished is on the disk, whole, at any moment.

A sink has `has(frame)`: whether an earlier run that is continued wrote this frame (its image may be None yet); `write(frame, persons, drawn)`;
and `close()`. Those that write numbers also have `pictures` {name: number}, of an earlier run that is continued, `number_of(frame)`, and `open()`:
until it is called, an earlier run's files are read and not changed.
"""

import csv
import json
from contextlib import closing
from pathlib import Path

from errors import InputError
from files import make_folder, read_bytes
from parts import clear_once
from streams.formats import compact, csv_columns, to_coco, to_csv, to_json_line, to_openpose
from streams.frames import frame_key
from streams.growing import GrowingFile, Remembered, coco_frames, has_types, not_ours, whole_lines, whole_rows
from streams.results import FORMATS, encode_image, write_files
from streams.threads import Behind
from streams.video import VideoFile

OPENPOSE = "_keypoints.json"  # ends the names of --openpose_json

LINE = {"image": (str,), "frame": (int,), "seconds": (int, float, type(None)), "width": (int,), "height": (int,), "people": (list,)}  # of JSON


class JsonLines:
    """--jsonl: a line for each frame (formats.to_json_line)."""

    BEGINNING = b'{"frame":'  # of each line

    def __init__(self, path, resume=False):
        self.path, self.done, self.pictures, keep = Path(path), set(), {}, b""
        if resume and Path(path).exists():
            data = read_bytes(path, "results")
            keep = whole_lines(data)
            cut_off = data[len(keep) :]
            if not (cut_off.startswith(self.BEGINNING) or self.BEGINNING.startswith(cut_off)):
                raise not_ours("--jsonl", path, "its last line")
            for number, line in enumerate(keep.splitlines(), 1):
                try:
                    record = json.loads(line)
                    if not has_types(record, LINE):
                        raise ValueError
                    self.done.add(frame_key(record["image"], record["frame"], record["seconds"]))
                except (ValueError, KeyError, TypeError, RecursionError):
                    raise not_ours("--jsonl", path, f"line {number}") from None
                if record["seconds"] is None:
                    self.pictures[record["image"]] = record["frame"]
        self.file = GrowingFile(path, keep)

    def open(self):
        self.file.open()

    def number_of(self, frame):
        return frame.number

    def has(self, frame) -> bool:
        return frame.key in self.done

    def write(self, frame, persons, drawn):
        self.file.add(to_json_line(frame, persons).encode())

    def close(self):
        self.file.close()


class Table:
    """--csv: a line for each person (formats.to_csv). Frames without people are remembered beside it."""

    def __init__(self, path, resume=False, **columns):
        """columns: the arguments of formats.csv_columns."""
        self.path, self.columns, self.done, self.pictures = Path(path), columns, set(), {}
        keep = header = (",".join(csv_columns(**columns)) + "\n").encode()
        resume = resume and Path(path).exists()
        if resume:
            data = read_bytes(path, "results")
            if not (data.startswith(header) or header.startswith(data)):
                raise _other_columns(path, data) or not_ours("--csv", path, "its first line")
            try:
                kept, rows = whole_rows(data)
                for row in rows:
                    self._remember(row["image"], int(row["frame"]), row["seconds"] or None)
            except (csv.Error, ValueError, TypeError):
                raise not_ours("--csv", path, "one of its lines") from None
            keep = kept or header
        self.nobody = Remembered(path, resume)
        for name, *facts in self.nobody.lines:
            self._remember(encoded(name).decode(), *facts)
        self.file = GrowingFile(path, keep)

    def open(self):
        self.nobody.open()
        self.file.open()

    def _remember(self, name, number, seconds):
        self.done.add(frame_key(name, number, seconds))
        if seconds is None:
            self.pictures[name] = number

    def number_of(self, frame):
        return frame.number

    def has(self, frame) -> bool:
        return encoded(frame.key).decode() in self.done

    def write(self, frame, persons, drawn):
        if persons:
            self.file.add(encoded(to_csv(frame, persons, **self.columns)))
        else:
            self.nobody.add(frame.name, frame.number, frame.seconds)

    def close(self):
        self.file.close()
        self.nobody.close()


class CocoResults:
    """--coco_results: a list that pycocotools' loadRes takes (formats.to_coco).

    JSON at any moment, also where a write is cut off: whenever the list has grown by a sixteenth it is written anew, beside its place, and renamed.
    What it does not hold yet, and frames without people, are remembered beside it.
    """

    def __init__(self, path, resume=False, id_of=lambda frame: frame.number):
        """id_of: Frame -> image_id."""
        self.path, self.id_of, self.pictures, self.done, self.nobody = Path(path), id_of, {}, set(), []
        self.lines, self.n_bytes, self.n_written = [], 0, -1  # of the list; bytes of it that PATH holds
        resume, found = resume and self.path.exists(), []
        if resume:
            try:
                found = coco_frames(read_bytes(path, "results"))
            except (ValueError, KeyError, TypeError, RecursionError):
                raise not_ours("--coco_results", path, "what is in it") from None
        self.later = Remembered(path, resume)
        for name, number, entries in found + self.later.lines:
            self._take(name, number, entries)

    def open(self):
        self.later.open()
        self._write_list()

    def _take(self, name, number, entries):
        if (name, number) in self.done:
            return
        self.done.add((name, number))
        self.pictures[name] = number
        lines = [compact(entry) for entry in entries]
        self.lines += lines
        self.n_bytes += sum(map(len, lines))
        if not entries:
            self.nobody.append((name, number, []))

    def _write_list(self):
        if self.n_bytes > self.n_written:
            write_files({self.path: coco_list(self.lines)})
            self.n_written = self.n_bytes

    def has(self, frame) -> bool:
        return (frame.name, self.id_of(frame)) in self.done

    def number_of(self, frame):
        return self.id_of(frame)

    def write(self, frame, persons, drawn):
        entries = to_coco(persons, self.id_of(frame), frame.name)
        self.later.add(frame.name, self.id_of(frame), entries)
        self._take(frame.name, self.id_of(frame), entries)
        if self.n_bytes > self.n_written * 17 / 16:
            self._write_list()

    def close(self):
        self._write_list()
        self.later.replace(self.nobody)


class OpenPoseFolder:
    """--openpose_json: a file for each frame (formats.to_openpose), called STEM_keypoints.json."""

    def __init__(self, folder, resume=False, model="COCO"):
        """model: of formats.OPENPOSE_MODELS."""
        self.folder, self.resume, self.model, self.behind = make_folder(folder), resume, model, Behind()

    def path_of(self, frame):
        return self.folder / f"{frame.stem}{OPENPOSE}"

    def has(self, frame) -> bool:
        return self.resume and is_there(self.path_of(frame))

    def write(self, frame, persons, drawn):
        path = self.path_of(frame)
        make_folder(path.parent)
        self.behind.add(write_files, {path: to_openpose(persons, self.model).encode()})

    def close(self):
        self.behind.close()


class PictureFolder:
    """--out FOLDER: a picture for each frame, in the format of the source."""

    def __init__(self, folder, resume=False):
        self.folder, self.resume, self.behind = Path(folder), resume, Behind()

    def path_of(self, frame):
        suffix = Path(frame.name).suffix.lower()
        if suffix not in FORMATS or frame.seconds is not None:
            suffix = ".jpg"
        return self.folder / (frame.stem + ("" if frame.stem.lower().endswith(suffix) else suffix))

    def has(self, frame) -> bool:
        return self.resume and is_there(self.path_of(frame))

    def write(self, frame, persons, drawn):
        path = self.path_of(frame)
        make_folder(path.parent)
        self.behind.add(write_files, {path: encode_image(path, drawn)})

    def close(self):
        self.behind.close()


class VideoSink:
    """--out VIDEO. Frames of a camera stay as long as they were seen, so that the video is as quick as life. A thread encodes."""

    def __init__(self, path, rate, codec=None, live=False, times_of=lambda frame: 1):
        """times_of: how many frames of the video one of the source is long, where it is not live."""
        self.video, self.live, self.times_of = VideoFile(path, rate, codec), live, times_of
        self.behind, self.n_frames = Behind(threads=1, most=4), 0

    def has(self, frame) -> bool:
        return False

    def write(self, frame, persons, drawn):
        times = max(0, round(frame.seconds * self.video.rate) + 1 - self.n_frames) if self.live else self.times_of(frame)
        self.n_frames += times
        self.behind.add(self.video.write, drawn, times)

    def close(self):
        with closing(self.video):  # whatever the thread raises: the file is completed with what it has
            self.behind.close()


KINDS = {  # field of streams.wanted.Wanted -> (its sink, how the arguments beyond path and resume follow from what is wanted, source and detector)
    "jsonl": (JsonLines, lambda wanted, source, detector: {}),
    "csv": (Table, lambda wanted, source, detector: {"parts": detector.parts, "with_pose": detector.has_pose, "smoothed": wanted.smooth}),
    "coco_results": (CocoResults, lambda wanted, source, detector: {"id_of": coco_ids(getattr(source, "stems", []))}),
    "openpose_json": (OpenPoseFolder, lambda wanted, source, detector: {"model": wanted.openpose_model}),
}


def encoded(text) -> bytes:
    """UTF-8, also of names of files that are none, and without carriage returns, which end a line of a table."""
    return text.encode(errors="backslashreplace").replace(b"\r", b"\\r")


def coco_list(lines) -> bytes:
    """A file of COCO's results: an entry on each line."""
    return ("[" + ",".join(f"\n{line}" for line in lines) + "\n]\n").encode()


def is_there(path) -> bool:
    """Whether a file is; what a killed run has left beside it goes."""
    clear_once(path.parent)
    return path.exists()


def _other_columns(path, data):
    """What to raise for a table that was written before joints were called as COCO calls them; None for another one."""
    if b",Nose_x," not in data.split(b"\n")[0]:
        return None
    was = "names its columns as an earlier version did (Nose_x, RightWaist_x)"
    return InputError(f"--csv {path}: {was}, and today's are COCO's (nose_x, right_hip_x); name another file, or leave --resume out")


def coco_ids(stems):
    """Frame -> image_id: the number that the picture's name is, where all names are numbers and differ; otherwise the frame's number."""
    names = [Path(stem).name for stem in stems]
    if names and all(name.isdecimal() for name in names) and len({int(name) for name in names}) == len(names):
        return lambda frame: int(Path(frame.stem).name)
    return lambda frame: frame.number
