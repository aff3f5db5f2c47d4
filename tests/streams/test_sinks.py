"""streams/sinks.py behind the scripts' options: results that are whole at any moment, a full disk, --resume."""

import csv
import errno
import json
import os
import signal

import cv2
import numpy as np
import pytest
from conftest import PATIENCE
from videos import fake_main, fake_person, picture, start_fake, wait_until, write_pictures, write_video

from errors import InputError
from streams.formats import csv_columns
from streams.frames import Frame
from streams.growing import GrowingFile
from streams.sinks import CocoResults, JsonLines, OpenPoseFolder, PictureFolder, Table, VideoSink

NAMES = [f"{i:02d}.png" for i in range(20)]
OUTPUTS = {"out": "drawn", "jsonl": "r.jsonl", "csv": "r.csv", "coco_results": "r.json", "openpose_json": "op"}
CSV_HEADER = ",".join(csv_columns(parts=(), with_pose=True, smoothed=False)) + "\n"


@pytest.fixture
def pictures(tmp_path):
    write_pictures(tmp_path / "in", NAMES)
    return tmp_path / "in"


def arguments(pictures, folder, names=OUTPUTS):
    folder.mkdir(exist_ok=True)
    return ["--input", pictures, *(word for name in names for word in (f"--{name}", folder / OUTPUTS[name]))]


def read_lines(path):
    """Every line of it must be whole."""
    text = path.read_text()
    assert text == "" or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def read_results(folder) -> dict:
    """What is in a folder of results, sorted by frame; every file must be whole."""
    found = {}
    if (folder / "r.jsonl").exists():
        found["jsonl"] = sorted(map(json.dumps, read_lines(folder / "r.jsonl")))
    if (folder / "r.csv").exists():
        rows = list(csv.DictReader((folder / "r.csv").open()))
        assert all(None not in row and None not in row.values() for row in rows)
        found["csv"] = sorted((row["frame"], row["person"], row["nose_x"], row["image"]) for row in rows)
    if (folder / "r.json").exists():
        found["coco"] = sorted(map(json.dumps, json.loads((folder / "r.json").read_text())))
    for name in ("op", "drawn"):
        if (folder / name).is_dir():
            assert not (name == "drawn" and any(cv2.imdecode(np.fromfile(path, np.uint8), 1) is None for path in (folder / name).glob("[!.]*")))
            found[name] = {path.name: path.read_bytes() for path in sorted((folder / name).glob("[!.]*"))}
    for text in found.get("op", {}).values():
        json.loads(text)
    return found


def kill_run(pictures, folder, n_lines):
    """Kill a run hard when it has written n_lines of the .jsonl."""
    process = start_fake(*arguments(pictures, folder), seconds=0.04)
    path = folder / "r.jsonl"
    wait_until(lambda: path.exists() and path.read_text().count("\n") >= n_lines, process)
    process.kill()
    process.communicate()


@pytest.mark.parametrize("n_lines", [2, 7])
def test_killed_and_resumed(pictures, tmp_path, n_lines):
    """After kill -9 each file is whole; --resume does the rest only, and the results are those of one uninterrupted run."""
    assert fake_main(arguments(pictures, tmp_path / "whole")) == 0
    killed = tmp_path / "killed"
    kill_run(pictures, killed, n_lines)
    found = read_results(killed)
    assert n_lines <= len(found["jsonl"]) < 20
    assert abs(len(found["op"]) - len(found["jsonl"])) <= 1
    again = start_fake(*arguments(pictures, killed), "--resume", seconds=0)
    printed, _ = again.communicate(timeout=PATIENCE)
    assert again.returncode == 0
    n_done = len(found["jsonl"])
    n_skipped = 20 - int(printed.split(" pictures")[0])
    assert n_done - 1 <= n_skipped <= n_done
    assert read_results(killed) == read_results(tmp_path / "whole")


def test_interrupted_and_resumed(pictures, tmp_path):
    """Ctrl-C: status 130, a line, everything done so far is there."""
    folder = tmp_path / "r"
    process = start_fake(*arguments(pictures, folder), seconds=0.04)
    path = folder / "r.jsonl"
    wait_until(lambda: path.exists() and path.read_text().count("\n") >= 3, process)
    process.send_signal(2)
    _, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (130, "fake.py: interrupted\n")
    assert fake_main([*arguments(pictures, folder), "--resume"]) == 0
    assert fake_main(arguments(pictures, tmp_path / "whole")) == 0
    assert read_results(folder) == read_results(tmp_path / "whole")


