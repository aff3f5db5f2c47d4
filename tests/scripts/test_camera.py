"""camera_pose_demo.py and camera_face_demo.py: on a real, if virtual, screen with keys pressed, and without one; the camera is always released."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import cv2
import pytest
from conftest import PATIENCE, ROOT, assert_refused, run_script, seeded_weights
from videos import fake_camera_main, number_of, picture, read_video, start_fake, wait_until, write_video

import camera_face_demo
import camera_pose_demo
from entity import N_FACE_POINTS
from models import names_of, shapes_of
from models.weights import write_weights
from streams.window import Window

NO_SCREEN = {"DISPLAY": "", "WAYLAND_DISPLAY": ""}
PORTRAIT = ROOT / "data" / "astronaut.png"


@pytest.fixture(scope="module")
def screen():
    """The number of a virtual screen."""
    if not (shutil.which("Xvfb") and shutil.which("xdotool")):
        pytest.skip("Xvfb and xdotool are not installed here")
    reading, writing = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", "800x600x24", "-nolisten", "tcp", "-noreset"],
        pass_fds=[writing],
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    with os.fdopen(reading) as answer:
        number = answer.readline().strip()
    yield f":{number}"
    server.terminate()
    server.wait()


@contextmanager
def running(process):
    """The process, which must end by itself."""
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def press(screen, process, *keys, title="camera"):
    """Type into the window, when there is one."""
    xdotool = {"env": {**os.environ, "DISPLAY": screen}, "capture_output": True, "text": True}
    windows = []

    def is_open():
        windows[:] = subprocess.run(["xdotool", "search", "--onlyvisible", "--name", title], **xdotool, check=False).stdout.split()
        return windows

    wait_until(is_open, process)
    for key in keys:
        subprocess.run(["xdotool", "windowfocus", "--sync", windows[0], "key", key], **xdotool, check=True)


def play(screen, folder, *options):
    """camera_pose_demo.py on a video in the camera's place, in a window."""
    video = write_video(folder / "v.mp4", 400, (160, 120), 20)
    command = [sys.executable, ROOT / "camera_pose_demo.py", "--input", video, "--short_side", "64", *options]
    environment = {**os.environ, "DISPLAY": screen}
    return subprocess.Popen(list(map(str, command)), cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


# With a screen


def test_keys(screen, tmp_path):
    """s saves the frame, space pauses and goes on, q quits with status 0."""
    lines = tmp_path / "r.jsonl"
    with running(play(screen, tmp_path, "--jsonl", lines)) as process:
        press(screen, process, "s")
        wait_until(lambda: list(tmp_path.glob("frame_*.png")), process)
        press(screen, process, "space")
        time.sleep(0.3)
        size = lines.stat().st_size
        time.sleep(0.5)
        assert lines.stat().st_size == size
        press(screen, process, "space")
        wait_until(lambda: lines.stat().st_size > size, process)
        press(screen, process, "q")
        printed, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors.count("camera_pose_demo")) == (0, 0)  # stderr has the bar of tqdm
    (saved,) = tmp_path.glob("frame_*.png")
    assert f"saved {saved.name}" in printed
    image, number = cv2.imread(str(saved)), int(saved.stem.removeprefix("frame_"))
    assert image.shape == (120, 160, 3)
    assert abs(number_of(image) - number % 20) <= 1
    assert "dropped" in printed
    frames = [json.loads(line)["frame"] for line in lines.read_text().splitlines()]
    assert frames == sorted(set(frames))
    assert len(frames) < 400
    assert int(printed.split("saved")[1].split("\n")[1].split(" frames")[0]) == len(frames)


@pytest.mark.parametrize("key", ["Escape", "Q"])
def test_other_keys_that_quit(screen, tmp_path, monkeypatch, key):
    """The video holds what was seen."""
    video = write_video(tmp_path / "v.mp4", 400)
    monkeypatch.setenv("DISPLAY", screen)
    out = tmp_path / "out.mp4"
    with running(start_fake("--input", video, "--out", out, main="fake_camera_main")) as process:
        press(screen, process, key)
        _, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors.count("fake")) == (0, 0)
    assert 0 < len(read_video(out)[0]) < 400


def test_closing_the_window_quits(monkeypatch):
    """There is no window manager here whose button could be pressed: OpenCV's answer is played."""
    visible = iter([1, 1, 0])
    for name in ("namedWindow", "imshow"):
        monkeypatch.setattr(cv2, name, lambda *_: None)
    monkeypatch.setattr(cv2, "waitKey", lambda _: -1)
    monkeypatch.setattr(cv2, "getWindowProperty", lambda *_: next(visible))
    window = Window("camera", None)
    assert [window.show(None, picture(0)) for _ in range(3)] == [True, True, False]


def test_window_ends_with_the_video(screen, tmp_path, monkeypatch):
    video = write_video(tmp_path / "v.mp4", 5)
    monkeypatch.setenv("DISPLAY", screen)
    with running(start_fake("--input", video, main="fake_camera_main")) as process:
        _, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors.count("fake")) == (0, 0)


