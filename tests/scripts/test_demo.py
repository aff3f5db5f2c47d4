"""demo.py: whole people with seeded networks for faces and hands; what is looked for, what is left out and why; every kind of result."""

import csv
import json

import cv2
import numpy as np
import pytest
from conftest import ROOT, run_script, seeded_weights
from people import person

import demo
from demo import WholeBodyDetector, part_boxes
from engines import open_net
from entity import N_FACE_POINTS, N_HAND_POINTS, Joint
from face_detector import FaceDetector
from hand_detector import HandDetector
from keypoints.image import crop
from keypoints.paf import People
from keypoints.person import face_box, hand_boxes, unit_length
from keypoints.whole import PARTS
from models import ARCHS, shapes_of
from models.weights import write_weights

PORTRAIT = ROOT / "data" / "astronaut.png"
SCENE = ROOT / "data" / "people.png"
N_POINTS = {"face": N_FACE_POINTS, "left_hand": N_HAND_POINTS, "right_hand": N_HAND_POINTS}
ALL = dict.fromkeys(PARTS, 24)  # smallest sides


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Options that name seeded weights."""
    folder = tmp_path_factory.mktemp("weights")
    for arch in ("facenet", "handnet"):
        write_weights(folder / f"{arch}.npz", seeded_weights(shapes_of(arch)))
    return ["--face_weights", str(folder / "facenet.npz"), "--hand_weights", str(folder / "handnet.npz")]


class FakePose:
    """Finds the given people in every picture."""

    name = "fake"
    compile_seconds = 0.0

    def __init__(self, poses):
        self.poses, self.seconds = np.array(poses), {"network": 0.0, "decode": 0.0}

    def detect(self, image):
        return People(self.poses, np.ones(len(self.poses)), np.where(self.poses[..., 2] > 0, 0.5, 0))

    def stream(self, images, ahead=iter):
        for image in images:
            yield image, self.detect(image)


class FakePart:
    """Its points are the mean colours of the crop; it counts the batches."""

    compile_seconds = 0.0

    def is_there(self, keypoints):
        return True

    def __init__(self, n_points):
        self.n_points, self.batches, self.hands, self.seconds = n_points, [], [], {"network": 0.0, "decode": 0.0}

    def detect_batch(self, crops, hands=None):
        self.batches.append([each.shape[:2] for each in crops])
        self.hands += hands or []
        return [np.column_stack([np.arange(self.n_points), np.arange(self.n_points), np.full(self.n_points, each.mean())]) for each in crops]


def fake_detector(poses, **options):
    return WholeBodyDetector(FakePose(poses), FakePart(N_FACE_POINTS), FakePart(N_HAND_POINTS), **options)


NOISE = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)


# Gates


def test_boxes_are_those_of_person():
    """Of a complete person all three, as keypoints/person.py gives them."""
    pose = person(200, 120, 30)
    boxes, skipped = part_boxes(pose, ALL)
    unit = unit_length(pose)
    hands = hand_boxes(pose, unit)
    assert boxes == {"face": face_box(pose, unit), "left_hand": hands["left"], "right_hand": hands["right"]}
    assert skipped == {}


@pytest.mark.parametrize(
    ("joint", "part", "why"), [(Joint.Nose, "face", "nose"), (Joint.LeftHand, "left_hand", "wrist"), (Joint.RightHand, "right_hand", "wrist")]
)
def test_parts_without_their_joint_are_left_out(joint, part, why):
    pose = person(200, 120, 30)
    pose[joint] = 0
    boxes, skipped = part_boxes(pose, ALL)
    assert set(boxes) == set(PARTS) - {part}
    assert skipped == {part: f"the {why} was not found"}


def test_small_parts_are_left_out():
    """The limit is the side of the box, and it is reached."""
    pose = person(200, 120, 30)
    side = {name: box[2] - box[0] for name, box in part_boxes(pose, ALL)[0].items()}
    assert len(part_boxes(pose, side)[0]) == 3
    boxes, skipped = part_boxes(pose, {name: least + 1 for name, least in side.items()})
    assert boxes == {}
    assert skipped["face"] == f"{side['face']} pixels are less than --min_face {side['face'] + 1}"
    assert "--min_hand" in skipped["left_hand"]


def test_nobody_has_no_parts():
    assert part_boxes(np.zeros((18, 3)), ALL)[0] == {}


def test_most_takes_the_largest():
    detector = fake_detector([person(100, 100, head) for head in (20, 30, 25)], most=2)
    persons = detector.detect(NOISE)
    assert ["face" in each.parts for each in persons] == [False, True, True]
    assert "2 larger ones" in persons[0].skipped["face"]
    assert sum(name in each.parts for each in persons for name in PARTS[1:]) == 2
    assert {name for name in PARTS[1:] if name in persons[1].parts} == set(PARTS[1:])


def test_crops_of_all_people_go_together():
    """One batch of faces and one of hands, each hand with its side; the points come back where the crops were."""
    detector = fake_detector([person(80 + 100 * i, 90, 30) for i in range(3)])
    persons = detector.detect(NOISE)
    assert [len(batch) for batch in detector.face.batches] == [3]
    assert [len(batch) for batch in detector.hand.batches] == [6]
    assert sorted(detector.hand.hands) == ["left"] * 3 + ["right"] * 3
    for each in persons:
        for part in each.parts.values():
            np.testing.assert_array_equal(part.keypoints[:5, :2], np.arange(5)[:, None] + part.box[:2])
            assert part.keypoints[0, 2] == pytest.approx(crop(NOISE, part.box).mean())


@pytest.mark.parametrize("x", [-10, 0, 395, 420])
@pytest.mark.parametrize("y", [-5, 150, 310])
def test_boxes_at_and_beyond_the_border(x, y):
    """Crops have the box's size wherever it is, black outside; negative places come back as they are."""
    detector = fake_detector([person(x, y, 30)])
    (each,) = detector.detect(NOISE)
    assert each.parts["face"].box == face_box(each.pose, unit_length(each.pose))
    left, top, right, bottom = each.parts["face"].box
    assert detector.face.batches == [[(bottom - top, right - left)]]
    assert tuple(each.parts["face"].keypoints[0, :2]) == (left, top)
    assert detector.draw(NOISE, [each]).shape == NOISE.shape


