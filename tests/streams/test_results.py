"""streams/results.py and the writing half of files.py: JSON and pictures, whole or not at all."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from conftest import PATIENCE, ROOT
from people import person

from entity import Joint
from errors import InputError
from files import atomic_file, check_path
from keypoints.paf import People
from keypoints.whole import persons_of
from parts import machine, make_part, remove_leftovers
from streams.formats import people_to_json, points_to_json, to_json_text
from streams.results import FORMATS, check_image_path, encode_image, write_files, write_image

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
SMOOTH = np.stack(np.broadcast_arrays(*np.ogrid[:40, :50], 99), axis=-1).astype(np.uint8) * 2


def assert_one_line(error, *words):
    assert "\n" not in str(error.value)
    for word in words:
        assert str(word) in str(error.value)


def two_people():
    """The second one lacks his left side's hand and foot."""
    poses = np.stack([person(100.1234567, 60, 18), person(240, 60.98765, 18)])
    poses[1, [Joint.LeftHand, Joint.LeftFoot]] = 0
    confidences = np.where(poses[..., 2] > 0, np.linspace(0.1, 0.99999, 36).reshape(2, 18), 0)
    return People(poses, np.array([1.23456789, 0.5]), confidences)


# JSON


def test_json_round_trip():
    """The numbers come back: coordinates to a thousandth of a pixel, scores and confidences to four digits."""
    people = two_people()
    document = json.loads(to_json_text("a.png", (320, 240), arch="x", **people_to_json(persons_of(people))))
    assert (document["image"], document["width"], document["height"], document["arch"]) == ("a.png", 320, 240, "x")
    assert document["joints"] == [joint.name for joint in Joint]
    assert [person["score"] for person in document["people"]] == [1.2346, 0.5]
    for pose, confidences, found in zip(people.poses, people.confidences, document["people"], strict=True):
        assert len(found["keypoints"]) == 18
        for (x, y, v), confidence, keypoint in zip(pose, confidences, found["keypoints"], strict=True):
            assert (keypoint is None) == (v == 0)
            if keypoint:
                np.testing.assert_allclose(keypoint[:2], (x, y), rtol=0, atol=0.0005001)
                assert keypoint[2] == pytest.approx(confidence, abs=0.0000501)


def test_json_missing_joints_are_null():
    """Exactly those, and no zeros that could be taken for places; a joint at (0, 0) is one."""
    people = two_people()
    people.poses[0, Joint.Nose] = 0, 0, 2
    first, second = people_to_json(persons_of(people))["people"]
    assert None not in first["keypoints"]
    assert first["keypoints"][Joint.Nose][:2] == [0, 0]
    assert [joint for joint in Joint if second["keypoints"][joint] is None] == [Joint.LeftHand, Joint.LeftFoot]
    assert "NaN" not in json.dumps(people_to_json(persons_of(people)))


def test_json_of_nobody():
    nobody = People(np.zeros((0, 18, 3)), np.zeros(0), np.zeros((0, 18)))
    assert people_to_json(persons_of(nobody))["people"] == []
    assert '"people": []' in to_json_text("a.png", (5, 4), **people_to_json(persons_of(nobody)))


def test_json_of_numpy_numbers():
    """float32 and NumPy's ints are written as numbers."""
    people = People(*(array.astype(np.float32) for array in two_people()))
    text = to_json_text("a.png", (320, 240), **people_to_json(persons_of(people)))
    assert json.loads(text)["people"][1]["score"] == 0.5
    assert text.endswith("}\n")


def test_points_to_json():
    points = np.array([(1.23456, 2, 0.123456), (np.nan, np.nan, np.nan), (-3.5, 0, 1)])
    assert points_to_json(points) == [[1.235, 2.0, 0.1235], None, [-3.5, 0.0, 1.0]]