@pytest.mark.parametrize("cut", [1, 30, 3000])
def test_resume_after_a_line_cut_off(pictures, tmp_path, cut):
    """A power failure may leave half a line; it is written anew."""
    folder, names = tmp_path / "r", ("jsonl", "csv")
    assert fake_main(arguments(pictures, folder, names)) == 0
    whole = read_results(folder)
    for name in ("r.jsonl", "r.csv"):
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[:-cut])
    assert fake_main([*arguments(pictures, folder, names), "--resume"]) == 0
    assert read_results(folder) == whole


@pytest.mark.parametrize("damage", [b"\xff", b"\xed\xa0\x80", b"\r", b"\n", b"\r\n\r\n"], ids=repr)
@pytest.mark.parametrize("place", ["in a row", "between rows"])
def test_resume_after_bytes_that_are_no_text(pictures, tmp_path, capsys, damage, place):
    """The order of the rows is looked at by the reader that has taken them."""
    assert fake_main(arguments(pictures, tmp_path, ["csv"])) == 0
    lines = (tmp_path / "r.csv").read_bytes().splitlines(keepends=True)
    lines[3] = lines[3][:-20] + damage + lines[3][-20:] if place == "in a row" else damage + lines[3]
    (tmp_path / "r.csv").write_bytes(b"".join(lines))
    capsys.readouterr()
    status, said = fake_main([*arguments(pictures, tmp_path, ["csv"]), "--resume"]), capsys.readouterr().err.splitlines()
    assert (status, len(said)) in ((0, 0), (2, 1))
    assert status == 0 or "--resume expects results" in said[0]
    assert b"".join(lines[4:]) in (tmp_path / "r.csv").read_bytes()


@pytest.mark.parametrize("name", list(OUTPUTS))
def test_resume_of_each_output_alone(pictures, tmp_path, name, capsys):
    """The second half only is worked on, and a third run does nothing, also where nobody was found."""
    folder = tmp_path / "r"
    for file in NAMES[10:]:
        (pictures / file).rename(tmp_path / file)
    assert fake_main(arguments(pictures, folder, [name])) == 0
    for file in NAMES[10:]:
        (tmp_path / file).rename(pictures / file)
    assert fake_main([*arguments(pictures, folder, [name]), "--resume"]) == 0
    assert fake_main(arguments(pictures, tmp_path / "whole", [name])) == 0
    assert read_results(folder) == read_results(tmp_path / "whole")
    capsys.readouterr()
    assert fake_main([*arguments(pictures, folder, [name]), "--resume"]) == 0
    assert "20 were done before" in capsys.readouterr().out


@pytest.mark.parametrize("name", ['ä,b"c.png', "1\r.png", "1\r\n.png", os.fsdecode(b"\xff\xfe.png")])
def test_resume_knows_names_of_any_kind(tmp_path, name):
    """Also such as are no UTF-8: nothing is written twice."""
    write_pictures(tmp_path / "in", ["0.png", "1.png"])
    (tmp_path / "in" / "1.png").rename(tmp_path / "in" / name)
    options = arguments(tmp_path / "in", tmp_path / "r")
    assert fake_main(options) == 0
    before = read_results(tmp_path / "r")
    assert len(before["csv"]) == len(before["coco"]) == 1
    assert fake_main([*options, "--resume"]) == 0
    assert read_results(tmp_path / "r") == before


def test_resume_of_nothing_begins(pictures, tmp_path):
    assert fake_main([*arguments(pictures, tmp_path / "r"), "--resume"]) == 0
    assert len(read_results(tmp_path / "r")["jsonl"]) == 20


def test_without_resume_results_begin_anew(pictures, tmp_path):
    for _ in range(2):
        assert fake_main(arguments(pictures, tmp_path / "r")) == 0
        assert len(read_results(tmp_path / "r")["jsonl"]) == 20