def test_nobody_and_nothing_asked_for():
    assert fake_detector(np.zeros((0, 18, 3))).detect(NOISE) == []
    detector = WholeBodyDetector(FakePose([person(200, 100, 30)]))
    (each,) = detector.detect(NOISE)
    assert (each.parts, each.skipped, detector.parts) == ({}, {}, ())
    assert detector.describe([each]) == "1 person"


def test_stream_gives_what_detect_gives():
    detector = fake_detector([person(200, 100, 30)])
    for image, persons in detector.stream(iter([NOISE, NOISE[:200]])):
        (one,), (other,) = persons, detector.detect(image)
        np.testing.assert_array_equal(one.parts["face"].keypoints, other.parts["face"].keypoints)


# The networks themselves


def test_batch_is_one_by_one(weights, tmp_path):
    """A left and a right hand in one batch: each as alone, and the left one as the mirror image of the right one."""
    hand = HandDetector(open_net("handnet", weights[3], cache_dir=tmp_path), threshold=0.0)
    image = cv2.imread(str(PORTRAIT))[380:500, 60:200]
    left, right = hand.detect_batch([image, image[:, ::-1]], ["left", "right"])
    np.testing.assert_allclose(right, hand(image[:, ::-1], "right"), atol=0.05)
    np.testing.assert_allclose(left, right * (-1, 1, 1) + (image.shape[1] - 1, 0, 0), atol=0.05)
    assert np.isfinite(left).any()


def test_faces_in_a_batch(weights, tmp_path):
    face = FaceDetector(open_net("facenet", weights[1], cache_dir=tmp_path), threshold=0.0)
    image = cv2.imread(str(PORTRAIT))
    crops = [image[40:200, 140:300], image[60:180, 150:330]]
    np.testing.assert_allclose(face.detect_batch(crops)[1], face(crops[1]), atol=0.05)


# The script


@pytest.fixture(scope="module")
def portrait(tmp_path_factory, weights):
    """One run on a portrait: (printed, folder of results)."""
    folder = tmp_path_factory.mktemp("demo")
    results = [word for name in ("json", "jsonl", "csv", "coco_results") for word in (f"--{name}", folder / f"r.{name}")]
    options = ["lightposenet", "--img", PORTRAIT, *weights, "--out", folder / "r.png", *results, "--openpose_json", folder / "op", "-v"]
    process = run_script("demo.py", *options)
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    return process.stdout, folder


def astronaut(folder):
    """The best of the people found: the small network may see another one in the flag."""
    return max(json.loads((folder / "r.json").read_text())["people"], key=lambda each: each["score"])


