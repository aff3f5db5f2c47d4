"""Results that several processes write: each has parts of its own, FILE.parts/NUMBER, and the first one joins them in the order of the pictures.

What is joined is byte for byte what one process would have written. Parts are results as any others, whole at any moment: those that a run which
was killed has left are joined with FILE by the next one with --resume.
"""

import json
import re
from contextlib import ExitStack, suppress
from itertools import groupby
from pathlib import Path

import numpy as np

from errors import InputError
from files import atomic_file, read_bytes
from streams import sinks
from streams.formats import compact
from streams.growing import Remembered, coco_frames, rows_of
from streams.results import write_files

GROWING = ("jsonl", "csv", "coco_results")  # fields of streams.wanted.Wanted: files that many pictures share
PART = re.compile(r"\d{5,}")
FRAME = re.compile(rb'\{"frame":(\d+)')


def part_path(path, number) -> Path:
    """Of a process's part of a file of results."""
    return _folder(path) / f"{number:05d}"


def parts_of(path) -> list:
    """The parts of a file of results that are there, by their numbers."""
    try:
        names = [each.name for each in _folder(path).iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise InputError(f"{_folder(path)}: cannot be read ({error.strerror}); it holds parts of results of an earlier run") from None
    return [_folder(path) / name for name in sorted(filter(PART.fullmatch, {name.removesuffix(".done") for name in names}))]


def forget(path):
    """Remove the parts of a file of results."""
    try:
        for part in parts_of(path):
            part.unlink(missing_ok=True)
            Path(f"{part}.done").unlink(missing_ok=True)
        for left in _folder(path).glob(".[0-9]*.part"):  # of a process that was killed while it wrote
            left.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"{error.filename}: is of an earlier run, and cannot be removed ({error.strerror}); choose another name") from None
    with suppress(OSError):  # it holds something of others
        _folder(path).rmdir()


def _folder(path) -> Path:
    return Path(f"{path}.parts")


def join(name, path, entries, check=None, **arguments):
    """Make one file of what FILE and its parts hold, in the order of the pictures, and remove the parts.

    name: one of GROWING. entries: streams.frames.Frame, without image, of each picture. check: is called with each file, opened as a sink of
    its kind, and may raise InputError. arguments: of the sink (streams.sinks.KINDS).
    """
    files = [Path(path), *parts_of(path)]
    opened = [sinks.KINDS[name][0](file, True, **arguments) for file in files]  # refuses what is none of ours
    for sink in opened if check is not None else []:
        check(sink)
    for sink in opened:
        sink.open()  # takes away what was cut off
        sink.close()
    JOIN[name](files, entries)
    forget(path)


def is_in_order(name, path, entries) -> bool:
    """Whether joining the file, whole and without parts, would change nothing."""
    if name == "coco_results":
        places = {entry.name: entry.number for entry in entries}
        numbers = [places[name] for name, _, _ in coco_frames(read_bytes(path, "results"))]
        nobody = [places[line[0]] for line in _remembered(path)]
    else:
        numbers = [number for number, _, _ in PIECES[name](path)]
        nobody = [line[1] for line in _remembered(path)]
    return numbers == sorted(numbers) and nobody == sorted(nobody)


def _join_pieces(pieces_of):
    """pieces_of: path -> (number of the picture, its first byte, the one behind its last) of each."""

    def join_files(files, entries):
        """A picture that is in two of the files is taken from the first."""
        pieces = [np.array(list(pieces_of(file)), np.int64).reshape(-1, 3) for file in files]
        file_of = np.repeat(np.arange(len(files)), [len(each) for each in pieces])
        numbers, begins, ends = np.concatenate(pieces).T
        chosen = np.unique(numbers, return_index=True)[1]
        with ExitStack() as stack:
            opened = [stack.enter_context(file.open("rb")) for file in files]
            part = stack.enter_context(atomic_file(files[0]))
            with part.open("wb") as joined:
                joined.write(opened[0].read(min(begins[file_of == 0], default=files[0].stat().st_size)))
                for i in chosen.tolist():
                    file = opened[file_of[i]]
                    file.seek(begins[i])
                    joined.write(file.read(ends[i] - begins[i]))
        there = set(numbers.tolist())
        nobody = {line[1]: line for file in files for line in _remembered(file) if line[1] not in there}
        _remember(files[0], [nobody[number] for number in sorted(nobody)])

    return join_files


def _remembered(path) -> list:
    """[name, number, ...] of each frame beside a file of results."""
    if not Path(f"{path}.done").exists():
        return []
    remembered = Remembered(path, True)
    remembered.close()
    return remembered.lines


def _remember(path, lines):
    remembered = Remembered(path, True)
    remembered.replace(lines)


def _lines(path):
    at = 0
    with Path(path).open("rb") as file:
        for line in file:
            match = FRAME.match(line)
            yield int(match[1]) if match else json.loads(line)["frame"], at, at + len(line)  # somebody else may have written it anew
            at += len(line)


def _rows(path):
    """The rows of a picture, which follow each other, are one piece."""
    for number, rows in groupby(rows_of(Path(path).read_bytes()), lambda row: int(row[0]["frame"])):
        _, begins, ends = zip(*rows, strict=True)
        yield number, begins[0], ends[-1]


def _join_coco(files, entries):
    places = {entry.name: entry.number for entry in entries}
    frames = {}  # number of the picture -> its name, image_id and entries
    for file in files:
        for name, image_id, found in coco_frames(read_bytes(file, "results")) + _remembered(file):
            frames.setdefault(places[name], (name, image_id, found))
    ordered = [frames[number] for number in sorted(frames)]
    write_files({files[0]: sinks.coco_list(compact(entry) for _, _, found in ordered for entry in found)})
    _remember(files[0], [frame for frame in ordered if not frame[2]])


PIECES = {"jsonl": _lines, "csv": _rows}
JOIN = {**{name: _join_pieces(pieces) for name, pieces in PIECES.items()}, "coco_results": _join_coco}
