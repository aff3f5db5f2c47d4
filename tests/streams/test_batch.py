"""Several videos, one after another, and who is given how many tasks: no MPI is needed."""

import os
import subprocess
import sys

import pytest
from conftest import assert_input_error
from videos import FakeDetector, fake_main, write_pictures, write_video

from parts import machine
from streams.cores import part_of
from streams.desk import Desk, Place
from streams.frames import Pictures, Video, Videos, open_frames
from streams.ledger import Ledger
from streams.together import words_of_lost


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("in/deep", "lone"):
        (tmp_path / folder).mkdir(parents=True)
    for number, name in enumerate(("in/a.mp4", "in/b.avi", "in/deep/a.mp4", "lone/v.mp4")):
        write_video(tmp_path / name, 4 + number, codec="MJPG" if name.endswith("avi") else "mp4v")
    (tmp_path / "list.txt").write_text("in/a.mp4\nin/b.avi\n")
    return tmp_path


def files_in(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize(
    ("names", "kind", "n"), [(["in/*"], Videos, 2), (["list.txt"], Videos, 2), (["in/a.mp4", "in/b.avi"], Videos, 2), (["lone"], Videos, 1)]
)
def test_what_stands_for_several_videos(place, names, kind, n):
    source = open_frames(names)
    assert type(source) is kind
    assert len(source) == n


def test_one_video_and_pictures_stay_what_they_were(place):
    write_pictures(place / "in", ["p.png"])
    assert isinstance(open_frames(["in/a.mp4"]), Video)
    assert isinstance(open_frames(["in"]), Pictures)
    assert_input_error(lambda: open_frames(["in/a.mp4", "in/p.png"]), "a video among 2")


def test_each_video_is_as_if_it_were_alone(place, capsys):
    """Results of every kind, in one folder; names that two videos share keep their folders."""
    kinds = [word for name in ("--jsonl", "--csv", "--coco_results", "--openpose_json", "--out") for word in (name, "all")]
    assert fake_main(["--input", "in", "-r", "--track", *kinds]) == 0
    assert capsys.readouterr().out.startswith("3 videos, 15 frames")
    found = files_in(place / "all")
    assert {name for name in found if "keypoints" not in name} == {
        f"{name}{ending}" for name in ("a", "b", "deep/a") for ending in (".jsonl", ".csv", ".json")
    } | {"a.mp4", "b.avi", "deep/a.mp4"}
    assert sum("keypoints" in name for name in found) == 15
    alone = ["--jsonl", "r.jsonl", "--csv", "r.csv", "--coco_results", "r.json", "--openpose_json", "r"]
    assert fake_main(["--input", "in/b.avi", "--track", *alone]) == 0
    for ending in (".jsonl", ".csv", ".json"):
        assert found[f"b{ending}"] == (place / f"r{ending}").read_bytes()
    assert {name: data for name, data in found.items() if name.startswith("b/")} == {
        f"b/{name}": data for name, data in files_in(place / "r").items()
    }


def test_resume_goes_on_with_the_videos_that_lack_a_file(place, capsys):
    options = ["--input", "in/*", "--track", "--jsonl", "all"]
    assert fake_main(options) == 0
    before = files_in(place / "all")
    (place / "all" / "b.jsonl").unlink()
    detector = FakeDetector()
    assert fake_main([*options, "--resume"], detector=detector) == 0
    assert detector.n_seen == 5
    assert files_in(place / "all") == before


def test_an_interrupted_video_leaves_nothing(place):
    class Interrupted(FakeDetector):
        def detect(self, image):
            if self.n_seen == 6:  # in the second video
                raise KeyboardInterrupt
            return super().detect(image)

    assert fake_main(["--input", "in/*", "--jsonl", "all", "--out", "all"], detector=Interrupted()) == 130
    assert sorted(path.name for path in (place / "all").iterdir()) == ["a.jsonl", "a.mp4"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--jsonl r.jsonl", ["--jsonl r.jsonl", "name a folder"]),
        ("--out r.mp4", ["--out r.mp4", "name a folder"]),
        ("--jsonl -", ["name a folder"]),
        ("--out in", ["overwrite a video"]),
    ],
)
def test_results_of_several_videos_need_folders(place, capsys, line, words):
    before = files_in(place)
    assert fake_main(["--input", "in/a.mp4", "in/b.avi", *line.split()]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert all(word in err for word in words)
    assert files_in(place) == before


@pytest.mark.parametrize("n_processes", [1, 2, 7])
def test_every_task_is_given_once(n_processes):
    ledger, given, now = Ledger(list(range(1000)), n_processes), [], 0.0
    done = [0] * n_processes
    while ledger.n_left:
        for process in range(n_processes):
            now += 0.01
            ledger.report(process, done[process])
            tasks = ledger.give(process, now)
            assert len(tasks) <= 1 + 1000 // (2 * n_processes)
            done[process] += len(tasks)
            given += tasks
    assert given == list(range(1000))
    assert ledger.give(0, now) == []


def test_the_last_tasks_are_given_one_by_one():
    """However quick a process is."""
    ledger = Ledger(list(range(4)), 2)
    ledger.give(0, 0.0)
    ledger.report(0, 1000)
    assert [len(ledger.give(number, 1.0)) for number in (0, 1, 0, 1)] == [1, 1, 1, 0]


@pytest.mark.parametrize(("n_cores", "n_processes"), [(8, 2), (8, 3), (2, 2), (2, 5)])
def test_cores_are_shared_out(n_cores, n_processes):
    cores = tuple(range(10, 10 + n_cores))
    parts = [part_of(cores, number, n_processes) for number in range(n_processes)]
    assert set().union(*parts) == set(cores)
    assert min(map(len, parts)) >= max(1, n_cores // n_processes)
    if n_processes <= n_cores:
        assert sum(map(len, parts)) == n_cores


def test_what_is_in_hand():
    """What was given and not reported; tasks come back in the order in which they were given, unreadable ones unnoticed."""
    ledger = Ledger([5, 3, 8, 1, 7, 2, 9, 0], 2)
    given = ledger.give(0, 0.0)
    ledger.report(0, 0)  # it asks ahead
    given += ledger.give(0, 0.1)
    assert ledger.accounts[0].in_hand == given == [5, 3]
    ledger.give(1, 0.1)
    ledger.report(0, 1, 3)  # 5 could not be read
    assert ledger.accounts[0].in_hand == []
    assert ledger.accounts[1].in_hand == [8]
    ledger.report(1, 0, 3)  # none of its own
    assert ledger.accounts[1].in_hand == [8]


class QuietCrew:
    """Three processes, of which the others say nothing until `ended`."""

    count, counts, last, ended = 3, {}, None, False

    def __init__(self):
        self.left = [1, 2]

    def heard_of_any(self):
        return (self.left.pop(), ("left", {}, None)) if self.ended and self.left else None

    def send(self, number, message):
        pass


def test_who_was_killed_and_what_it_had_in_hand():
    """Those of this machine; of others nobody knows."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    crew, here = QuietCrew(), machine()
    desk = Desk(crew, [Place(here, (0,), "a", os.getpid()), Place(here, (0,), "a", process.pid), Place("other", (0,), "b", process.pid)])
    desk.open([4, 2, 0, 1, 3], None, None)
    desk.ledger.give(0, 0.0)
    for _ in range(2):
        desk.ledger.give(1, 0.0)
    assert desk.lost() == [("process 2 of 3, on a", [2, 0])]
    assert words_of_lost(desk.lost(), list("abcde")) == "; process 2 of 3, on a, is gone, and had in hand: c, a"
    assert words_of_lost([("it", list(range(13)))], range(13)).endswith("7, 8, 9 and 3 more")
    crew.ended = True
    desk.close()
    assert desk.lost() == []  # it has said that it leaves
