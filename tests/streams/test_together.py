"""Pictures shared out among processes: the files are those of one process, whatever happens to one of them."""

import os
import re
import signal
import sys
import time
from pathlib import Path

import mpi
import pytest
from conftest import PATIENCE
from videos import fake_main, wait_until, write_pictures, write_video

pytestmark = mpi.needs_mpi

NAMES = [f"{number:02d}.png" for number in range(15)] + ["sub/07.png"]
NUMBER = "os.environ.get('OMPI_COMM_WORLD_RANK')"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The current folder: pictures, of which one cannot be read."""
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "in", NAMES)
    (tmp_path / "in" / "05.png").write_bytes(b"no picture")
    return tmp_path


def results(folder):
    """Every kind of result of many pictures."""
    files = ["--jsonl", f"{folder}/r.jsonl", "--csv", f"{folder}/r.csv", "--coco_results", f"{folder}/r.json"]
    return [*files, "--openpose_json", f"{folder}/openpose", "--out", f"{folder}/drawn"]


def files_in(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def one(place, capsys):
    """What one process writes, and says."""
    assert fake_main(["--input", "in", "-r", *results("one")]) == 1
    return files_in(place / "one"), capsys.readouterr()


def said(text):
    """Our own lines, without mpiexec's, and the one about the numbers of COCO's results."""
    return [line for line in text.splitlines() if line.startswith("fake.py: ") and "--coco_results" not in line]


@pytest.mark.parametrize("n_processes", [2, 3])
def test_the_files_are_those_of_one_process(place, one, n_processes):
    files, told = one
    process = mpi.run(n_processes, *mpi.fake(), "--input", "in", "-r", *results("many"), "-v")
    assert files_in(place / "many") == files
    assert said(process.stderr) == said(told.err)
    *lines, last = process.stdout.splitlines()
    assert sorted(line.split(":")[0] for line in lines) == sorted(f"in/{name}" for name in NAMES if name != "05.png")
    assert last.split(";")[0] == told.out.split(";")[0]
    assert last.endswith(f"by fakenet, {n_processes} processes")


def is_at_work(number):
    """Whether a process is there, and no zombie."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def kill_one(place, seconds=0.2):
    """Three processes, of which the second is killed in the middle -> how many pictures the parts hold. The line names what it had in hand."""
    code = f"open('pid' + str({NUMBER}), 'w').write(str(os.getpid()))"
    process = mpi.start(3, *mpi.fake(seconds, code), "--input", "in", "-r", *results("many"))
    parts, folders = place / "many" / "r.jsonl.parts", [place / "many" / name for name in ("drawn", "openpose")]
    wait_until(lambda: all(len([*folder.rglob("[!.]*.*")]) >= 8 for folder in folders), process)  # so at least one picture is in both
    os.kill(int((place / "pid1").read_text()), signal.SIGKILL)
    _, err = process.communicate()
    end = time.monotonic() + PATIENCE
    while any(is_at_work(int(number.read_text())) for number in place.glob("pid?")) and time.monotonic() < end:  # mpiexec may end before them
        time.sleep(0.01)
    assert process.returncode != 0
    assert all("of 16 pictures are done and kept; --resume goes on" in line for line in said(err)[:1])  # mpiexec leaves 0.2 s to say it
    for line in said(err):
        lost = re.search(r"; process 2 of 3, on [^,]+, is gone, and had in hand: (.+)$", line)[1].split(", ")
        assert set(lost) <= {f"in/{name}" for name in NAMES}
        drawn = {f"in/{path.relative_to(place / 'many' / 'drawn')}" for path in (place / "many" / "drawn").rglob("[!.]*.png")}
        assert len(set(lost) - drawn) >= len(set(lost)) - 1  # all but one, which it may have just done, are not done yet
    assert len(said(err)) <= 1
    assert not any(word in err for word in ("Traceback", "interrupted"))
    return sum(part.read_bytes().count(b"\n") for part in parts.iterdir())


@pytest.mark.parametrize("n_processes", [1, 2])
def test_a_killed_process_loses_nothing_that_is_done(place, one, n_processes):
    """The others' parts are whole; --resume goes on with any number of processes, and ends with the same files."""
    files, _ = one
    n_done = kill_one(place)
    assert 8 <= n_done <= 15
    process = mpi.run(n_processes, *mpi.fake(), "--input", "in", "-r", *results("many"), "--resume")
    assert process.returncode != 0  # one picture cannot be read
    now, before = map(int, re.match(r"(\d+) pictures, .* (\d+) were done before;", process.stdout).groups())
    assert now + before == 15
    assert 0 < before <= n_done  # those that every kind of result has
    assert files_in(place / "many") == files
    again = mpi.run(2, *mpi.fake(), "--input", "in", "-r", *results("many"), "--resume")
    assert "0 pictures, 0 people found, 15 were done before" in again.stdout
    assert files_in(place / "many") == files