def test_resume_of_a_video(tmp_path):
    """Frames of a video are known by their numbers, in every kind of file."""
    video = write_video(tmp_path / "v.mp4", 9)
    folder = tmp_path / "r"
    assert fake_main(arguments(video, tmp_path / "whole")) == 0
    assert fake_main(arguments(video, folder)) == 0
    lines = (folder / "r.jsonl").read_text().splitlines(keepends=True)
    (folder / "r.jsonl").write_text("".join(lines[:4]))
    (folder / "op" / "v_000000000006_keypoints.json").unlink()
    assert fake_main([*arguments(video, folder), "--resume"]) == 0
    assert read_results(folder) == read_results(tmp_path / "whole")


LINE = {"frame": 0, "image": "0.png", "seconds": None, "width": 64, "height": 48, "people": []}
ENTRY = {"image_id": 0, "file_name": "0.png", "category_id": 1, "keypoints": [0] * 51, "score": 0.5}
WRONG = (True, {"a": 1})


@pytest.mark.parametrize(
    ("option", "content"),
    [
        *((option, content) for option in ("jsonl", "csv", "coco_results") for content in ("a diary\n", '{"a": 1}\n', "[1, 2]\n", "\xff\x00\n")),
        ("coco_results", '[{"image_id": 1, "category_id": 1}]\n'),
        ("jsonl", '{"frame": [], "image": {}, "seconds": "x"}\nx\n'),
        ("csv", "frame,image,seconds\n1,2,3\n"),
        *((option, content) for option in ("jsonl", "csv") for content in ("a diary without an end", '{"people":[]}')),
        *(("coco_results", content) for content in ("{}", '""', "{}\n", "")),
        *((option, "[" * 100_000) for option in ("jsonl", "coco_results")),
        ("jsonl", "[" * 100_000 + "\n"),
        ("csv", CSV_HEADER + "0,a" + "b" * 200_000 + ",\n"),
        ("csv", CSV_HEADER + '0,"a.png,\n'),
        ("csv", CSV_HEADER + "first,a.png,\n"),
        *(("jsonl", json.dumps({**LINE, name: value}) + "\n") for name in LINE for value in WRONG),
        *(("coco_results", json.dumps([{**ENTRY, name: value}])) for name in ENTRY for value in WRONG),
    ],
)
def test_resume_refuses_foreign_files(pictures, tmp_path, capsys, option, content):
    """One line, and the file stays as it is."""
    path = tmp_path / "mine"
    path.write_text(content, encoding="latin-1")
    assert fake_main(["--input", pictures, f"--{option}", path, "--resume"]) == 2
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert str(path) in errors
    assert path.read_text(encoding="latin-1") == content


@pytest.mark.parametrize("name", ["jsonl", "csv", "coco_results"])
@pytest.mark.parametrize("change", ["gone", "before"])
def test_resume_refuses_results_of_other_pictures(tmp_path, capsys, name, change):
    """A number would stand for two pictures."""
    write_pictures(tmp_path / "in", ["b.png", "c.png"])
    (tmp_path / "in" / "b.png").write_bytes((tmp_path / "in" / "c.png").read_bytes())  # with a person
    assert fake_main(arguments(tmp_path / "in", tmp_path / "r", [name])) == 0
    before = (tmp_path / "r" / OUTPUTS[name]).read_bytes()
    (tmp_path / "in" / "b.png").rename(tmp_path / "in" / ("d.png" if change == "gone" else "a.png"))
    if change == "before":
        write_pictures(tmp_path / "in", ["b.png"])
    assert fake_main([*arguments(tmp_path / "in", tmp_path / "r", [name]), "--resume"]) == 2
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert ("b.png, which is not among the pictures now" if change == "gone" else "numbers have changed since") in errors
    assert (tmp_path / "r" / OUTPUTS[name]).read_bytes() == before


def test_results_of_other_options_are_not_continued(tmp_path):
    write_pictures(tmp_path / "in", ["0.png"])
    assert fake_main(arguments(tmp_path / "in", tmp_path, ["csv"])) == 0
    with pytest.raises(InputError, match="same options"):
        Table(tmp_path / "r.csv", resume=True, parts=("face",))


