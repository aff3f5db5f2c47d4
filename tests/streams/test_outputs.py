"""streams/outputs.py and pipeline.py behind the scripts' options: bad input is one line, good runs say what they did."""

import json
import os
import re

import cv2
import numpy as np
import pytest
from conftest import assert_refused, run_script
from videos import FakeDetector, fake_camera_main, fake_main, write_pictures, write_video

import face_detector
import pose_detector
import pose_detectorIE
from keypoints.whole import WholePerson


class Never:
    """A detector that is not to be reached."""

    def __getattr__(self, name):
        raise AssertionError("the work began")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """The current folder with some input."""
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "in", ["a.png", "b.png"])
    write_pictures(tmp_path / "other", ["a.png"])
    write_video(tmp_path / "v.mp4")
    (tmp_path / "empty").mkdir()
    (tmp_path / "binary.txt").write_bytes(bytes(range(128, 256)))
    (tmp_path / "file").write_text("a file")
    return tmp_path


def tree(folder):
    return {str(path): path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}


def refuse(main, place, capsys, line, *words, **options):
    """One line on stderr with the words, nothing on stdout, status 2, nothing written."""
    before = tree(place)
    try:
        status = main(line.split(), **options)
    except SystemExit as end:  # of argparse
        status = end.code
    printed = capsys.readouterr()
    assert (status, printed.out) == (2, "")
    assert printed.err.count("\n") == 1
    for word in words:
        assert word in printed.err
    assert tree(place) == before


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", ["--img", "--input"]),
        ("--img in/a.png --input in", ["not allowed"]),
        ("--input in", ["nothing would be written", "--out", "--jsonl"]),
        ("--input v.mp4", ["nothing would be written"]),
        ("--input in/a.png", ["nothing would be written"]),
        ("--input gone.mp4", ["gone.mp4", "no such file"]),
        ("--input file", ["file", "expected", "something else"]),
        ("--input in gone", ["gone", "no such file"]),
        ("--input in --no_draw", ["nothing would be written", "--no_draw", "--json"]),
        ("--input in/a.png in/b.png --out r.png", ["r.png", "one picture cannot hold many"]),
        ("--input v.mp4 --out r.png", ["one picture cannot hold many"]),
        ("--input in --json r.json", ["--json", "--jsonl"]),
        ("--input in --out r --codec mp4v", ["--codec"]),
        ("--input in --jsonl r --openpose_model BODY_25", ["--openpose_model BODY_25 is for --openpose_json"]),
        ("--input in --jsonl r --codec mp4v", ["--codec"]),
        ("--input in --out r.mp4 --codec mp4", ["four letters"]),
        ("--input in --out r.gif", ["r.gif", ".mp4", ".png"]),
        ("--input in --out file/r.mp4", ["file", "no folder"]),
        ("--input in --jsonl file/gone/r", ["file is a file"]),
        ("--input in --csv empty", ["empty", "folder"]),
        ("--input in --openpose_json file", ["file", "folder"]),
        ("--input in --out file/x/", ["file/x"]),
        ("--input in --jsonl r --csv r", ["r", "in use"]),
        ("--input in --jsonl r --csv ./empty/../r", ["in use"]),
        ("--input in --out r --openpose_json r --jsonl r", ["in use"]),
        ("--input in --jsonl in/a.png", ["in/a.png", "in use"]),
        ("--input v.mp4 --out v.mp4", ["v.mp4", "in use"]),
        ("--input v.mp4 --jsonl v.mp4", ["in use"]),
        ("--input in --out in", ["--out in", "overwrite"]),
        ("--input in --out in/../in", ["overwrite"]),
        ("--input empty/../in/a.png in/b.png --out in", ["overwrite"]),
        ("--input other/a.png in/b.png --out in", ["overwrite"]),
        ("--input in/a.png --out in/", ["overwrite"]),
        ("--input in/*.png --out in", ["overwrite"]),
        ("--input in --out r.mp4 --resume", ["--resume", "video"]),
        ("--input in --jsonl r --track --resume", ["--resume", "--track"]),
        ("--input in --jsonl r --smooth --resume", ["--resume", "--smooth"]),
        ("--input 0 --jsonl r --resume", ["--resume", "camera"]),
        ("--img in/a.png --track", ["--track", "one picture"]),
        ("--img in/a.png --smooth", ["--smooth"]),
        ("--img in/a.png --resume", ["--resume"]),
        ("--img in/a.png -r", ["--recursive"]),
        ("--img in/a.png --out r.mp4", ["r.mp4"]),
        ("--img in", ["in", "folder"]),
        ("--img v.mp4", ["v.mp4"]),
        ("--input empty --jsonl r", ["empty", "no pictures"]),
        ("--input empty/*.png --jsonl r", ["no pictures"]),
        ("--input binary.txt --jsonl r", ["binary.txt", "list"]),
        ("--input gone --jsonl r", ["gone", "no such"]),
        ("--input file --jsonl r", ["file", "video"]),
        ("--input in/a.png v.mp4 --jsonl r", ["v.mp4", "a video among 2"]),
        ("--input rtsp:// --jsonl r", ["rtsp://", "URL"]),
        ("--input 99 --jsonl r", ["camera 99", "plug it in"]),
    ],
)
def test_bad_input_is_one_line(place, capsys, line, words):
    refuse(fake_main, place, capsys, line, *words, detector=Never())


