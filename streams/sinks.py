"""Where the results of many frames go: files that grow, folders, a video. What is finished is on the disk, whole, at any moment.

A sink has `has(frame)`: whether an earlier run that is continued wrote this frame (its image may be None yet); `write(frame, persons, drawn)`;
and `close()`. Those that write numbers also have `pictures` {name: number}, of an earlier run that is continued, and `number_of(frame)`.
"""

import csv
import io
import json
import os
from pathlib import Path

from errors import InputError
from files import make_folder, read_bytes
from streams.formats import compact, csv_columns, to_coco, to_csv, to_json_line, to_openpose
from streams.frames import frame_key
from streams.results import FORMATS, write_files, write_image
from streams.video import VideoFile

OPENPOSE = "_keypoints.json"  # ends the names of --openpose_json

LINE = {"image": (str,), "frame": (int,), "seconds": (int, float, type(None)), "width": (int,), "height": (int,), "people": (list,)}  # of JSON
ENTRY = {"file_name": (str,), "image_id": (int,), "category_id": (int,), "keypoints": (list,), "score": (int, float)}


class GrowingFile:
    """A file that grows by whole pieces and always ends with `ending`."""

    def __init__(self, path, keep=b"", ending=b""):
        """keep: what it begins with, without the ending."""
        self.path, self.ending, self.end = Path(path), ending, len(keep)
        try:
            self.file = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
            self._put(keep, 0)
        except OSError as error:
            raise self._refused(error) from None

    def add(self, piece):
        """Append bytes. After an error the file is as it was before, and InputError is raised."""
        try:
            self._put(piece, self.end)
            self.end += len(piece)
        except OSError as error:
            os.ftruncate(self.file, self.end)
            self._write(self.ending, self.end)
            raise self._refused(error) from None

    def _put(self, piece, at):
        self._write(piece + self.ending, at)
        os.ftruncate(self.file, at + len(piece) + len(self.ending))

    def _write(self, data, at):
        while data:
            os.lseek(self.file, at, os.SEEK_SET)
            n_written = os.write(self.file, data)
            data, at = data[n_written:], at + n_written

    def _refused(self, error):
        return InputError(f"{self.path}: cannot be written ({error.strerror or error}); what was finished is in it; --resume continues")

    def close(self):
        os.close(self.file)


class JsonLines:
    """--jsonl: a line for each frame (formats.to_json_line)."""

    BEGINNING = b'{"frame":'  # of each line

    def __init__(self, path, resume=False):
        self.done, self.pictures, keep = set(), {}, b""
        if resume and Path(path).exists():
            data = read_bytes(path, "results")
            keep = _whole_lines(data)
            cut_off = data[len(keep) :]
            if not (cut_off.startswith(self.BEGINNING) or self.BEGINNING.startswith(cut_off)):
                raise _not_ours("--jsonl", path, "its last line")
            for number, line in enumerate(keep.splitlines(), 1):
                try:
                    record = json.loads(line)
                    if not has_types(record, LINE):
                        raise ValueError
                    self.done.add(frame_key(record["image"], record["frame"], record["seconds"]))
                except (ValueError, KeyError, TypeError, RecursionError):
                    raise _not_ours("--jsonl", path, f"line {number}") from None
                if record["seconds"] is None:
                    self.pictures[record["image"]] = record["frame"]
        self.file = GrowingFile(path, keep)

    def number_of(self, frame):
        return frame.number

    def has(self, frame) -> bool:
        return frame.key in self.done

    def write(self, frame, persons, drawn):
        self.file.add(to_json_line(frame, persons).encode())

    def close(self):
        self.file.close()


class Table:
    """--csv: a line for each person (formats.to_csv)."""

    def __init__(self, path, resume=False, **columns):
        """columns: the arguments of formats.csv_columns."""
        self.columns, self.done, self.pictures = columns, set(), {}
        keep = header = (",".join(csv_columns(**columns)) + "\n").encode()
        if resume and Path(path).exists():
            data = read_bytes(path, "results")
            if not (data.startswith(header) or header.startswith(data)):
                raise _not_ours("--csv", path, "its first line")
            keep = _whole_lines(data) or header
            try:
                for row in csv.DictReader(io.StringIO(keep.decode(errors="replace"), newline=""), strict=True):
                    if None in row or None in row.values() or not row["frame"].isdecimal():  # cells too many, or too few
                        raise ValueError
                    self.done.add(frame_key(row["image"], row["frame"], row["seconds"] or None))
                    if not row["seconds"]:
                        self.pictures[row["image"]] = int(row["frame"])
            except (csv.Error, ValueError, TypeError):
                raise _not_ours("--csv", path, "one of its lines") from None
        self.file = GrowingFile(path, keep)

    def number_of(self, frame):
        return frame.number

    def has(self, frame) -> bool:
        """A frame without people leaves no trace, and is worked on again."""
        return encoded(frame.key).decode() in self.done

    def write(self, frame, persons, drawn):
        self.file.add(encoded(to_csv(frame, persons, **self.columns)))

    def close(self):
        self.file.close()


