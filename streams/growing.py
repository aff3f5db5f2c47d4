"""Files that grow while the work goes on: what is finished stays, also when a write is cut off by a full disk, kill -9 or a power failure."""

import csv
import json
import os
import re
from itertools import accumulate
from pathlib import Path

from errors import InputError
from files import atomic_file, read_bytes
from streams.formats import compact

COCO_BEGINNING = '{"image_id":'  # of each entry
ENTRY = {"file_name": (str,), "image_id": (int,), "category_id": (int,), "keypoints": (list,), "score": (int, float)}
_BETWEEN = re.compile(r"[\s,]*")  # entries


class GrowingFile:
    """A file that grows by whole pieces. A piece that was cut off is the last one, and lacks its end."""

    def __init__(self, path, keep=b""):
        """keep: what it begins with. Nothing is changed before `open`, or the first `add`."""
        self.path, self.keep, self.end, self.file = Path(path), keep, len(keep), None

    def open(self):
        """Raises InputError."""
        if self.file is not None:
            return
        try:
            self.file = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
            self._write(self.keep, 0)
            os.ftruncate(self.file, self.end)
        except OSError as error:
            raise self._refused(error) from None
        self.keep = b""

    def add(self, piece):
        """Append bytes. After an error the file is as it was before, and InputError is raised."""
        self.open()
        try:
            self._write(piece, self.end)
            self.end += len(piece)
        except OSError as error:
            os.ftruncate(self.file, self.end)
            raise self._refused(error) from None

    def _write(self, data, at):
        while data:
            os.lseek(self.file, at, os.SEEK_SET)
            n_written = os.write(self.file, data)
            data, at = data[n_written:], at + n_written

    def _refused(self, error):
        return InputError(f"{self.path}: cannot be written ({error.strerror or error}); what was finished is in it; --resume continues")

    def close(self):
        if self.file is not None:
            os.close(self.file)
            self.file = None


class Remembered:
    """PATH.done: what --resume must know of frames and cannot see in PATH: a JSON list on a line for each, as `add` was given it."""

    def __init__(self, path, resume=False):
        """resume: an earlier run's are kept, in `lines`. Nothing is changed before `open`. Raises InputError for a file of something else."""
        self.path, self.lines, self.file, keep = Path(f"{path}.done"), [], None, b""
        if resume and self.path.exists():
            data = read_bytes(self.path, "results")
            keep = whole_lines(data)
            try:
                self.lines = [[str(name), *facts] for name, *facts in map(json.loads, keep.splitlines())]
            except (ValueError, TypeError, RecursionError):
                raise not_ours("beside", self.path, "what is in it") from None
            self.file = GrowingFile(self.path, keep)

    def open(self):
        """Raises InputError."""
        if self.file is None:
            self.forget()
        else:
            self.file.open()

    def add(self, *facts):
        if self.file is None:
            self.file = GrowingFile(self.path)
        self.file.add((compact(facts) + "\n").encode())

    def replace(self, lines):
        """Remember these alone. Nothing to remember: no file."""
        self.close()
        if not lines:
            self.forget()
            return
        with atomic_file(self.path) as part:
            part.write_text("".join(compact(facts) + "\n" for facts in lines))

    def forget(self):
        try:
            self.path.unlink(missing_ok=True)
        except NotADirectoryError:
            pass  # nothing can be there, and writing says so
        except OSError as error:
            raise InputError(f"{self.path}: is of an earlier run, and cannot be removed ({error.strerror}); choose another name") from None

    def close(self):
        if self.file is not None:
            self.file.close()
            self.file = None


def whole_lines(data) -> bytes:
    """Without a last line that was cut off."""
    return data[: data.rfind(b"\n") + 1]


def not_ours(option, path, what):
    return InputError(
        f"{option} {path}: --resume expects results that an earlier run wrote with the same options, and {what} is none; name another file"
    )


def rows_of(data):
    """Yield (row as a dictionary, its first byte, the one behind its last) of each row below a table's head. What is no UTF-8 is replaced.

    Raises ValueError, KeyError or csv.Error for something else.
    """
    lines = data.splitlines(keepends=True)
    ends = [0, *accumulate(map(len, lines))]
    reader = csv.DictReader((line.decode(errors="replace") for line in lines), strict=True)
    begin = 1 if reader.fieldnames is None else reader.line_num
    for row in reader:
        if None in row or None in row.values() or not row["frame"].isdecimal():  # cells too many, or too few
            raise ValueError
        yield row, ends[begin], ends[reader.line_num]
        begin = reader.line_num


def whole_rows(data) -> tuple:
    """(bytes of a table that is kept, its rows as dictionaries): where its end was cut off, the last frame is left out, which may lack people."""
    keep = whole_lines(data)
    rows, begins, _ = zip(*rows, strict=True) if (rows := list(rows_of(keep))) else ((), (), ())
    if len(keep) < len(data) and rows:
        first = next(i for i, row in enumerate(rows) if (row["image"], row["frame"]) == (rows[-1]["image"], rows[-1]["frame"]))
        rows, keep = rows[:first], keep[: begins[first]]
    return keep, list(rows)


def coco_frames(data) -> list:
    """[name, image_id, entries] of each frame in a file of COCO's results; as whole_rows, where its end was cut off.

    Raises ValueError, KeyError, TypeError or RecursionError for something else.
    """
    text = data.decode().strip()
    if not text.startswith("["):
        raise ValueError
    try:
        entries, cut_off = json.loads(text), False
    except ValueError:
        entries, cut_off = _whole_entries(text), True
    if not all(has_types(entry, ENTRY) for entry in entries):
        raise ValueError
    frames = {}
    for entry in entries:
        frames.setdefault((entry["file_name"], entry["image_id"]), []).append(entry)
    if cut_off and frames:
        frames.popitem()
    return [[name, number, found] for (name, number), found in frames.items()]


def _whole_entries(text) -> list:
    """The entries of a list that was cut off. Raises ValueError for what is none of ours."""
    decoder, found, at = json.JSONDecoder(), [], 1
    while True:
        at = _BETWEEN.match(text, at).end()
        try:
            entry, at = decoder.raw_decode(text, at)
        except ValueError:
            break
        found.append(entry)
    rest = text[at:]
    if not (rest.startswith(COCO_BEGINNING) or COCO_BEGINNING.startswith(rest)):
        raise ValueError
    return found


def has_types(record, types) -> bool:
    """Whether something out of a JSON file is an object whose fields are of these types; true and false are no numbers."""
    return isinstance(record, dict) and all(type(record.get(name, ...)) in allowed for name, allowed in types.items())
