"""python -m data.moving_people: a video to try things on."""

import cv2
import numpy as np
import pytest

from data import moving_people


@pytest.mark.parametrize("name", ["moving.mp4", "moving.avi"])
def test_the_video_holds_the_frames(tmp_path, monkeypatch, capsys, name):
    monkeypatch.setattr(moving_people, "N_FRAMES", 4)
    path = tmp_path / name
    assert moving_people.main(["--out", str(path)]) == 0
    assert capsys.readouterr().out == f"4 frames; {path}\n"
    video = cv2.VideoCapture(str(path))
    assert video.get(cv2.CAP_PROP_FPS) == moving_people.RATE
    for expected, _, _ in moving_people.frames():
        there, image = video.read()
        assert there
        assert np.abs(image.astype(int) - expected).mean() < 4
    assert not video.read()[0]


def test_no_video(tmp_path, capsys):
    assert moving_people.main(["--out", str(tmp_path / "moving.txt")]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "moving.txt: expected a video's name" in message
    assert list(tmp_path.iterdir()) == []
