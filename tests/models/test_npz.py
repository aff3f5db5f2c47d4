"""Npz files are read as numpy writes them, to the end, or refused: no byte of them can change an answer, and no claim of theirs takes memory."""

import io
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest

from errors import InputError
from models.npz import open_npz
from models.weights import read_weights

SHAPES = {"a/W": (4, 3), "a/b": (4,)}
ARRAYS = {"a/W": np.arange(12, dtype=np.float32).reshape(4, 3), "a/b": np.ones(4, np.float32)}


def npz(save=np.savez, **arrays) -> bytes:
    file = io.BytesIO()
    save(file, **(arrays or ARRAYS))
    return file.getvalue()


def zipped(entries, kind=zipfile.ZIP_STORED) -> bytes:
    """A zip with right checksums. entries: (name, bytes)."""
    file = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(file, "w", kind) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return file.getvalue()


def npy(array, header=None) -> bytes:
    """header: other text in the place of numpy's, as long."""
    file = io.BytesIO()
    np.save(file, array)
    data = file.getvalue()
    length = int.from_bytes(data[8:10], "little")
    return data if header is None else data[:10] + header.encode().ljust(length - 1) + b"\n" + data[10 + length :]


def read(tmp_path, data) -> dict:
    path = tmp_path / "file.npz"
    path.write_bytes(data)
    with open_npz(path) as opened:
        return {name: opened.read(name) for name in opened.headers}


def refused(tmp_path, data):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(InputError, match=r"expected an \.npz file") as caught:
            read(tmp_path, data)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize(
    "array",
    [
        np.float32(3),
        np.zeros((0, 7), np.int64),
        np.arange(24, dtype=">f8").reshape(2, 3, 4),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.array("text, é"),
        np.array(["a", "bcd"]),
        np.array([True, False]),
        np.array(""),
        np.zeros((1,) * 32),
    ],
    ids=repr,
)
def test_what_numpy_writes_is_read_as_numpy_reads_it(tmp_path, array, save):
    (got,) = read(tmp_path, npz(save, array=array)).values()
    expected = np.load(io.BytesIO(npz(save, array=array)))["array"]
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)
    assert got.shape == expected.shape


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_no_flipped_bit_changes_an_answer(tmp_path, save):
    """Each bit of a small file: numpy.load itself takes 40 and more of them for another array."""
    good = npz(save)
    path = tmp_path / "w.npz"
    for place in range(len(good)):
        damaged = bytearray(good)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            arrays = read_weights(path, SHAPES)
        except InputError as error:
            assert "\n" not in str(error)  # noqa: PT017
            continue
        for name, array in ARRAYS.items():  # a date, for example, says nothing about the arrays
            np.testing.assert_array_equal(arrays[name], array)


def test_a_bit_in_a_headers_length_is_refused_where_numpy_reads_other_numbers(tmp_path):
    good = npz(a=np.arange(1_000_000, dtype=np.float32))
    damaged = bytearray(good)
    damaged[damaged.index(b"\x93NUMPY") + 8] ^= 4  # four bytes less: the array begins with blanks of the header
    with np.load(io.BytesIO(damaged)) as arrays:
        assert not np.array_equal(arrays["a"], np.arange(1_000_000))
    refused(tmp_path, damaged)


HEADERS = [
    "{'descr': '<f4', 'fortran_order': False, 'shape': (4,), } and more",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (4,), ",
    "{'descr': '<f4', 'fortran_order': 0, 'shape': (4,), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (-4,), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (4.0,), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (" + "1," * 33 + "), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999999,), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (5,), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (4,), }",
    "{'descr': '<f3', 'fortran_order': False, 'shape': (4,), }",
    "{'descr': '|O', 'fortran_order': False, 'shape': (4,), }",
    "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (4,), }",
    "{'descr': '<f4', 'fortran_order': False}",
    "(" * 100,
    "\t  'a\n",
    "",
]


@pytest.mark.parametrize("header", HEADERS)
def test_headers_that_numpy_does_not_write(tmp_path, header):
    refused(tmp_path, zipped([("a.npy", npy(np.ones(4, np.float32), header))]))


@pytest.mark.parametrize("kind", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_codecs_that_numpy_does_not_use(tmp_path, kind):
    refused(tmp_path, zipped([("a.npy", npy(np.ones(4)))], kind))


def test_an_entry_that_is_there_twice(tmp_path):
    refused(tmp_path, zipped([("a.npy", npy(np.ones(4))), ("a.npy", npy(np.zeros(4)))]))


def test_numbers_that_are_left_over(tmp_path):
    refused(tmp_path, zipped([("a.npy", npy(np.ones(4)) + b"\0")]))


def test_a_bomb_takes_no_memory(tmp_path):
    """64 MB in some kilobytes, under the name of a small array, and under one that nobody asked for."""
    bomb = npy(np.zeros(16_000_000, np.float32))
    for name in ("a/W.npy", "b.npy"):
        entries = [(f"{key}.npy", npy(array)) for key, array in ARRAYS.items() if f"{key}.npy" != name]
        path = tmp_path / "w.npz"
        path.write_bytes(zipped([*entries, (name, bomb)], zipfile.ZIP_DEFLATED))
        assert path.stat().st_size < 100_000
        tracemalloc.start()
        with pytest.raises(InputError):
            read_weights(path, SHAPES)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 8_000_000