def test_pictures_in_a_window(screen, tmp_path, monkeypatch):
    """--show of the other scripts: the window goes with the work, q ends it early."""
    video = write_video(tmp_path / "v.mp4", 400)
    monkeypatch.setenv("DISPLAY", screen)
    with running(start_fake("--input", video, "--show", seconds=0.02)) as process:
        press(screen, process, "q", title="fake")
        printed, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors.count("fake")) == (0, 0)
    assert 0 < int(printed.split()[0]) < 400


# Without a screen


def test_without_a_screen(tmp_path):
    """One line that names --out, status 2."""
    video = write_video(tmp_path / "v.mp4")
    assert_refused(run_script("camera_pose_demo.py", "--input", video, cwd=tmp_path, env=NO_SCREEN), "screen", "--out")
    assert [path.name for path in tmp_path.iterdir()] == ["v.mp4"]


def test_screen_that_does_not_answer(tmp_path):
    """DISPLAY names one that is not there: OpenCV would abort the process."""
    video = write_video(tmp_path / "v.mp4")
    assert_refused(run_script("camera_pose_demo.py", "--input", video, cwd=tmp_path, env={"DISPLAY": ":987"}), "screen", "--out")


def test_out_without_a_screen(tmp_path, no_screen, capsys):
    """The network at work; the video lasts as long as the source, whatever was dropped."""
    video = write_video(tmp_path / "v.mp4", 20, (160, 120), 20)
    out = tmp_path / "out.mp4"
    assert camera_pose_demo.main(["--input", video, "--out", str(out), "--short_side", "64"]) == 0
    images, rate = read_video(out)
    assert rate == 20
    assert 17 <= len(images) <= 20
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1
    assert "no screen" in printed.err
    assert str(out) in printed.out


@pytest.mark.parametrize("script", ["camera_pose_demo.py", "camera_face_demo.py"])
def test_unplugged_camera(tmp_path, script):
    assert_refused(run_script(script, "--camera", "99", "--out", tmp_path / "out.mp4", env=NO_SCREEN), "camera 99", "plug it in")
    assert list(tmp_path.iterdir()) == []


def test_camera_and_stream_that_are_not_there(tmp_path, no_screen, capsys):
    for arguments, word in (
        (["--input", "rtsp://localhost:1/x"], "stream"),
        (["--input", str(tmp_path / "gone.mp4")], "gone.mp4"),
        (["--camera", "98"], "camera 98"),
    ):
        assert fake_camera_main([*arguments, "--jsonl", tmp_path / "r"]) == 2
        errors = capsys.readouterr().err
        assert errors.count("\n") == 1
        assert word in errors
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it(tmp_path, number, no_screen):
    """The file holds what was seen, as long as it took."""
    video = write_video(tmp_path / "v.mp4", 600)
    lines, out = tmp_path / "r.jsonl", tmp_path / "out.mp4"
    with running(start_fake("--input", video, "--out", out, "--jsonl", lines, main="fake_camera_main")) as process:
        wait_until(lambda: lines.exists() and lines.read_text().count("\n") >= 6, process)
        process.send_signal(number)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[number]
    last = json.loads(lines.read_text().splitlines()[-1])
    assert len(read_video(out)[0]) in (last["frame"] + 1, last["frame"] + 2)


@pytest.mark.parametrize("arch", names_of("pose"))
def test_every_pose_network_is_taken(arch):
    assert camera_pose_demo.parser().parse(["--arch", arch]).arch == arch


# Faces


@pytest.fixture(scope="module")
def facenet(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "facenet.npz"
    write_weights(path, seeded_weights(shapes_of("facenet")))
    return str(path)


@pytest.mark.parametrize(("way", "named"), [([], True), (["--pose"], True), ([], False)])
def test_faces(tmp_path, no_screen, facenet, way, named, capsys):
    """A portrait as a video of two frames: one face, where it is; random weights find points in it, of no meaning. Nothing named: what ships."""
    video = write_video(tmp_path / "v.mp4", size_wh=(512, 512), rate=2, images=[cv2.imread(str(PORTRAIT))] * 2)
    weights = ["--weights", facenet] if named else []
    arguments = ["--input", video, *weights, "--jsonl", str(tmp_path / "r"), "--out", str(tmp_path / "o.mp4"), *way]
    assert camera_face_demo.main(arguments) == 0
    assert "weights" not in capsys.readouterr().err
    lines = [json.loads(line) for line in (tmp_path / "r").read_text().splitlines()]
    assert lines
    for line in lines:
        (each,) = line["people"]
        assert each.keys() == {"score", "rank", "box", "face"}
        left, top, right, bottom = each["face"]["box"]
        assert left < 200 < 250 < right  # the nose of the astronaut is at about (223, 110)
        assert top < 80 < 140 < bottom
        assert right - left < 330  # with --pose 314: two units, which the wide shoulders of the suit make large where the trunk is found
        assert len(each["face"]["keypoints"]) == N_FACE_POINTS
    assert read_video(tmp_path / "o.mp4")[0]
