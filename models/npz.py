"""Read npz files strictly: every entry is what numpy.savez writes, is read to its end, and its checksum is right; or nothing is read at all.

An npz is a zip of .npy files. Sources: "NPY format", numpy.lib.format; APPNOTE.TXT, PKWARE (zip). numpy.load looks at a checksum only where an entry
is read to its end, gives the header to Python's own parser, and makes room for whatever the header claims: none of that happens here.
"""

import math
import re
import zipfile
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np

from errors import InputError
from files import open_binary

LOCAL = b"PK\x03\x04"  # a zip with something in it begins so
MAGIC = b"\x93NUMPY"
MOST_ENTRIES = 100_000
LONGEST_HEADER = 4096  # bytes; numpy writes 128 of them, or a few more
CHUNK = 1 << 20
HEADER = re.compile(
    rb"\{'descr': ?'(?P<descr>[<>|=][biufcmMOSUV]\d{0,9}(?:\[\w{1,5}\])?)', ?'fortran_order': ?(?P<order>True|False), ?"
    rb"'shape': ?\((?P<shape>(?:\d{1,18}L?, ?){0,32}(?:\d{1,18}L?)?)\),? ?\} *\n?"
)


class Header(NamedTuple):
    """What an entry says about its array, before a byte of the array is unpacked."""

    shape: tuple
    dtype: np.dtype
    fortran: bool
    size: int  # bytes of the header itself
    packed: int  # bytes that the entry takes in the file

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


class PickleError(ValueError):
    """An entry holds Python objects."""


class Npz(NamedTuple):
    """An open file. headers: {name: Header}, in the file's order; entries that are no .npy are left out."""

    place: tuple  # (what it is, path), for messages
    archive: zipfile.ZipFile
    entries: dict  # {name: ZipInfo}
    headers: dict

    def read(self, name) -> np.ndarray:
        """An array, whole. Ask for it only when its header is as expected: memory is taken for what the header says. Raises InputError."""
        with _refused(*self.place):
            return _read_array(self.archive, self.entries[name], self.headers[name])


@contextmanager
def open_npz(path, what="weights", cure="docs/networks.md says how to get them"):
    """`with open_npz(path) as npz:` an Npz. Raises InputError, with `what` and, where there is no such file, `cure` in it."""
    with open_binary(path, what, cure) as file:
        with _refused(what, path):
            archive = _open(file)
            entries = _entries(archive)
            headers = {name: _read_header(archive, entry) for name, entry in entries.items()}
        yield Npz((what, path), archive, entries, headers)


def read_npz(path, what, cure) -> dict:
    """{name: array} of a file of which nothing is known beforehand; for files that were made here. Raises as open_npz."""
    with open_npz(path, what, cure) as npz:
        return {name: npz.read(name) for name in npz.headers}


@contextmanager
def _refused(what, path):
    """`with _refused(what, path):` whatever goes wrong in reading is an InputError."""
    try:
        yield
    except MemoryError:
        raise InputError(f"{what} {path}: not enough memory to read it; end other programs, or take a machine with more") from None
    except Exception as error:  # zipfile hands on what its codecs, struct and the decoding of names raise, and promises no list of it
        got = "Python objects (pickle), which are never loaded" if isinstance(error, PickleError) else "something else, or a damaged copy"
        again = "copy or convert it again" if what == "weights" else "copy it again, or name another one"
        raise InputError(f"{what} {path}: expected an .npz file of plain arrays, got {got}; {again}") from None


def _open(file):
    """The zip in an open file."""
    if file.read(4) != LOCAL:
        raise zipfile.BadZipFile
    return zipfile.ZipFile(file)


def _entries(archive) -> dict:
    """{name without .npy: ZipInfo}. Raises ValueError for names that are there twice, and what numpy does not write."""
    entries = {}
    if len(archive.infolist()) > MOST_ENTRIES:
        raise ValueError
    for entry in archive.infolist():
        if entry.filename.endswith(".npy"):
            name = entry.filename.removesuffix(".npy")
            if name in entries or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError
            entries[name] = entry
    return entries


def _read_header(archive, entry) -> Header:
    """Raises ValueError where it is not as numpy writes it, or does not fit the size that the zip states."""
    with archive.open(entry) as file:
        return read_header(file, entry.file_size, entry.compress_size)


def read_header(file, size, packed) -> Header:
    """Of an .npy of so many bytes, open at its beginning. Raises ValueError where it is not as numpy writes it, or does not fit the size."""
    start = file.read(len(MAGIC) + 2)
    width = {b"\1\0": 2, b"\2\0": 4}.get(start[len(MAGIC) :], 0)
    length = int.from_bytes(file.read(width), "little")
    if not start.startswith(MAGIC) or not 0 < length <= LONGEST_HEADER:
        raise ValueError
    match = HEADER.fullmatch(file.read(length))
    if match is None:
        raise ValueError
    if match["descr"][1:2] == b"O":
        raise PickleError
    shape = tuple(int(number.rstrip(b"L")) for number in re.split(rb", ?", match["shape"]) if number)
    header = Header(shape, np.dtype(match["descr"].decode()), match["order"] == b"True", len(start) + width + length, packed)
    if header.size + header.nbytes != size:
        raise ValueError
    return header


def map_npy(path) -> np.ndarray:
    """The array of an .npy file, mapped, not read. Raises ValueError or TypeError where it is not as numpy writes it, or not whole; OSError."""
    size = Path(path).stat().st_size
    with Path(path).open("rb") as file:
        header = read_header(file, size, size)
    return np.memmap(path, header.dtype, "r", header.size, header.shape, "F" if header.fortran else "C")


def _read_array(archive, entry, header) -> np.ndarray:
    """The array, read to the end of its entry, where zipfile compares the checksum."""
    data = np.empty(header.nbytes, np.uint8)
    with archive.open(entry) as file:
        file.read(header.size)
        at = 0
        while n_read := file.readinto(data[at : at + CHUNK]):
            at += n_read
    if at != header.nbytes:
        raise ValueError
    flat = data.view(header.dtype) if header.dtype.itemsize else np.zeros(math.prod(header.shape), header.dtype)
    return flat.reshape(header.shape, order="F" if header.fortran else "C")
