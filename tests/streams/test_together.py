"""Pictures shared out among processes: the files are those of one process, whatever happens to one of them."""

import os
import re
import signal

import mpi
import pytest
from videos import fake_main, wait_until, write_pictures

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


def kill_one(place, seconds=0.1):
    """Three processes, of which the second is killed when six pictures are done -> how many pictures the parts hold."""
    code = f"open('pid' + str({NUMBER}), 'w').write(str(os.getpid()))"
    process = mpi.start(3, *mpi.fake(seconds, code), "--input", "in", "-r", *results("many"))
    parts = place / "many" / "r.jsonl.parts"
    wait_until(lambda: parts.is_dir() and sum(part.read_bytes().count(b"\n") for part in parts.iterdir()) >= 6, process)
    os.kill(int((place / "pid1").read_text()), signal.SIGKILL)
    _, err = process.communicate()
    assert process.returncode != 0
    assert all("of 16 pictures are done and kept; --resume goes on" in line for line in said(err)[:1])  # mpiexec leaves 0.2 s to say it
    assert len(said(err)) <= 1
    assert not any(word in err for word in ("Traceback", "interrupted"))
    return sum(part.read_bytes().count(b"\n") for part in parts.iterdir())


@pytest.mark.parametrize("n_processes", [1, 2])
def test_a_killed_process_loses_nothing_that_is_done(place, one, n_processes):
    """The others' parts are whole; --resume goes on with any number of processes, and ends with the same files."""
    files, _ = one
    n_done = kill_one(place)
    assert 6 <= n_done < 15
    process = mpi.run(n_processes, *mpi.fake(), "--input", "in", "-r", *results("many"), "--resume")
    assert process.returncode != 0  # one picture cannot be read
    now, before = map(int, re.match(r"(\d+) pictures, .* (\d+) were done before;", process.stdout).groups())
    assert now + before == 15
    assert 0 < before <= n_done  # those that every kind of result has
    assert files_in(place / "many") == files
