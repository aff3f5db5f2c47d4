"""--resume goes on with the run that was begun, and with no other one."""

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest
from conftest import ROOT, assert_input_error
from videos import FakeDetector, fake_main, wait_until, write_pictures, write_video

from streams.records import held, record_of

OUTPUTS = {"--jsonl": "r.jsonl", "--csv": "r.csv", "--coco_results": "r.json", "--openpose_json": "op", "--out": "drawn"}


@pytest.fixture
def place(tmp_path, monkeypatch, no_screen):
    """A folder to work in, with pictures 0 to 3 in `in`."""
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "in", [f"{i}.png" for i in range(4)])
    return tmp_path


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("option", OUTPUTS)
def test_other_options_are_refused(place, capsys, option):
    begun = ["--input", "in", option, OUTPUTS[option], "--last", "1", "--threshold", "0.1"]
    assert fake_main(begun) == 0
    before = contents(place)
    capsys.readouterr()
    for other, words in (
        (["--threshold", "0.2"], "--threshold 0.1, and this run is with --threshold 0.2"),
        (["--threshold", "0.1", "--max_people", "1"], "begun without --max_people, and this run is with --max_people 1"),
    ):
        assert fake_main(["--input", "in", option, OUTPUTS[option], "--resume", *other]) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        assert f"--resume: {OUTPUTS[option]} was begun" in error
        assert words in error
        assert contents(place) == before
    assert fake_main(["--input", "in", option, OUTPUTS[option], "--threshold", "0.1", "--resume"]) == 0
    assert "2 were done before" in capsys.readouterr().out


def test_another_network(place, capsys):
    other = FakeDetector()
    other.networks = ("finernet",)
    assert fake_main(["--input", "in", "--jsonl", "r"]) == 0
    assert fake_main(["--input", "in", "--jsonl", "r", "--resume"], detector=other) == 2
    assert "r was begun with fakenet, and this run is with finernet; ask for the same, or leave --resume out" in capsys.readouterr().err
    assert fake_main(["--input", "in", "--jsonl", "r"], detector=other) == 0  # from the beginning
    assert fake_main(["--input", "in", "--jsonl", "r", "--resume"], detector=other) == 0


def test_a_video_too(place, capsys):
    write_video(place / "v.mp4", 6)
    assert fake_main(["--input", "v.mp4", "--jsonl", "r", "--last", "2"]) == 0
    assert fake_main(["--input", "v.mp4", "--jsonl", "r", "--resume", "--threshold", "0.3"]) == 2
    assert "--threshold 0.3" in capsys.readouterr().err
    assert fake_main(["--input", "v.mp4", "--jsonl", "r", "--resume"]) == 0
    assert (place / "r").read_text().count("\n") == 6


def test_results_without_a_record_go_on(place):
    """Of an earlier version, or moved without it."""
    assert fake_main(["--input", "in", "--jsonl", "r"]) == 0
    record_of("r").unlink()
    assert fake_main(["--input", "in", "--jsonl", "r", "--resume", "--threshold", "0.3"]) == 0
    assert json.loads(record_of("r").read_text())["threshold"] == 0.3


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff{", b"[" * 100_000])
def test_a_damaged_record_is_none(place, content):
    assert fake_main(["--input", "in", "--jsonl", "r"]) == 0
    record_of("r").write_bytes(content)
    assert fake_main(["--input", "in", "--jsonl", "r", "--resume"]) == 0
    assert json.loads(record_of("r").read_text())["networks"] == ["fakenet"]


def test_nothing_is_remembered_of_one_picture_and_of_stdout(place):
    assert fake_main(["--img", "in/0.png", "--json", "r.json", "--no_draw"]) == 0
    assert fake_main(["--input", "in", "--jsonl", "-"]) == 0
    assert sorted(path.name for path in place.iterdir()) == ["in", "r.json"]


BUSY = """
import sys
sys.path[:0] = {paths}
from videos import fake_main
fake_main(["--input", "in", *sys.argv[1:]], seconds=0.2)
"""


@pytest.mark.parametrize("option", ["--jsonl", "--csv", "--coco_results"])
def test_two_runs_at_once_do_not_write_one_file(place, capsys, option):
    """The second one is told so, and the first one's results are whole; a run that was killed holds nothing."""
    assert fake_main(["--input", "in", option, "one"]) == 0
    code = BUSY.format(paths=[str(ROOT), str(ROOT / "tests")])
    process = subprocess.Popen([sys.executable, "-c", code, option, "r"])
    wait_until(lambda: record_of("r").exists() and record_of("r").stat().st_size, process)
    capsys.readouterr()
    for extra in ([], ["--resume"]):
        assert fake_main(["--input", "in", option, "r", *extra]) == 2
        error = capsys.readouterr().err
        assert "r: another run writes into it" in error
        assert error.count("\n") == 1
    assert process.wait() == 0
    assert (place / "r").read_bytes() == (place / "one").read_bytes()
    process = subprocess.Popen([sys.executable, "-c", code, option, "r"])
    wait_until(lambda: (place / "r").stat().st_size == 0 or b"3.png" not in (place / "r").read_bytes(), process)
    process.kill()
    process.wait()
    assert fake_main(["--input", "in", option, "r", "--resume"]) == 0
    assert (place / "r").read_bytes() == (place / "one").read_bytes()


def test_a_run_that_ends_before_it_begins_leaves_no_record(place):
    wanted = SimpleNamespace(json=None, jsonl="r", csv="-", coco_results=None)
    with held(wanted):
        assert record_of("r").exists()
        assert_input_error(lambda: held(wanted).__enter__(), "r: another run writes into it")
    assert not record_of("r").exists()
    assert [path.name for path in place.iterdir()] == ["in"]
