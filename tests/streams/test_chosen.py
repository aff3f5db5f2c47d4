"""Who counts and what is drawn: --threshold, --max_people, --no_draw, --labels, --background, --heatmaps; and the lines that are printed."""

import csv
import json
import re
import sys

import cv2
import numpy as np
import pytest
from videos import FakeDetector, fake_camera_main, fake_main, fake_person, write_pictures, write_video

from demo import WholeBodyDetector
from keypoints.draw import BACKGROUNDS, draw_heatmaps, draw_people, number_and_rank, number_of
from keypoints.whole import WholePerson, best_of
from pose_detector import PoseDetector

RANKS = [fake_person(2, i).rank for i in range(2)]  # of the people in picture 2; the second one ranks higher


@pytest.fixture
def place(tmp_path, monkeypatch, no_screen):
    """A folder with picture 2, in which FakeDetector sees two people, to work in."""
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path, ["0.png", "1.png", "2.png"])
    return tmp_path


def person(score, n_joints=18):
    pose = np.zeros((18, 3))
    pose[:n_joints] = 2
    return WholePerson(pose, score, pose[:, 2] / 2)


# Who counts


def test_best_of():
    """By rank, not by score: three joints that are sure do not outdo a whole person; nobody below the threshold; the highest first."""
    whole, part, poor = person(0.8), person(1.0, 3), person(0.3)
    assert best_of([part, whole, poor]) == [whole, part, poor]
    assert best_of([part, whole, poor], most=1) == [whole]
    assert best_of([part, whole, poor], threshold=0.7) == [whole]
    assert best_of([poor], threshold=poor.rank) == [poor]
    assert best_of([], 0.5, 2) == []


def test_threshold_and_most_are_of_all_files(place, capsys):
    """JSON, JSONL, CSV, COCO's results, OpenPose's and the count in the last line agree about who is left."""
    between = (RANKS[0] + RANKS[1]) / 2
    for name, options in (("t", ["--threshold", between]), ("m", ["--max_people", 1])):
        files = [
            "--json",
            f"{name}.json",
            "--jsonl",
            f"{name}.jsonl",
            "--csv",
            f"{name}.csv",
            "--coco_results",
            f"{name}.coco",
            "--openpose_json",
            name,
        ]
        assert fake_main(["--input", "2.png", *files, *options]) == 0
        assert capsys.readouterr().out.startswith("1 people; network")
        people = json.loads((place / f"{name}.json").read_text())["people"]
        assert [each["rank"] for each in people] == [pytest.approx(RANKS[1], abs=1e-4)]
        assert json.loads((place / f"{name}.jsonl").read_text())["people"] == people
        (row,) = csv.DictReader((place / f"{name}.csv").open())
        assert float(row["rank"]) == people[0]["rank"]
        assert len(json.loads((place / f"{name}.coco").read_text())) == 1
        assert len(json.loads((place / name / "2_keypoints.json").read_text())["people"]) == 1


def test_who_is_left_out_is_not_tracked(place, capsys):
    write_video(place / "v.mp4", images=[cv2.imread("2.png")] * 10)
    assert fake_main(["--input", "v.mp4", "--track", "--max_people", 1, "--jsonl", "v.jsonl"]) == 0
    assert "10 frames, 10 people found, 1 identities" in capsys.readouterr().out


@pytest.mark.parametrize("options", [("--threshold", "-1"), ("--threshold", "nan"), ("--max_people", "0"), ("--background", "green")])
def test_refused_values(place, options):
    with pytest.raises(SystemExit) as end:
        fake_main(["--input", "2.png", "--json", "r.json", *options])
    assert end.value.code == 2


# What is drawn