@pytest.mark.parametrize("name", ["jsonl", "csv", "coco_results"])
def test_what_is_refused_stays_as_it_is(pictures, tmp_path, name, capsys):
    """Results that were cut off are mended, unless they, or those of another option, are refused."""
    assert fake_main(arguments(pictures, tmp_path / "r", [name, "jsonl"])) == 0
    for file in {tmp_path / "r" / OUTPUTS[each] for each in (name, "jsonl")}:
        file.write_bytes(file.read_bytes()[:-40])
    (pictures / "04.png").unlink()
    before = {path: path.read_bytes() for path in (tmp_path / "r").iterdir()}
    assert fake_main([*arguments(pictures, tmp_path / "r", [name, "jsonl"]), "--resume"]) == 2
    assert "04.png, which is not among the pictures now" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in (tmp_path / "r").iterdir()} == before


def test_ctrl_c_divides_no_frame(pictures, tmp_path, monkeypatch, capsys):
    """It comes while the third frame is written to the first of two files: the second one gets it as well, and it is counted."""
    write = JsonLines.write

    def interrupted(self, frame, *arguments):
        write(self, frame, *arguments)
        if frame.number == 2:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(JsonLines, "write", interrupted)
    assert fake_main(arguments(pictures, tmp_path / "r", ["jsonl", "openpose_json"])) == 130
    results = read_results(tmp_path / "r")
    assert len(results["jsonl"]) == len(results["op"]) == 3
    assert capsys.readouterr().out.startswith("3 pictures")


# Whole at any moment


def test_growing_file(tmp_path):
    """After each piece the file is the pieces; an older, longer file leaves nothing behind."""
    path = tmp_path / "r"
    path.write_bytes(b"old" * 1000)
    file, text = GrowingFile(path, b"begin"), b"begin"
    assert path.read_bytes() == b"old" * 1000  # nothing is changed before
    file.open()
    for piece in (b"a", b"", b"bcd" * 500, b"e"):
        assert path.read_bytes() == text
        file.add(piece)
        text += piece
    assert path.read_bytes() == text
    file.close()


@pytest.mark.parametrize("room", [0, 1, 5, 9])
def test_full_disk_leaves_what_was_finished(tmp_path, monkeypatch, room):
    """os.write stands for a disk with `room` bytes left, that takes part of a piece before it says so."""
    path = tmp_path / "r"
    file = GrowingFile(path, b"begin,")
    file.add(b"first,")
    write, left = os.write, [room]

    def short_of_room(handle, data):
        if not left[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        n_written = write(handle, data[: left[0]])
        left[0] -= n_written
        return n_written

    monkeypatch.setattr(os, "write", short_of_room)
    with pytest.raises(InputError, match="No space left") as error:
        file.add(b"a second piece that is long,")
    assert "--resume" in str(error.value)
    assert path.read_bytes() == b"begin,first,"
    monkeypatch.undo()
    file.add(b"third")
    assert path.read_bytes() == b"begin,first,third"


@pytest.mark.parametrize("name", ["jsonl", "csv", "coco_results"])
def test_killed_in_the_middle_of_a_write(pictures, tmp_path, name):
    """Every second write to a file is cut in half by kill -9: COCO's list is JSON all the same, and --resume ends with what one run gives."""
    assert fake_main(arguments(pictures, tmp_path / "whole", [name])) == 0
    cut = """import os, random; write = os.write
def half(file, data):
    if len(data) > 20 and file > 2 and half.rng.random() < 0.2:
        write(file, data[:len(data) // 2]); os.kill(os.getpid(), 9)
    return write(file, data)
half.rng = random.Random({}); os.write = half"""
    folder = tmp_path / "r"
    for seed in range(3):
        process = start_fake(*arguments(pictures, folder, [name]), "--resume", seconds=0, before=f"exec({cut.format(seed)!r})")
        process.communicate(timeout=PATIENCE)
        assert process.returncode in (0, -9)
        if name == "coco_results" and (folder / "r.json").exists():
            json.loads((folder / "r.json").read_text())
    assert fake_main([*arguments(pictures, folder, [name]), "--resume"]) == 0
    assert read_results(folder) == read_results(tmp_path / "whole")


def test_coco_results_cut_anywhere_are_mended(tmp_path):
    """At the last whole frame; what is lost is done again, and nothing is twice there or half."""
    frames = [Frame(i, f"{i}.png", f"{i}", None, None) for i in range(4)]

    def write(sink):
        for frame in frames:
            if not sink.has(frame):
                sink.write(frame, [fake_person(frame.number, i) for i in range(frame.number % 3)], None)
        sink.close()

    path = tmp_path / "r"
    write(CocoResults(path))
    whole = path.read_bytes()
    for cut in range(1, len(whole), 13):
        path.write_bytes(whole[:cut])
        write(CocoResults(path, resume=True))
        assert sorted(path.read_text().replace(",\n", "\n").splitlines()) == sorted(whole.decode().replace(",\n", "\n").splitlines())


def test_a_table_cut_anywhere_is_mended(tmp_path):
    """A frame of two people of whom one is cut off is done again."""
    frames, path = [Frame(i, f"{i}.png", f"{i}", None, None) for i in range(4)], tmp_path / "r"

    def write(sink):
        for frame in frames:
            if not sink.has(frame):
                sink.write(frame, [fake_person(frame.number, i) for i in range(frame.number % 3)], None)
        sink.close()

    write(Table(path, parts=()))
    whole = path.read_bytes()
    line_ends = {i + 1 for i, byte in enumerate(whole) if byte == 10}  # cut there, nobody can tell
    for cut in range(1, len(whole), 7):
        if cut not in line_ends:
            path.write_bytes(whole[:cut])
            write(Table(path, resume=True, parts=()))
            assert sorted(path.read_bytes().splitlines()) == sorted(whole.splitlines())


@pytest.mark.skipif(os.name == "nt", reason="needs limits on the size of files")
@pytest.mark.parametrize("name", ["jsonl", "csv", "coco_results"])
def test_full_disk_behind_the_options(pictures, tmp_path, name):
    """A limit on the size of files: one line that names the file, status 2, whole results; with room again --resume ends the work."""
    limit = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))"
    folder = tmp_path / "r"
    process = start_fake(*arguments(pictures, folder, [name]), seconds=0, before=limit)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert errors.count("\n") == 1
    assert OUTPUTS[name] in errors
    (found,) = read_results(folder).values()
    assert 1 < len(found) < 20
    assert fake_main([*arguments(pictures, folder, [name]), "--resume"]) == 0
    assert fake_main(arguments(pictures, tmp_path / "whole", [name])) == 0
    assert read_results(folder) == read_results(tmp_path / "whole")