def test_json_does_not_change_the_people():
    people, kept = two_people(), two_people()
    people_to_json(persons_of(people))
    for array, same in zip(people, kept, strict=True):
        np.testing.assert_array_equal(array, same)


@pytest.mark.parametrize("name", ["Bild ä 写真.png", 'a "quoted" \\ name.png', os.fsdecode(b"\xff\xfe.png")])
def test_json_names(tmp_path, name):
    """Any name a file can have."""
    text = to_json_text(tmp_path / name, (1, 1))
    assert json.loads(text)["image"] == str(tmp_path / name)
    write_files({tmp_path / "result.json": text.encode()})
    assert json.loads((tmp_path / "result.json").read_text(encoding="utf-8")) == json.loads(text)


# Files that appear whole or not at all


def test_atomic_file(tmp_path):
    """Until the end the old file is there, then the new one; nothing else is left."""
    path = tmp_path / "result.txt"
    path.write_text("old")
    with atomic_file(path) as part:
        assert part.parent == tmp_path
        part.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert [file.name for file in tmp_path.iterdir()] == ["result.txt"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, MemoryError])
@pytest.mark.parametrize("old", [None, "old"])
@pytest.mark.parametrize("begun", [False, True])
def test_atomic_file_after_an_error(tmp_path, error, old, begun):
    """The old file, or none; no leftovers; and the error goes on."""
    path = tmp_path / "result.txt"
    if old:
        path.write_text(old)

    def work():
        with atomic_file(path) as part:
            if begun:
                part.write_text("half")
            raise error

    with pytest.raises(error):
        work()
    assert [file.name for file in tmp_path.iterdir()] == (["result.txt"] if old else [])
    assert not old or path.read_text() == old


def test_atomic_file_full_disk(tmp_path):
    """An error of the operating system becomes one line that names the file."""
    path = tmp_path / "result.txt"
    path.write_text("old")
    with pytest.raises(InputError) as error, atomic_file(path):
        raise OSError(28, "No space left on device")
    assert_one_line(error, path, "No space left")
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_atomic_file_through_a_link(tmp_path):
    """The link stays, what it points to is written."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.txt").symlink_to(tmp_path / "folder" / "target.txt")
    for text in ("first", "second"):
        with atomic_file(tmp_path / "link.txt") as part:
            part.write_text(text)
        assert (tmp_path / "link.txt").is_symlink()
        assert (tmp_path / "folder" / "target.txt").read_text() == text
    assert [file.name for file in (tmp_path / "folder").iterdir()] == ["target.txt"]


@pytest.mark.parametrize("place", ["file/result.json", "file/none/result.json", ".", "x" * 300 + ".json"])
def test_atomic_file_where_none_can_be(tmp_path, place):
    """Below a file, in a folder that is not there, a folder itself, a name too long: one line, nothing left."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError) as error, atomic_file(tmp_path / place) as part:
        part.write_text("new")
    assert_one_line(error, "cannot be written")
    assert [file.name for file in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "x"


def test_atomic_file_with_a_long_name(tmp_path):
    """As long as the file system takes; the name of its part is not longer."""
    path = tmp_path / ("x" * 250 + ".json")
    with atomic_file(path) as part:
        part.write_text("new")
    assert path.read_text() == "new"
    assert len(list(tmp_path.iterdir())) == 1


def test_write_files_all_or_none(tmp_path):
    """The second place cannot be written, so the first file keeps its old contents."""
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(InputError):
        write_files({tmp_path / "a.txt": b"new", tmp_path / "a.txt" / "b.txt": b"new"})
    assert (tmp_path / "a.txt").read_text() == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]
    write_files({tmp_path / "a.txt": b"new", tmp_path / "b.txt": b"other"})
    assert [(tmp_path / name).read_bytes() for name in ("a.txt", "b.txt")] == [b"new", b"other"]
    write_files({})


# Places, found out about before the work