def test_no_draw(place):
    """--img without --out draws result.png; with --no_draw it does not."""
    assert fake_main(["--img", "2.png", "--json", "r.json", "--no_draw"]) == 0
    assert not (place / "result.png").exists()
    assert fake_main(["--img", "2.png", "--json", "r.json"]) == 0
    assert (place / "result.png").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--no_draw", "--out", "r.png"], ("--no_draw contradicts --out",)),
        (["--labels", "--json", "r.json"], ("--labels", "nothing would be", "--out")),
        (["--heatmaps", "--json", "r.json"], ("--heatmaps", "--out")),
        (["--background", "black", "--jsonl", "r"], ("--background", "--out")),
        (["--no_draw"], ("nothing would be written",)),
    ],
)
def test_contradictions_are_refused(place, capsys, options, words):
    assert fake_main(["--input", "2.png", *options]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    for word in words:
        assert word in error


def test_labels():
    """Number and rank, or what there is of them."""
    each = fake_person(2, 1)
    numbered = WholePerson(each.pose, each.score, each.confidences, number=7)
    assert (number_of(each), number_of(numbered)) == ("", "7")
    assert number_and_rank(each) == f"{each.rank:.2f}"
    assert number_and_rank(numbered) == f"7: {each.rank:.2f}"
    image = np.full((120, 160, 3), 90, np.uint8)
    without, labelled = draw_people(image, [each]), draw_people(image, [each], number_and_rank)
    changed = np.argwhere((without != labelled).any(-1))
    assert len(changed) > 20
    nobody = WholePerson(np.zeros((18, 3)), 0.5, np.zeros(18))
    np.testing.assert_array_equal(draw_people(image, [nobody], number_and_rank), image)


def test_labels_reach_the_picture(place):
    for name, options in (("a", []), ("b", ["--labels"])):
        assert fake_main(["--input", "2.png", "--out", f"{name}.png", *options]) == 0
    assert (cv2.imread("a.png") != cv2.imread("b.png")).any()


def test_backgrounds(place):
    """Black: nothing of the photo is left beside the people. Blurred: its brightness stays and its details go. The source is never changed."""
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 256, (300, 300, 3), dtype=np.uint8)
    kept = photo.copy()
    blurred = BACKGROUNDS["blurred"](photo)
    assert blurred.shape == photo.shape
    assert abs(float(blurred.mean()) - photo.mean()) < 2
    assert blurred.std() < photo.std() / 10
    assert BACKGROUNDS["blurred"](photo[:1, :1]).shape == (1, 1, 3)
    BACKGROUNDS["photo"](photo)[:] = 0
    np.testing.assert_array_equal(photo, kept)
    assert fake_main(["--input", "2.png", "--out", "r.png", "--background", "black"]) == 0
    drawn = cv2.imread("r.png")
    expected = draw_people(np.zeros_like(drawn), [fake_person(2, i) for i in range(2)])
    np.testing.assert_array_equal(drawn, expected)


# Heatmaps


