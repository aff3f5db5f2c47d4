"""streams/formats.py through the scripts' options: each kind of result file is read back, with another program where there is one."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from people import person
from videos import fake_main, fake_person, picture, write_pictures, write_video

from entity import COCO_JOINTS, Joint
from keypoints.paf import People
from keypoints.whole import Part, WholePerson, person_of_part, persons_of
from streams.formats import OPENPOSE_PARTS, csv_columns, person_to_json, to_coco, to_csv, to_json_line, to_openpose
from streams.frames import Frame

FRAME = Frame(7, "in/v.mp4", "v_000000000007", 0.28, picture(0))
FOUND = [joint for joint in Joint if joint != Joint.RightFoot]  # of a fake person


def whole_person():
    """Everything there is: a number, smoothed joints of which one is missing, a face with gaps, a right hand."""
    rng = np.random.default_rng(0)
    pose = person(100.12345, 60, 18)
    pose[[Joint.LeftHand, Joint.LeftEar]] = 0
    smoothed = np.where(pose[:, 2:] > 0, pose[:, :2] + 0.25, np.nan)
    face, hand = rng.uniform(0, 100, (70, 3)), rng.uniform(0, 100, (21, 3))
    face[[0, 68]] = np.nan
    parts = {"face": Part((-5, 3, 40, 48), face), "right_hand": Part((90, 90, 130, 130), hand)}
    return WholePerson(pose, 1.23456, np.where(pose[:, 2] > 0, 0.87654, 0), parts, {"left_hand": "the wrist was not found"}, 3, smoothed)


def bare_person():
    return replace(fake_person(2, 0), score=0.5)


def assert_points(found, expected, missing=None):
    """found: per point [x, y, confidence] or `missing`. expected (n, 3), NaN where missing."""
    for point, (x, y, confidence) in zip(found, expected, strict=True):
        if np.isnan(x):
            assert point == missing
        else:
            np.testing.assert_allclose(point, (x, y, confidence), rtol=0, atol=0.0005001)


# JSON


def test_json_line():
    """Strict JSON, one line, everything in it; raw values beside smoothed ones; null where a point is missing."""
    whole = whole_person()
    line = to_json_line(FRAME, [whole, bare_person()])
    assert line.endswith("}\n")
    assert line.count("\n") == 1
    document = json.loads(line, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert {key: document[key] for key in document if key != "people"} == {
        "frame": 7,
        "image": "in/v.mp4",
        "seconds": 0.28,
        "width": 64,
        "height": 48,
    }
    first, second = document["people"]
    assert (first["id"], first["score"], first["rank"]) == (3, 1.2346, round(1.23456 * (16 / 18) ** 0.25, 4))
    assert_points(first["keypoints"], whole.keypoints)
    assert first["keypoints"][Joint.LeftHand] is None
    assert first["smoothed"][Joint.LeftHand] is None
    np.testing.assert_allclose(first["smoothed"][0], np.array(first["keypoints"][0][:2]) + 0.25, atol=0.0011)
    assert first["face"]["box"] == [-5, 3, 40, 48]
    assert_points(first["face"]["keypoints"], whole.parts["face"].keypoints)
    assert_points(first["right_hand"]["keypoints"], whole.parts["right_hand"].keypoints)
    assert "left_hand" not in first
    assert second.keys() == {"score", "rank", "box", "keypoints"}


def test_box_is_around_all_that_was_found():
    whole = whole_person()
    points = np.concatenate([whole.keypoints, *(part.keypoints for part in whole.parts.values())])[:, :2]
    np.testing.assert_allclose(person_to_json(whole)["box"], [*np.nanmin(points, 0), *np.nanmax(points, 0)], atol=0.001)
    assert person_to_json(person_of_part("face", np.full((70, 3), np.nan)))["box"] is None


def test_face_alone_has_no_pose():
    record = person_to_json(person_of_part("face", whole_person().parts["face"].keypoints))
    assert record.keys() == {"score", "rank", "box", "face"}
    assert record["face"]["box"] is None


def test_json_of_one_picture(tmp_path):
    """--json, --jsonl, --csv, --coco_results and --openpose_json of one picture agree with each other."""
    write_pictures(tmp_path, ["a.png", "b.png", "2.png"])  # 2.png is number 2: two people
    options = [word for name in ("json", "jsonl", "csv", "coco_results") for word in (f"--{name}", tmp_path / f"r.{name}")]
    assert fake_main(["--img", tmp_path / "2.png", "--out", tmp_path / "r.png", *options, "--openpose_json", tmp_path / "op"]) == 0
    expected = [fake_person(2, 0), fake_person(2, 1)]
    document, line = json.loads((tmp_path / "r.json").read_text()), json.loads((tmp_path / "r.jsonl").read_text())
    assert document["people"] == line["people"] == [person_to_json(each) for each in expected]
    assert (line["frame"], line["seconds"], line["image"]) == (0, None, str(tmp_path / "2.png"))
    assert [entry["image_id"] for entry in json.loads((tmp_path / "r.coco_results").read_text())] == [2, 2]
    assert len(list(csv.DictReader((tmp_path / "r.csv").open()))) == 2
    assert json.loads((tmp_path / "op" / "2_keypoints.json").read_text()) == json.loads(to_openpose(expected))


# COCO


def test_coco_entry():
    """17 keypoints in COCO's order, zeros where missing, the best person first."""
    few, best = bare_person(), whole_person()
    first, second = to_coco([few, best], 139, "x.jpg")
    assert (first["score"], second["score"]) == (round(1.23456 * (16 / 18) ** 0.25, 5), round(0.5 * (17 / 18) ** 0.25, 5))
    assert {(entry["image_id"], entry["category_id"], entry["file_name"]) for entry in (first, second)} == {(139, 1, "x.jpg")}
    points = np.reshape(first["keypoints"], (17, 3))
    for (x, y, v), joint in zip(points, COCO_JOINTS, strict=True):
        np.testing.assert_allclose((x, y), best.pose[joint, :2], atol=0.00501)
        assert v == (best.pose[joint, 2] > 0)
    assert points.sum(1).tolist().count(0) == 2
    assert "file_name" not in to_coco([few], 1)[0]