def test_check_path_takes_a_place(tmp_path):
    """A new file, an old one, a link to either, one in folders that are still to be made."""
    (tmp_path / "old.json").write_text("x")
    (tmp_path / "link.json").symlink_to(tmp_path / "target.json")
    for name in ("new.json", "old.json", "link.json", "no extension", "x" * 255, "none/at/all.json"):
        check_path(tmp_path / name, "--json")
        check_path(str(tmp_path / name), "--json")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["link.json", "old.json"]
    assert (tmp_path / "old.json").read_text() == "x"


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (".", "folder"),
        ("file/none/result.json", "is a file"),
        ("file/result.json", "no folder"),
        ("pipe", "pipe"),
        ("x" * 256, "too long"),
        ("circle", "circle/links"),
    ],
)
def test_check_path_refuses(tmp_path, place, words):
    """One line that names the option and the place."""
    (tmp_path / "file").write_text("x")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError) as error:
        check_path(tmp_path / place, "--json")
    assert_one_line(error, "--json")
    assert any(word in str(error.value) for word in words.split("/"))


def test_check_path_refuses_devices():
    with pytest.raises(InputError) as error:
        check_path(os.devnull, "--json")
    assert_one_line(error, "--json", os.devnull, "device")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_check_path_refuses_an_unwritable_folder(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder").chmod(0o500)
    with pytest.raises(InputError) as error:
        check_path(tmp_path / "folder" / "result.json", "--json")
    assert_one_line(error, "not writable")


@pytest.mark.parametrize("name", [f"result{extension}" for extension in FORMATS] + ["RESULT.PNG", "result.Jpg", "a.b.png"])
def test_check_image_path_takes(tmp_path, name):
    check_image_path(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["result", "result.txt", "result.", ".png", "result.png.txt", "result.mp4", "result.exr", "result.pgm", "result.jpgx"]
)
def test_check_image_path_refuses_other_extensions(tmp_path, name):
    with pytest.raises(InputError) as error:
        check_image_path(tmp_path / name)
    assert_one_line(error, "--out", tmp_path / name, ".png", ".jpg")


@pytest.mark.parametrize("place", ["file/result.png", "folder.png"])
def test_check_image_path_refuses_places(tmp_path, place):
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(InputError) as error:
        check_image_path(tmp_path / place)
    assert_one_line(error, "--out", place)


# Pictures


@pytest.mark.parametrize("extension", [*FORMATS, ".PNG", ".JPG"])
def test_write_image(tmp_path, extension):
    """Each format reads back, JPEG nearly."""
    path = tmp_path / f"result{extension}"
    write_image(path, SMOOTH)
    result = cv2.imread(str(path))
    assert result.shape == SMOOTH.shape
    np.testing.assert_allclose(result.astype(int), SMOOTH, rtol=0, atol=8 if extension.lower() in (".jpg", ".jpeg") else 0)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert encode_image(path, SMOOTH) == path.read_bytes()


def test_write_image_is_of_the_kind_that_its_name_says(tmp_path):
    starts = {".png": b"\x89PNG", ".jpg": b"\xff\xd8", ".jpeg": b"\xff\xd8", ".bmp": b"BM", ".webp": b"RIFF", ".tif": b"II*\0", ".tiff": b"II*\0"}
    assert set(starts) == set(FORMATS)
    for extension, start in starts.items():
        assert encode_image(f"result{extension}", PICTURE).startswith(start)


@pytest.mark.parametrize(("extension", "side"), [(".jpg", 65536), (".jpeg", 70000), (".webp", 16384)])
def test_write_image_too_large_for_its_format(tmp_path, extension, side):
    """Refused with the size and a way out; no file, and an old one stays."""
    path = tmp_path / f"result{extension}"
    picture = np.zeros((2, side, 3), np.uint8)
    with pytest.raises(InputError) as error:
        write_image(path, picture)
    assert_one_line(error, path, f"{side}x2", ".png")
    assert list(tmp_path.iterdir()) == []
    path.write_text("old")
    with pytest.raises(InputError):
        write_image(path, picture)
    assert path.read_text() == "old"
    write_image(tmp_path / "result.png", picture)
    assert cv2.imread(str(tmp_path / "result.png")).shape == picture.shape


def test_write_image_where_none_can_be(tmp_path):
    (tmp_path / "file").write_text("x")
    for place in ("file/result.png", "file/none/result.png"):
        with pytest.raises(InputError) as error:
            write_image(tmp_path / place, PICTURE)
        assert_one_line(error, place, "cannot be written")
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_readers_see_the_old_picture_or_the_new_one(tmp_path):
    """While it is written again and again, the file is never half a picture."""
    path = tmp_path / "result.bmp"
    pictures = [np.full((200, 300, 3), value, np.uint8) for value in (10, 200)]
    write_image(path, pictures[0])
    done = threading.Event()

    def write():
        for n in range(60):
            write_image(path, pictures[n % 2])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = 0
    while not done.is_set() or not seen:
        picture = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
        assert picture is not None
        assert picture.shape == (200, 300, 3)
        assert picture.min() == picture.max()
        seen += 1
    writer.join()


def test_leftovers_of_killed_processes_are_removed(tmp_path):
    """Those of processes of this machine that are gone, and nothing else: what another machine writes into a shared folder may be at work."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    here, other, number = machine(), f"{(int(machine(), 16) + 1) % 2**32:08x}", "0123456789abcdef"
    left = [f".a.png.{here}.{gone.pid}.{number}.part", f".v.mp4.{here}.{gone.pid}.{number}.part.mp4"]
    kept = [f".a.png.{here}.{os.getpid()}.{number}.part", f".a.png.{other}.{gone.pid}.{number}.part", ".x.part", "a.part", f"a.{gone.pid}.0.part"]
    for name in (*left, *kept):
        (tmp_path / name).write_bytes(b"x")
    remove_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(kept)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc to look for processes in")
def test_leftovers_of_a_process_that_nobody_has_waited_for_are_removed(tmp_path):
    with subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE) as killed:
        killed.stdout.read()
        end = time.monotonic() + PATIENCE
        while Path(f"/proc/{killed.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z" and time.monotonic() < end:
            time.sleep(0.01)
        (tmp_path / f".a.png.{machine()}.{killed.pid}.0123456789abcdef.part").write_bytes(b"x")
        remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_goes_with_the_next_file(tmp_path):
    """Killed in the middle of a write."""
    code = "import os; from files import atomic_file\nwith atomic_file('r') as part:\n part.write_text('half'); os.kill(os.getpid(), 9)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=False).returncode == -9
    assert len(list(tmp_path.iterdir())) == 1
    with atomic_file(tmp_path / "other") as part:
        part.write_text("x")
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


def test_part_files_are_new_ones(tmp_path, monkeypatch):
    """Whoever guesses the name, and puts a link there, is not followed: what the link points to stays as it is."""
    (tmp_path / "precious").write_text("old")
    monkeypatch.setattr(os, "urandom", lambda n: b"x" * n)
    first = make_part(tmp_path / "r")
    first.unlink()
    first.symlink_to(tmp_path / "precious")
    with pytest.raises(InputError, match="cannot be written"), atomic_file(tmp_path / "r") as part:
        part.write_text("new")
    assert (tmp_path / "precious").read_text() == "old"
    assert not (tmp_path / "r").exists()


def test_names_of_part_files_are_not_guessed(tmp_path):
    assert len({make_part(tmp_path / "r").name for _ in range(20)}) == 20


def test_data_are_on_the_disk_before_the_rename(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(os, "fsync", lambda file: seen.append(((tmp_path / "r").exists(), os.fstat(file).st_size)))
    with atomic_file(tmp_path / "r") as part:
        part.write_text("new")
    assert seen == [(False, 3)]