# Every picture kills the second process, and the first one waits until it has been given some: it might do all of them by itself.
KILLER = f"""
import os, pathlib, signal, time
import streams.frames as frames
read = frames.read_image
def read_or_die(path, *arguments, **options):
    if {NUMBER} == '1':
        pathlib.Path('dead.part').write_text(path)
        os.rename('dead.part', 'dead')
        os.kill(os.getpid(), signal.SIGKILL)
    while not os.path.exists('dead'):
        time.sleep(0.01)
    return read(path, *arguments, **options)
frames.read_image = read_or_die
"""


def test_a_picture_that_kills_a_process_is_named(place):
    process = mpi.run(2, *mpi.fake(5, f"exec({KILLER!r})"), "--input", "in", "--jsonl", "r.jsonl")
    assert process.returncode != 0
    culprit = (place / "dead").read_text()
    for line in said(process.stderr):  # mpiexec leaves 0.2 s to say it
        assert re.search(rf"process 2 of 2, on [^,]+, is gone, and had in hand: .*{culprit}", line)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--input", "in", "--jsonl", "r.jsonl", "--threshold", "0.4"], "has other options than the first one"),
        (["--input", "in", "--jsonl", "other.jsonl"], "has other options than the first one"),
        (["--input", "in/01.png", "in/02.png", "--jsonl", "r.jsonl"], "has other files in --input than the first one"),
    ],
)
def test_processes_that_were_asked_for_different_work_do_none(place, options, words):
    """Tasks are numbers: they would stand for other pictures, or be done otherwise."""
    program = [sys.executable, *mpi.fake()]
    process = mpi.run(1, *mpi.fake(), "--input", "in", "--jsonl", "r.jsonl", ":", "-n", "1", *program, *options)
    assert process.returncode == 2
    (line,) = said(process.stderr)
    assert words in line
    assert not any(place.rglob("*.jsonl*"))


def test_five_processes_for_two_pictures(place):
    process = mpi.run(5, *mpi.fake(), "--input", "in/00.png", "in/01.png", "--jsonl", "r.jsonl")
    assert (process.returncode, process.stderr) == (0, "")
    assert process.stdout.startswith("2 pictures, 1 person found")
    assert not (place / "r.jsonl.parts").exists()


def test_where_one_of_them_fails_all_end(place):
    """What it says is said once; what is done stays in the parts."""
    code = (
        f"import streams.sinks as s, errors; f = s.JsonLines.write\nif {NUMBER} == '1': s.JsonLines.write = lambda *a: (_ for _ in ()).throw(FAULT)"
    )
    code = "exec(" + repr(code.replace("FAULT", "errors.InputError('r: the disk is full')")) + ")"
    process = mpi.run(3, *mpi.fake(0.05, code), "--input", "in", "-r", "--jsonl", "r.jsonl")
    assert process.returncode == 2
    (line,) = said(process.stderr)
    assert "r: the disk is full (process 2 of 3, on " in line
    assert "Traceback" not in process.stderr
    assert mpi.run(1, *mpi.fake(), "--input", "in", "-r", "--jsonl", "r.jsonl", "--resume").returncode == 1
    assert fake_main(["--input", "in", "-r", "--jsonl", "one.jsonl"]) == 1
    assert (place / "r.jsonl").read_bytes() == (place / "one.jsonl").read_bytes()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--input gone --jsonl r", "gone: no such file"),
        ("--input v.mp4 --jsonl r", "v.mp4: one video"),
        ("--input in --jsonl -", "stdout"),
    ],
)
def test_what_cannot_be_shared_is_said_once(place, line, words):
    write_video(place / "v.mp4")
    before = files_in(place)
    process = mpi.run(2, *mpi.fake(), *line.split())
    assert process.returncode == 2
    (said_once,) = said(process.stderr)
    assert words in said_once
    assert files_in(place) == before


def test_videos_are_shared_out_whole(place):
    """Each with its own tracking and files, as one process writes them; a video that cannot be read is named."""
    (place / "videos").mkdir()
    for number, name in enumerate("abc"):
        write_video(place / "videos" / f"{name}.mp4", 6 + number)
    (place / "videos" / "bad.mp4").write_bytes(b"no video")
    options = ["--input", "videos", "--track", "--jsonl"]
    assert fake_main([*options, "one"]) == 1
    process = mpi.run(2, *mpi.fake(), *options, "many")
    assert "bad.mp4" in said(process.stderr)[0]
    assert process.stdout.startswith("3 videos, 21 frames")
    assert sorted(files_in(place / "many")) == ["a.jsonl", "b.jsonl", "c.jsonl"]
    assert files_in(place / "many") == files_in(place / "one")