def test_portrait(portrait):
    """Face and hands where the pose says; all files agree."""
    printed, folder = portrait
    document = json.loads((folder / "r.json").read_text())
    each = astronaut(folder)
    assert document["arch"] == "lightposenet"
    n_people, n_faces = len(document["people"]), sum("face" in found for found in document["people"])
    assert printed.startswith(f"{n_people} {'people' if n_people > 1 else 'person'}, {n_faces} face")
    left, top, right, bottom = each["face"]["box"]
    assert left < 223 < right  # the nose
    assert top < 110 < bottom
    for name in PARTS:
        if name in each:
            assert len(each[name]["keypoints"]) == N_POINTS[name]
    place = document["people"].index(each)
    entry = json.loads((folder / "op" / "astronaut_keypoints.json").read_text())["people"][place]
    assert len(entry["face_keypoints_2d"]) == 210
    row = list(csv.DictReader((folder / "r.csv").open()))[place]
    found = [point for point in each["face"]["keypoints"] if point]
    assert found
    assert float(row["score"]) == each["score"]
    assert [row[f"face_{i}_x"] != "" for i in range(70)] == [point is not None for point in each["face"]["keypoints"]]
    assert (cv2.imread(str(folder / "r.png")) != cv2.imread(str(PORTRAIT))).any()
    assert json.loads((folder / "r.jsonl").read_text())["people"] == document["people"]


def test_verbose_says_what_was_skipped(portrait):
    """A line for each part that has no points, and none for the others."""
    printed, folder = portrait
    people = json.loads((folder / "r.json").read_text())["people"]
    for i, each in enumerate(people):
        lines = [line.split(": ") for line in printed.splitlines()[1:] if line.startswith(f"person {i}: ")]
        assert {words[1].removesuffix(" skipped").replace(" ", "_") for words in lines} == set(PARTS) - set(each)
        assert all(words[2] for words in lines)


@pytest.fixture
def nothing_downloaded(monkeypatch):
    """As in a fresh clone: OpenPose's weights are not in models/."""
    for name, row in ARCHS.items():
        monkeypatch.setitem(ARCHS, name, row._replace(fetched=None))


@pytest.mark.parametrize("engine", ["openvino", "chainer"])
def test_networks_that_ship(tmp_path, engine, capsys, nothing_downloaded):
    """Whole people without any download, and without a word about it; --no_faces and --no_hands leave these out."""
    arguments = ["--img", str(SCENE), "--out", str(tmp_path / "r.png"), "--json", str(tmp_path / "r.json"), "--engine", engine]
    assert demo.main(arguments) == 0
    assert capsys.readouterr().err == ""
    document = json.loads((tmp_path / "r.json").read_text())
    assert document["arch"] == "lightposenet"
    faces = [each["face"]["keypoints"] for each in document["people"] if "face" in each]
    assert len(faces) >= 3
    for points in faces:
        assert sum(point is not None for point in points) > 60
        left, right = np.mean([points[i][:2] for i in range(36, 42)], 0), np.mean([points[i][:2] for i in range(42, 48)], 0)
        nose, chin = points[30], points[8]
        assert left[0] < nose[0] < right[0]
        assert max(left[1], right[1]) < nose[1] < chin[1]
    people = document["people"]
    assert demo.main([*arguments, "--no_faces", "--no_hands"]) == 0
    assert capsys.readouterr().err == ""
    without = json.loads((tmp_path / "r.json").read_text())["people"]
    assert not any(name in each for each in without for name in PARTS)
    assert [each["keypoints"] for each in without] == [each["keypoints"] for each in people]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--face_weights", "gone.npz"], ["gone.npz", "no such file"]),
        (["--no_faces", "--face_weights", "x.npz"], ["--no_faces", "--face_weights"]),
        (["--min_face", "0"], ["--min_face"]),
        (["--most", "x"], ["--most"]),
    ],
)
def test_bad_options_are_one_line(tmp_path, options, words, capsys):
    arguments = ["lightposenet", "--img", str(SCENE), "--out", str(tmp_path / "r.png"), "--no_hands", *options]
    try:
        status = demo.main(arguments)
    except SystemExit as end:
        status = end.code
    printed = capsys.readouterr()
    assert (status, printed.out, printed.err.count("\n")) == (2, "", 1)
    for word in words:
        assert word in printed.err
    assert list(tmp_path.iterdir()) == []