def test_coco_results_are_loaded_by_pycocotools(tmp_path, capsys):
    coco = pytest.importorskip("pycocotools.coco").COCO
    names = ["000000000139.png", "000000000007.png", "000000001000.png"]
    write_pictures(tmp_path / "in", names)
    assert fake_main(["--input", tmp_path / "in", "--coco_results", tmp_path / "r.json"]) == 0
    truth = coco()
    truth.dataset = {"images": [{"id": int(name[:12])} for name in names], "annotations": [], "categories": [{"id": 1, "name": "person"}]}
    truth.createIndex()
    results = truth.loadRes(str(tmp_path / "r.json"))
    people = {image_id: len(results.getAnnIds([image_id])) for image_id in (7, 139, 1000)}
    assert people == {7: 1, 139: 0, 1000: 2}
    np.testing.assert_allclose(results.loadAnns(results.getAnnIds([7]))[0]["keypoints"][:2], fake_person(1, 0).pose[0, :2], atol=0.01)


def test_coco_ids_are_frame_numbers_where_names_are_no_numbers(tmp_path):
    write_pictures(tmp_path / "in", ["1.png", "2.png", "c.png"])
    assert fake_main(["--input", tmp_path / "in", "--coco_results", tmp_path / "r.json"]) == 0
    entries = json.loads((tmp_path / "r.json").read_text())
    assert [(entry["image_id"], entry["file_name"][-5:]) for entry in entries] == [(1, "2.png"), (2, "c.png"), (2, "c.png")]


def test_coco_results_of_nobody(tmp_path):
    write_pictures(tmp_path / "in", ["a.png"])
    assert fake_main(["--input", tmp_path / "in", "--coco_results", tmp_path / "r.json"]) == 0
    assert json.loads((tmp_path / "r.json").read_text()) == []


# OpenPose


def test_openpose_form():
    """Version 1.3, its names, lengths 54, 210 and 63, zeros where missing, empty lists for what was not looked for."""
    whole = whole_person()
    document = json.loads(to_openpose([whole, bare_person()]))
    assert document["version"] == 1.3
    first, second = document["people"]
    lists = ("pose_keypoints_2d", "face_keypoints_2d", "hand_left_keypoints_2d", "hand_right_keypoints_2d")
    three = tuple(name.replace("2d", "3d") for name in lists)
    assert first.keys() == second.keys() == {"person_id", *lists, *three}
    assert [len(first[name]) for name in lists] == [54, 210, 0, 63]
    assert [len(second[name]) for name in lists] == [54, 0, 0, 0]
    assert (first["person_id"], second["person_id"]) == ([3], [-1])
    assert all(first[name] == [] for name in three)
    assert_points(np.reshape(first["pose_keypoints_2d"], (18, 3)).tolist(), whole.keypoints, [0, 0, 0])
    for name, key in OPENPOSE_PARTS.items():
        if name in whole.parts:
            assert_points(np.reshape(first[key], (-1, 3)).tolist(), whole.parts[name].keypoints, [0, 0, 0])
    assert json.loads(to_openpose([])) == {"version": 1.3, "people": []}
    assert "NaN" not in to_openpose([person_of_part("face", np.full((70, 3), np.nan))])


def test_openpose_files_are_called_as_openpose_calls_them(tmp_path):
    video = write_video(tmp_path / "v.mp4", 3)
    assert fake_main(["--input", video, "--openpose_json", tmp_path / "op"]) == 0
    assert sorted(file.name for file in (tmp_path / "op").iterdir()) == [f"v_{i:012d}_keypoints.json" for i in range(3)]


# CSV