@pytest.mark.parametrize("name", [" ", "\\", "x" * 300, "x" * 300 + ".mp4"])
@pytest.mark.parametrize("option", ["out", "jsonl", "openpose_json"])
def test_impossible_names_are_one_line(place, capsys, option, name):
    """Or they work: a blank is a name."""
    status = fake_main(["--input", "in", f"--{option}", name])
    errors = capsys.readouterr().err
    assert (status, errors.count("\n")) in ((0, 0), (2, 1))


@pytest.mark.parametrize("line", ["--input \udcff.mp4 --jsonl r", "--input \udcff --jsonl r", "--input v.mp4 --out \udcff.mp4"])
def test_names_that_are_no_utf_8(place, capsys, line):
    """OpenCV would end the process."""
    for name in ("\udcff.mp4", "\udcff") if "--input \udcff" in line else ():
        (place / name).write_bytes((place / "v.mp4").read_bytes())
    refuse(fake_main, place, capsys, line, "UTF-8")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root writes everywhere")
@pytest.mark.parametrize("line", ["--out locked/r", "--out locked/r.mp4", "--jsonl locked/r", "--openpose_json locked/r"])
def test_unwritable_places_are_one_line(place, capsys, line):
    (place / "locked").mkdir(mode=0o500)
    refuse(fake_main, place, capsys, f"--input in {line}", "locked")


@pytest.mark.parametrize("option", ["--out", "--jsonl"])
@pytest.mark.parametrize("name", ["v.mp4", "./empty/../v.mp4"])
def test_a_video_played_as_a_camera_is_not_overwritten(place, capsys, option, name):
    refuse(fake_camera_main, place, capsys, f"--input v.mp4 {option} {name}", "v.mp4", "in use", detector=Never())


def test_what_is_not_named_is_not_overwritten_either(place, capsys):
    """The list itself, weights that are taken without being named, files behind other names, files that will be in a folder."""
    (place / "list.txt").write_text("in/a.png\n")
    (place / "hard.jsonl").hardlink_to(place / "in" / "a.png")
    (place / "one.jsonl").write_text("")
    (place / "two.csv").hardlink_to(place / "one.jsonl")
    (place / "circle").symlink_to("circle")
    for line, *words in (
        ("--input list.txt --jsonl list.txt", "list.txt", "in use"),
        ("--input in --jsonl hard.jsonl", "hard.jsonl", "in use"),
        ("--input in --jsonl one.jsonl --csv two.csv", "two.csv", "in use"),
        ("--input in --jsonl light_posenet.npz", "name of a picture, a video or weights"),
        ("--input in --out r --jsonl r.jpg", "name of a picture, a video or weights"),
        ("--img in/a.png --csv r.mp4", "name of a picture, a video or weights"),
        ("--input in --openpose_json empty --jsonl empty/a_keypoints.json", "--openpose_json writes files of such names"),
        ("--input in --out circle", "circle"),
        ("--input circle --out r", "circle"),
        ("--input 99999999999999999999 --jsonl r", "99999999999999999999"),
    ):
        refuse(fake_main, place, capsys, line, *words, detector=Never())


