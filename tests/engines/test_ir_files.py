"""engines/ir_files.py: an .xml knows its .bin, and the old pair is usable until the new one is there."""

import os
from pathlib import Path

import numpy as np
import pytest
from conftest import assert_input_error, seeded_weights

from engines import open_net
from engines.openvino_ir import make_ir, save_ir
from models import ARCHS, shapes_of

ROW = ARCHS["lightposenet"]
X = np.random.default_rng(0).random((1, 3, 32, 32), dtype=np.float32) - 0.5


def save(path, scale=1.0):
    weights = {name: scale * array for name, array in seeded_weights(shapes_of("lightposenet")).items()}
    save_ir(make_ir("lightposenet", ROW, weights), path)


def answer(path, **options):
    return np.concatenate(open_net("lightposenet", path, precision="f32", **options)(X), axis=1)


class Killed(BaseException):
    pass


@pytest.fixture
def killed_at(monkeypatch):
    """killed_at(n): the process ends at its rename number n, from 0."""

    def prepare(n):
        replace, count = Path.replace, iter(range(100))

        def dying(path, target):
            if next(count) == n:
                raise Killed
            return replace(path, target)

        monkeypatch.setattr(Path, "replace", dying)
        monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)

    return prepare


@pytest.mark.parametrize("n", range(4))
@pytest.mark.parametrize("stated", [True, False])
def test_killed_between_the_renames_one_whole_pair_is_there(tmp_path, monkeypatch, killed_at, n, stated):
    """The old network or the new one answers, never a mixture; also where the old .xml does not say what its weights are."""
    path = tmp_path / "net.xml"
    save(tmp_path / "other.xml", 0.9)
    save(path)
    if not stated:
        path.write_bytes(path.read_bytes().rsplit(b"<!--", 1)[0])
    old, new = answer(path), answer(tmp_path / "other.xml")
    assert np.abs(old - new).max() > 1e-3
    killed_at(n)
    n_renames = 3 if stated else 4
    if n < n_renames:
        with pytest.raises(Killed):
            save(path, 0.9)
    else:
        save(path, 0.9)
    monkeypatch.undo()
    np.testing.assert_array_equal(answer(path), old if n < n_renames else new)
    save(path, 0.9)
    np.testing.assert_array_equal(answer(path), new)
    left = {file.name for file in tmp_path.iterdir() if ".part" not in file.name}  # this process still runs: its parts stay
    assert left == {"net.xml", "net.bin", "other.xml", "other.bin"}


def test_weights_of_another_network_of_the_same_size_are_refused(tmp_path):
    save(tmp_path / "a.xml")
    save(tmp_path / "b.xml", 0.9)
    assert_input_error(lambda: answer(tmp_path / "a.xml", bin=tmp_path / "b.bin"), "a.xml", "b.bin", "do not belong together")
    (tmp_path / "b.bin").replace(tmp_path / "a.bin")
    assert_input_error(lambda: answer(tmp_path / "a.xml"), "do not belong together")


def test_a_flipped_bit_of_the_weights_is_seen(tmp_path):
    save(tmp_path / "a.xml")
    data = bytearray((tmp_path / "a.bin").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "a.bin").write_bytes(data)
    assert_input_error(lambda: answer(tmp_path / "a.xml"), "damaged")


def test_an_xml_that_does_not_say_is_taken_as_it_is(tmp_path):
    """Those of others, and of earlier versions; a .bin that a killed run put aside is not theirs."""
    save(tmp_path / "a.xml")
    expected = answer(tmp_path / "a.xml")
    (tmp_path / "a.xml").write_bytes((tmp_path / "a.xml").read_bytes().rsplit(b"<!--", 1)[0])
    (tmp_path / ".a.old.bin").write_bytes(bytes((tmp_path / "a.bin").stat().st_size))
    np.testing.assert_array_equal(answer(tmp_path / "a.xml"), expected)


def test_no_link_is_followed(tmp_path, monkeypatch):
    """Someone guesses the names of the parts, and puts links there."""
    (tmp_path / "precious").write_text("old")
    monkeypatch.setattr(os, "urandom", lambda n: b"x" * n)
    save(tmp_path / "a.xml")
    names = set()
    monkeypatch.setattr(os, "open", lambda path, *_, **__: names.add(str(path)) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save(tmp_path / "a.xml")
    monkeypatch.undo()
    monkeypatch.setattr(os, "urandom", lambda n: b"x" * n)
    (xml,) = (Path(name) for name in names)
    xml.with_suffix(".bin").symlink_to(tmp_path / "precious")
    assert_input_error(lambda: save(tmp_path / "a.xml"), "cannot be written")
    assert (tmp_path / "precious").read_text() == "old"