def test_csv():
    """A header, a line for each person, empty cells for what is missing; names with commas and quotes come back."""
    whole, name = whole_person(), 'a, "b"\n.png'
    header = ",".join(csv_columns(("face", "right_hand"), smoothed=True)) + "\n"
    text = header + to_csv(FRAME._replace(name=name), [whole, bare_person()], ("face", "right_hand"), smoothed=True)
    first, second = csv.DictReader(text.splitlines(keepends=True))
    assert (first["frame"], first["image"], first["seconds"], first["person"], first["id"], first["score"]) == ("7", name, "0.28", "0", "3", "1.2346")
    assert (second["person"], second["id"]) == ("1", "")
    np.testing.assert_allclose([float(first[side]) for side in ("left", "top", "right", "bottom")], whole.box, atol=0.001)
    for joint in Joint:
        cells = [first[f"{joint.name}_{axis}"] for axis in ("x", "y", "confidence")]
        smoothed = [first[f"{joint.name}_{axis}_smoothed"] for axis in "xy"]
        if joint in (Joint.LeftHand, Joint.LeftEar):
            assert cells + smoothed == [""] * 5
        else:
            np.testing.assert_allclose([float(cell) for cell in cells], whole.keypoints[joint], atol=0.001)
            np.testing.assert_allclose([float(cell) for cell in smoothed], whole.smoothed[joint], atol=0.001)
        assert second[f"{joint.name}_x_smoothed"] == ""
    assert (first["face_0_x"], first["face_69_x"] != "", second["face_1_x"]) == ("", True, "")
    assert None not in first.values()
    assert None not in first


@pytest.mark.parametrize("parts", [(), ("face",), ("left_hand", "right_hand"), ("face", "left_hand", "right_hand")])
@pytest.mark.parametrize("with_pose", [False, True])
@pytest.mark.parametrize("smoothed", [False, True])
def test_csv_has_a_cell_for_each_column(parts, with_pose, smoothed):
    columns = csv_columns(parts, with_pose, smoothed)
    assert len(set(columns)) == len(columns)
    for row in csv.reader(to_csv(FRAME, [whole_person(), bare_person()], parts, with_pose, smoothed).splitlines()):
        assert len(row) == len(columns)


# All of them


def test_confidences_are_the_peaks_heights(tmp_path):
    """From the maps to the file: a joint's third number is the height of its peak."""
    heights = np.linspace(0.2, 0.9, 18)
    people = People(person(50, 50, 10)[None], np.array([1.0]), heights[None])
    (each,) = persons_of(people)
    assert [point[2] for point in person_to_json(each)["keypoints"]] == [round(value, 4) for value in heights]


@pytest.mark.parametrize("option", ["json", "jsonl", "csv", "coco_results"])
def test_names_with_other_letters(tmp_path, option):
    """The name is in the file as it is."""
    name = "ä写 .png"
    write_pictures(tmp_path, ["x.png", name])  # number 1: one person
    assert fake_main(["--img", tmp_path / name, "--out", tmp_path / "r.png", f"--{option}", tmp_path / "r"]) == 0
    text = (tmp_path / "r").read_text(encoding="utf-8")
    found = next(csv.DictReader(text.splitlines()))["image"] if option == "csv" else json.loads(text)
    if option == "coco_results":
        found = found[0]["file_name"]
    assert (found["image"] if option.startswith("json") else found) == str(tmp_path / name)


def test_openpose_body_25():
    """Names of OpenPose's documentation (poseParameters, BODY_25) say where each joint goes; a missing hip takes the middle with it."""
    upper, lower = ("Nose", "Neck", "RShoulder", "RElbow", "RWrist", "LShoulder", "LElbow", "LWrist"), ("Hip", "Knee", "Ankle")
    order = (*upper, "MidHip", *(f"R{name}" for name in lower), *(f"L{name}" for name in lower), "REye", "LEye", "REar", "LEar")
    ours = {"Wrist": "Hand", "Hip": "Waist", "Ankle": "Foot"}
    pose = person(100, 100, 20)
    confidences = np.linspace(0.2, 0.9, 18)
    whole = WholePerson(pose, 0.5, confidences)
    points = np.reshape(json.loads(to_openpose([whole], "BODY_25"))["people"][0]["pose_keypoints_2d"], (25, 3))
    for name, point in zip(order, points, strict=False):
        if name == "MidHip":
            expected = *pose[[Joint.RightWaist, Joint.LeftWaist], :2].mean(0), confidences[Joint.RightWaist]
        else:
            side, part = ({"R": "Right", "L": "Left"}[name[0]], name[1:]) if name[1].isupper() else ("", name)
            joint = Joint[side + ours.get(part, part)]
            expected = *pose[joint, :2], confidences[joint]
        np.testing.assert_allclose(point, expected, atol=1e-3)
    assert not points[19:].any()
    pose[Joint.LeftWaist] = 0
    points = np.reshape(json.loads(to_openpose([whole], "BODY_25"))["people"][0]["pose_keypoints_2d"], (25, 3))
    assert not points[[8, 12]].any()
    assert points[9].all()