def test_weights_are_not_overwritten(place, capsys):
    (place / "w.npz").write_bytes(b"weights")
    refuse(pose_detector.main, place, capsys, "lightposenet w.npz --input in --jsonl w.npz", "w.npz", "in use")
    (place / "n.xml").write_text("x")
    (place / "n.bin").write_text("x")
    refuse(pose_detectorIE.main, place, capsys, "posenet --xml n.xml --input in --csv n.bin", "n.bin", "in use")


@pytest.mark.parametrize("line", ["--input in --coco_results r", "--img in/a.png --coco_results r", "--input v.mp4 --jsonl r --track"])
def test_faces_have_no_poses(place, capsys, line):
    """face_detector.py does not know the options; pose_detectorIE.py says so when its network is none for poses."""
    refuse(face_detector.main, place, capsys, f"facenet {line}", "unrecognized")


def test_network_without_poses_and_options_for_poses(place, capsys):
    detector = FakeDetector()
    detector.has_pose = False
    refuse(fake_main, place, capsys, "--input v.mp4 --jsonl r --track", "--track", "poses", detector=detector)


@pytest.mark.parametrize("line", ["--input v.mp4 --resume --out r", "--input v.mp4 --json r", "--coco_results r"])
def test_cameras_have_no_such_options(place, capsys, line):
    refuse(fake_camera_main, place, capsys, line, "unrecognized", detector=Never())


def test_script_is_silent_but_for_its_line(tmp_path):
    """FFmpeg and OpenCV, which print by themselves, are kept from it."""
    (tmp_path / "v.mp4").write_text("no video at all" * 100)
    process = run_script("pose_detector.py", "lightposenet", "--input", tmp_path / "v.mp4", "--jsonl", tmp_path / "r")
    assert_refused(process, "v.mp4", "expected a video")
    assert not (tmp_path / "r").exists()


# Good runs


def test_one_picture_by_input(place, capsys):
    """--input with one picture is --img, but writes only what is named."""
    assert fake_main(["--input", "in/b.png", "--out", "r.png", "--json", "r.json"]) == 0
    assert cv2.imread("r.png").shape == (48, 64, 3)
    assert len(json.loads((place / "r.json").read_text())["people"]) == 1
    assert capsys.readouterr().out.startswith("1 people; r.png; network")
    assert not (place / "result.png").exists()


def test_unreadable_pictures_are_listed_at_the_end(place, capsys):
    """Status 1; each with its reason, the count last; the others are done."""
    (place / "in" / "aa.png").write_bytes(b"no picture")
    (place / "in" / "c.jpg").write_bytes(b"")
    assert fake_main(["--input", "in", "--jsonl", "r"]) == 1
    printed = capsys.readouterr()
    assert re.fullmatch(r"2 pictures, 1 person found; r; [\d.]+ s, [\d.]+ pictures per second, by fakenet\n", printed.out)
    first, second, last = printed.err.splitlines()
    assert "aa.png" in first
    assert "c.jpg" in second
    assert last == "fake.py: 2 of 4 pictures could not be read"
    assert [json.loads(line)["frame"] for line in (place / "r").read_text().splitlines()] == [0, 2]


