"""Answers: messages in the place of exceptions, files that go."""

import errno
import json
import shutil

import cv2
import numpy as np
import pytest
from conftest import ROOT
from videos import write_video

from engines import open_net
from errors import InputError
from page import pictures, uploads, videos
from page.desk import Desk, answering, answering_in_steps
from pose_detector import PoseDetector

PEOPLE = ROOT / "data" / "people.png"


@pytest.fixture(scope="module")
def detector():
    return PoseDetector(open_net("lightposenet", precision="f32"), short_side=184)


def test_what_goes_wrong_is_a_message(capsys):
    def refuse(*_):
        raise InputError("<no> picture")

    def fail(*_):
        return 1 // 0

    assert answering(refuse, 2)(1, 2) == ["&lt;no&gt; picture", None, None]
    assert capsys.readouterr().err == ""
    message, *others = answering(fail, 3)()
    assert "terminal" in message
    assert others == [None] * 3
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert answering(lambda: (1, 2), 2)() == ["", 1, 2]


def test_a_fault_of_the_machine_is_a_line_in_the_terminal(capsys):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "/tmp/secret")

    message, *others = answering(full, 1)()
    assert "No space left on device" in message
    assert "secret" not in message
    assert others == [None]
    assert capsys.readouterr().err.splitlines() == [
        "web_demo.py: a picture or video could not be worked on (OSError: [Errno 28] No space left on device: '/tmp/secret')"
    ]


@pytest.mark.parametrize("path", ["", "gone.png", "a\0b"])
@pytest.mark.parametrize("work", ["look", "compare", "maps", "watch"])
def test_what_was_deleted_meanwhile_is_said(tmp_path, capsys, work, path):
    desk = Desk(tmp_path, pytest.fail, pytest.fail)
    values = (path and str(tmp_path / path), "body", "lightposenet", "OpenVINO", "f32", 368, "f32", "f32", "f32")
    if work == "watch":
        (answer,) = answering_in_steps(desk.watch, 4)(*values)
    else:
        answer = answering(getattr(desk, work), 4)(*values[: 7 if work == "maps" else None])
    assert "no longer here, it was deleted meanwhile: drop one" in answer[0]
    assert capsys.readouterr().err == ""


def test_steps_before_the_fault_are_kept():
    def steps():
        yield 1, 2
        raise InputError("broken")

    assert list(answering_in_steps(steps, 2)()) == [["", 1, 2], ["broken", None, None]]


def test_the_json_is_what_the_detector_finds(detector):
    seen = pictures.look(PEOPLE, detector)
    document = json.loads(seen.text)
    poses, _ = detector(cv2.imread(str(PEOPLE)))
    assert len(document["people"]) == len(poses) > 2
    found = sorted(sum(point is not None for point in person["keypoints"]) for person in document["people"])
    assert found == sorted((poses[..., 2] > 0).sum(1))
    assert seen.people.count("<tr>") == 1 + len(poses)
    assert np.abs(seen.drawn.astype(int) - cv2.imread(str(PEOPLE))).max() > 50


def test_one_network_beside_itself_differs_nowhere(detector):
    first, second, difference, texts = pictures.compare(PEOPLE, {"A": detector, "B": detector})
    np.testing.assert_array_equal(first, second)
    assert texts.count("<td>0.0000000</td><td>0.0000000</td>") == 2
    assert difference.shape == first.shape


def test_another_resolution_of_one_network_differs_where_people_are(detector):
    smaller = PoseDetector(detector.net, short_side=184, flip=True)
    _, _, difference, texts = pictures.compare(PEOPLE, {"A": detector, "flip": smaller})
    assert "<td>0.0000000</td><td>0.0000000</td>" not in texts
    people = np.zeros(difference.shape[:2], bool)
    for left, top, width, height in ((8, 90, 232, 240), (262, 40, 180, 200), (520, 30, 160, 160), (560, 215, 150, 170)):
        people[top : top + height, left : left + width] = True
    bright = difference.max(2) > 200
    assert bright[people].mean() > bright[~people].mean()


def test_the_map_of_one_joint_is_bright_at_that_joint(detector):
    image = cv2.imread(str(PEOPLE))
    poses, _ = detector(image)
    heatmaps, pafs = pictures.overlays(PEOPLE, detector, "nose")
    light = heatmaps.astype(float).sum(2) - 0.5 * image.astype(float).sum(2)
    noses = np.round(poses[poses[:, 0, 2] > 0, 0, :2]).astype(int)
    assert len(noses) > 2
    assert all(light[y, x] > 30 for x, y in noses)
    assert np.median(light) < 5
    assert pafs.shape == image.shape


def test_a_video_leaves_when_its_visitor_does(detector, tmp_path):
    path = write_video(tmp_path / "v.avi", n_frames=6, codec="MJPG")
    (tmp_path / "desk").mkdir()
    desk = Desk(tmp_path / "desk", None, lambda *_: detector)
    steps = desk.watch(path, "body")
    assert next(steps)[0] == "frame 1 of 6"
    assert any((tmp_path / "desk").rglob("*.jsonl"))
    steps.close()
    assert list((tmp_path / "desk").iterdir()) == []


def test_a_video_that_is_left_when_the_page_has_ended_says_nothing(detector, tmp_path):
    """Its folder is gone then."""
    path = write_video(tmp_path / "v.avi", n_frames=6, codec="MJPG")
    (tmp_path / "desk").mkdir()
    steps = videos.watch(path, detector, tmp_path / "desk")
    assert next(steps) == (1, 6)
    shutil.rmtree(tmp_path / "desk")
    steps.close()
    assert not (tmp_path / "desk").exists()


def test_a_video_that_lies_about_its_length_is_stopped(detector, tmp_path, monkeypatch):
    path = write_video(tmp_path / "v.avi", n_frames=8, rate=2, codec="MJPG")
    monkeypatch.setattr(uploads.Video, "__len__", lambda self: 1)
    monkeypatch.setattr(uploads, "MINUTES", 0.05)
    done = []
    with pytest.raises(InputError, match=r"v\.avi: 0\.1 minutes, expected 0\.05"):
        done.extend(videos.watch(path, detector, tmp_path))
    assert len(done) == 7
    assert done[-1] == (7, 1)