@pytest.mark.parametrize("sink", [JsonLines, CocoResults, lambda path: Table(path, parts=())])
def test_unwritable_file_is_one_line(tmp_path, sink):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        sink(tmp_path / "file" / "r").open()


# Folders


def test_folders_in_folders(tmp_path):
    """--out keeps the folders of -r and the formats of the pictures."""
    write_pictures(tmp_path / "in", ["a.jpg", "x/a.bmp", "x/y.z/b.c.png"])
    assert fake_main(["--input", tmp_path / "in", "-r", "--out", tmp_path / "o", "--openpose_json", tmp_path / "p"]) == 0
    files = {str(path.relative_to(tmp_path / "o")) for path in (tmp_path / "o").rglob("*") if path.is_file()}
    assert files == {"a.jpg", "x/a.bmp", "x/y.z/b.c.png"}
    files = {str(path.relative_to(tmp_path / "p")) for path in (tmp_path / "p").rglob("*") if path.is_file()}
    assert files == {"a_keypoints.json", "x/a_keypoints.json", "x/y.z/b.c_keypoints.json"}


def test_a_folder_whose_name_is_a_file(tmp_path):
    (tmp_path / "f").write_text("")
    frame = Frame(0, "x.png", "f/x", None, picture(1))
    for sink in (PictureFolder(tmp_path), OpenPoseFolder(tmp_path)):
        with pytest.raises(InputError, match="cannot be made"):
            sink.write(frame, [fake_person(1, 0)], picture(1))


def test_live_video_keeps_time(tmp_path):
    """Frames that were dropped are filled: the video is as long as life."""
    sink = VideoSink(tmp_path / "v.mp4", 10, live=True)
    for seconds in (0, 0.1, 0.5, 0.52, 1.0):
        sink.write(Frame(0, "0", "x", seconds, None), [], picture(3))
    sink.close()
    assert cv2.VideoCapture(str(tmp_path / "v.mp4")).get(cv2.CAP_PROP_FRAME_COUNT) == 11