class Net:
    """Answers one joint (the nose) in cell (x, y) of the maps; nobody is found."""

    name, compile_seconds = "net", 0.0

    def __init__(self, x, y):
        self.cell = y, x

    def __call__(self, x):
        n, _, height, width = x.shape
        heatmaps = np.zeros((n, 19, height // 8, width // 8), np.float32)
        heatmaps[:, 0][:, *self.cell] = 1
        return np.zeros((n, 38, height // 8, width // 8), np.float32), heatmaps

    def stream(self, items):
        for thing, x in items:
            yield thing, self(x)


def test_heatmaps_lie_where_the_network_saw_them():
    """A cell of a map of 16x8 cells, on a picture four times as large as the network's input."""
    image = np.zeros((256, 512, 3), np.uint8)
    detector = PoseDetector(Net(5, 2), short_side=64)
    detector.detect(image)
    lit = np.argwhere(draw_heatmaps(image, detector.heatmaps, detector.covered_wh).any(-1))
    np.testing.assert_array_equal((lit.min(0), lit.max(0)), ((64, 160), (95, 191)))


def test_heatmaps_of_several_scales_leave_the_padding_out():
    """The largest scale is padded to whole cells: 104 pixels are 13 cells, of which the 100 rows of the picture cover 12.5."""
    image = np.zeros((100, 200, 3), np.uint8)
    detector = PoseDetector(Net(0, 12), precise=True, scales=(1,), short_side=100)
    detector.detect(image)
    assert detector.heatmaps.shape[1:] == (13, 25)
    np.testing.assert_allclose(detector.covered_wh, (200, 104))
    lit = np.argwhere(draw_heatmaps(image, detector.heatmaps, detector.covered_wh).any(-1))
    np.testing.assert_array_equal((lit.min(0), lit.max(0)), ((96, 0), (99, 7)))


@pytest.mark.parametrize("better", [True, False])
def test_heatmaps_are_those_of_the_look_that_counts(monkeypatch, better):
    """A second look at half the size, where nobody was found: its maps if its people were kept, else the first one's."""
    values = iter((0, 1) if better else (1, 0))  # of the second look, then of the first
    monkeypatch.setattr("pose_detector.evidence", lambda people: -next(values))
    monkeypatch.setattr("pose_detector.is_doubtful", lambda poses, size_wh: True)
    detector = PoseDetector(Net(0, 0), short_side=64, again=True)
    detector.detect(np.zeros((64, 128, 3), np.uint8))
    assert detector.heatmaps.shape[1:] == ((4, 8) if better else (8, 16))
    np.testing.assert_allclose(detector.covered_wh, (128, 64))


@pytest.mark.parametrize("of", [lambda pose: pose, WholeBodyDetector], ids=["pose", "whole body"])
def test_heatmaps_are_those_of_each_picture(place, of):
    """In a folder too, where the network is ahead of what is drawn; below the people, and on any background."""

    class Ahead(Net):
        def __call__(self, x):
            self.cell = 0, round(float((x + 0.5).mean() * 255)) // 20
            return super().__call__(x)

        def stream(self, items):
            yield from [(thing, self(x)) for thing, x in items]

    for i in range(4):
        cv2.imwrite(str(place / f"{i}.png"), np.full((64, 128, 3), 20 * i + 3, np.uint8))
    names = [f"{i}.png" for i in range(4)]
    detector = of(PoseDetector(Ahead(0, 0), short_side=64))
    assert fake_main(["--input", *names, "--out", "out", "--heatmaps", "--background", "black"], detector=detector) == 0
    for i, name in enumerate(names):
        lit = np.argwhere(cv2.imread(str(place / "out" / name)).any(-1))
        assert (lit.min(0)[1], lit.max(0)[1]) == (8 * i, 8 * i + 7)


def test_heatmaps_need_poses(place, capsys):
    detector = FakeDetector()
    detector.has_pose = False
    assert fake_main(["--input", "2.png", "--out", "r.png", "--heatmaps"], detector=detector) == 2
    assert "--heatmaps is for poses" in capsys.readouterr().err


# What is printed


def test_a_line_for_each_picture(place, capsys):
    """-v: who was found and how long it took; then the whole time, the pace and the networks."""
    assert fake_main(["--input", "0.png", "1.png", "2.png", "--jsonl", "r", "-v"], seconds=0.02) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    times = [re.fullmatch(rf"{i}\.png: {i} people, (\d+) ms", line)[1] for i, line in enumerate(lines)]
    match = re.fullmatch(r"3 pictures, 3 people found; r; ([\d.]+) s, ([\d.]+) pictures per second, by fakenet", last)
    assert min(map(int, times)) >= 20
    assert float(match[1]) >= 0.1
    assert float(match[2]) <= 50


def test_lines_stand_in_the_bar_s_place(place, capsys, monkeypatch):
    """The bar comes after a second; with -v the lines say how far it is."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    write_video(place / "v.mp4", 3)
    assert fake_main(["--input", "v.mp4", "--jsonl", "r", "-v"], seconds=0.6) == 0
    assert capsys.readouterr().err == ""
    assert fake_main(["--input", "v.mp4", "--jsonl", "r"], seconds=0.6) == 0
    assert re.search("frame/s|s/frame", capsys.readouterr().err)


def test_a_line_for_each_frame(place, capsys):
    write_video(place / "v.mp4", 3)
    assert fake_main(["--input", "v.mp4", "--jsonl", "r", "-v"]) == 0
    assert re.fullmatch(r"(frame \d: \d people, \d+ ms\n){3}3 frames, 3 people found; r; .* frames per second, by fakenet\n", capsys.readouterr().out)


def test_a_camera_has_lines_too(place, capsys):
    write_video(place / "v.mp4", 3)
    assert fake_camera_main(["--input", "v.mp4", "--jsonl", "r", "-v", "--threshold", "0.1"]) == 0
    assert re.match(r"frame \d: \d people, \d+ ms\n", capsys.readouterr().out)


def test_one_picture_names_its_networks(place, capsys):
    """All of them, in the order in which they look."""

    class Two(FakeDetector):
        networks = ("onenet", "othernet")

    assert fake_main(["--input", "2.png", "--json", "r.json"], detector=Two()) == 0
    assert re.search(r"decode [\d.]+ s, by onenet, othernet; r.json\n", capsys.readouterr().out)


# An earlier run


def test_resume_with_the_columns_of_an_earlier_version(place, capsys):
    """The table is refused with what is wrong, and stays as it is."""
    assert fake_main(["--input", "0.png", "1.png", "--csv", "r.csv"]) == 0
    table = (place / "r.csv").read_text()
    old = table.replace("nose_", "Nose_").replace("right_hip_", "RightWaist_").replace(",rank", "")
    (place / "r.csv").write_text(old)
    capsys.readouterr()
    assert fake_main(["--input", "0.png", "1.png", "--csv", "r.csv", "--resume"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    for word in ("--csv r.csv", "earlier version", "RightWaist_x", "right_hip_x", "--resume"):
        assert word in error
    assert (place / "r.csv").read_text() == old