class CocoResults:
    """--coco_results: a list that pycocotools' loadRes takes (formats.to_coco), whole at any moment."""

    ENDING = b"\n]\n"

    def __init__(self, path, resume=False, id_of=lambda frame: frame.number):
        """id_of: Frame -> image_id."""
        self.id_of, self.done, self.pictures, keep = id_of, set(), {}, b"["
        if resume and Path(path).exists():
            data = read_bytes(path, "results")
            try:
                if not data.lstrip().startswith(b"["):
                    raise ValueError
                entries = json.loads(data)
                if not all(has_types(entry, ENTRY) for entry in entries):
                    raise ValueError
                entries = [(entry["file_name"], entry["image_id"]) for entry in entries]
                self.done, self.pictures = set(entries), dict(entries)
            except (ValueError, KeyError, TypeError, RecursionError):
                raise _not_ours("--coco_results", path, "what is in it") from None
            keep = data.rstrip().removesuffix(b"]").rstrip()
        self.empty = keep == b"["
        self.file = GrowingFile(path, keep, self.ENDING)

    def has(self, frame) -> bool:
        """A frame without people leaves no trace, and is worked on again."""
        return (frame.name, self.id_of(frame)) in self.done

    def number_of(self, frame):
        return self.id_of(frame)

    def write(self, frame, persons, drawn):
        lines = [compact(entry) for entry in to_coco(persons, self.id_of(frame), frame.name)]
        if lines:
            self.file.add(("\n" if self.empty else ",\n").encode() + ",\n".join(lines).encode())
            self.empty = False

    def close(self):
        self.file.close()


class OpenPoseFolder:
    """--openpose_json: a file for each frame (formats.to_openpose), called STEM_keypoints.json."""

    def __init__(self, folder, resume=False, model="COCO"):
        """model: of formats.OPENPOSE_MODELS."""
        self.folder, self.resume, self.model = make_folder(folder), resume, model

    def path_of(self, frame):
        return self.folder / f"{frame.stem}{OPENPOSE}"

    def has(self, frame) -> bool:
        return self.resume and self.path_of(frame).exists()

    def write(self, frame, persons, drawn):
        make_folder(self.path_of(frame).parent)
        write_files({self.path_of(frame): to_openpose(persons, self.model).encode()})

    def close(self):
        pass


class PictureFolder:
    """--out FOLDER: a picture for each frame, in the format of the source."""

    def __init__(self, folder, resume=False):
        self.folder, self.resume = Path(folder), resume

    def path_of(self, frame):
        suffix = Path(frame.name).suffix.lower()
        if suffix not in FORMATS or frame.seconds is not None:
            suffix = ".jpg"
        return self.folder / (frame.stem + ("" if frame.stem.lower().endswith(suffix) else suffix))

    def has(self, frame) -> bool:
        return self.resume and self.path_of(frame).exists()

    def write(self, frame, persons, drawn):
        path = self.path_of(frame)
        make_folder(path.parent)
        write_image(path, drawn)

    def close(self):
        pass


class VideoSink:
    """--out VIDEO. Frames of a camera stay as long as they were seen, so that the video is as quick as life."""

    def __init__(self, path, rate, codec=None, live=False, times_of=lambda frame: 1):
        """times_of: how many frames of the video one of the source is long, where it is not live."""
        self.video, self.live, self.times_of = VideoFile(path, rate, codec), live, times_of

    def has(self, frame) -> bool:
        return False

    def write(self, frame, persons, drawn):
        times = max(0, round(frame.seconds * self.video.rate) + 1 - self.video.n_written) if self.live else self.times_of(frame)
        self.video.write(drawn, times)

    def close(self):
        self.video.close()


KINDS = {  # field of streams.wanted.Wanted -> (its sink, how the arguments beyond path and resume follow from what is wanted, source and detector)
    "jsonl": (JsonLines, lambda wanted, source, detector: {}),
    "csv": (Table, lambda wanted, source, detector: {"parts": detector.parts, "with_pose": detector.has_pose, "smoothed": wanted.smooth}),
    "coco_results": (CocoResults, lambda wanted, source, detector: {"id_of": coco_ids(getattr(source, "stems", []))}),
    "openpose_json": (OpenPoseFolder, lambda wanted, source, detector: {"model": wanted.openpose_model}),
}


def encoded(text) -> bytes:
    """UTF-8, also of names of files that are none, and without carriage returns, which end a line of a table."""
    return text.encode(errors="backslashreplace").replace(b"\r", b"\\r")


def has_types(record, types) -> bool:
    """Whether something out of a JSON file is an object whose fields are of these types; true and false are no numbers."""
    return isinstance(record, dict) and all(type(record.get(name, ...)) in allowed for name, allowed in types.items())


def _whole_lines(data) -> bytes:
    """Without a last line that was cut off."""
    return data[: data.rfind(b"\n") + 1]


def _not_ours(option, path, what):
    return InputError(
        f"{option} {path}: --resume expects results that an earlier run wrote with the same options, and {what} is none; name another file"
    )


def coco_ids(stems):
    """Frame -> image_id: the number that the picture's name is, where all names are numbers and differ; otherwise the frame's number."""
    names = [Path(stem).name for stem in stems]
    if names and all(name.isdecimal() for name in names) and len({int(name) for name in names}) == len(names):
        return lambda frame: int(Path(frame.stem).name)
    return lambda frame: frame.number