def test_many_unreadable_pictures(place, capsys):
    for i in range(30):
        (place / "in" / f"{i}.png").write_bytes(b"")
    assert fake_main(["--input", "in", "--jsonl", "r"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 21
    assert lines[-1] == "fake.py: 30 of 32 pictures could not be read (10 more than listed)"


def test_only_unreadable_pictures(place, capsys):
    for name in ("a.png", "b.png"):
        (place / "in" / name).write_bytes(b"")
    assert fake_main(["--input", "in", "--jsonl", "r", "--out", "drawn.mp4"]) == 1
    assert "2 of 2 pictures" in capsys.readouterr().err
    assert not (place / "drawn.mp4").exists()


def test_video_that_ends_early(place, capsys):
    """What there was is done; status 1."""
    write_video(place / "long.avi", 20, (320, 240), codec="MJPG")
    data = (place / "long.avi").read_bytes()
    (place / "long.avi").write_bytes(data[: len(data) * 2 // 3])
    assert fake_main(["--input", "long.avi", "--out", "r.mp4"]) == 1
    printed = capsys.readouterr()
    n_frames = int(printed.out.split(" frames")[0])
    assert cv2.VideoCapture("r.mp4").get(cv2.CAP_PROP_FRAME_COUNT) == n_frames
    assert f"ends after {n_frames} of 20" in printed.err


def test_results_beside_their_pictures(place):
    """--out in the folder of --input, twice: results are no pictures to be worked on."""
    for _ in range(2):
        assert fake_main(["--input", "in", "-r", "--out", "in/results"]) == 0
    assert sorted(path.name for path in (place / "in").rglob("*.png")) == ["a.png", "a.png", "b.png", "b.png"]


def test_results_above_their_pictures(place):
    """--out may be the folder around that of --input."""
    assert fake_main(["--input", "in", "--out", "."]) == 0
    assert (place / "b.png").read_bytes() != (place / "in" / "b.png").read_bytes()


def test_numbers_are_in_the_files(place, capsys):
    """--track: ids, no smoothed values; --smooth: both."""
    images = [cv2.imread("in/b.png")] * 10
    write_video(place / "still.mp4", images=images)
    assert fake_main(["--input", "still.mp4", "--jsonl", "t", "--track"]) == 0
    assert "10 frames, 10 people found, 1 identities" in capsys.readouterr().out
    assert fake_main(["--input", "still.mp4", "--jsonl", "s", "--smooth"]) == 0
    tracked, smoothed = ([json.loads(line)["people"][0] for line in (place / name).read_text().splitlines()] for name in "ts")
    assert [each.get("id") for each in tracked] == [None] * 4 + [0] * 6
    assert not any("smoothed" in each for each in tracked)
    assert ["smoothed" in each for each in smoothed] == [False] * 4 + [True] * 6
    assert [each["keypoints"] for each in smoothed] == [each["keypoints"] for each in tracked]


def test_an_error_of_ours_keeps_what_was_done(place):
    """The detector fails at the sixth frame: its traceback, and five frames on the disk, video and all."""

    class Failing(FakeDetector):
        def detect(self, image):
            if self.n_seen == 5:
                raise ZeroDivisionError
            return super().detect(image)

    with pytest.raises(ZeroDivisionError):
        fake_main(["--input", "v.mp4", "--jsonl", "r", "--out", "r.mp4"], detector=Failing())
    assert (place / "r").read_text().count("\n") == 5
    assert cv2.VideoCapture("r.mp4").get(cv2.CAP_PROP_FRAME_COUNT) == 5


class OfLarge(FakeDetector):
    """One person, whose nose is in the middle of the picture that it is shown."""

    least_side = 200

    def __init__(self):
        super().__init__()
        self.sizes = []

    def detect(self, image) -> list:
        self.sizes.append((image.shape[1], image.shape[0]))
        pose = np.zeros((18, 3))
        pose[:3] = [((image.shape[1] - 1) / 2, (image.shape[0] - 1) / 2, 2), (0, 0, 2), (10, 10, 2)]
        return [WholePerson(pose, 0.9, np.where(pose[:, 2] > 0, 0.75, 0))]


@pytest.mark.parametrize("drawn", [False, True])
def test_large_photos_are_read_smaller_where_nothing_is_drawn(tmp_path, drawn):
    """Sizes and points are those of the photo all the same."""
    (tmp_path / "in").mkdir()
    cv2.imwrite(str(tmp_path / "in" / "1.jpg"), np.full((900, 1600, 3), 90, np.uint8))
    detector, lines = OfLarge(), tmp_path / "x.jsonl"
    assert fake_main(["--input", tmp_path / "in", "--jsonl", lines, *(["--out", tmp_path / "out"] if drawn else [])], detector=detector) == 0
    assert detector.sizes == [(1600, 900) if drawn else (400, 225)]
    record = json.loads(lines.read_text())
    assert (record["width"], record["height"]) == (1600, 900)
    assert record["people"][0]["keypoints"][:2] == [[799.5, 449.5, 0.75], [0.0 if drawn else 1.5, 0.0 if drawn else 1.5, 0.75]]
    assert record["people"][0]["keypoints"][3] is None
    if drawn:
        assert cv2.imread(str(tmp_path / "out" / "1.jpg")).shape == (900, 1600, 3)
