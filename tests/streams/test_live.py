"""streams/live.py behind the cameras' options: the newest frame each time, and the camera is released on every path."""

import json
import time
from contextlib import suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path

import cv2
import pytest
from servers import serving
from videos import SIZE_WH, FakeDetector, fake_camera_main, fake_main, picture, read_video, write_pictures, write_video

from streams.frames import Video
from streams.live import Live


class FakeCapture:
    """A camera of 100 frames per second. n_frames: it gives so many, then it is silent."""

    def __init__(self, n_frames=10**9):
        self.n_frames, self.n_read, self.released = n_frames, 0, 0

    def isOpened(self):
        return True

    def get(self, what):
        return 100.0

    def read(self):
        assert not self.released
        time.sleep(0.01)
        self.n_read += 1
        return (True, picture(self.n_read % 20)) if self.n_read <= self.n_frames else (False, None)

    def release(self):
        self.released += 1


@pytest.fixture
def capture(monkeypatch, no_screen):
    fake = FakeCapture()
    monkeypatch.setattr("streams.live.open_capture", lambda name: fake)
    return fake


class Ending(FakeDetector):
    """Raises `error` at the fourth frame."""

    def __init__(self, error, seconds=0.0):
        super().__init__(seconds)
        self.error = error

    def detect(self, image):
        if self.n_seen == 3:
            raise self.error
        return super().detect(image)


@pytest.mark.parametrize("error", [ZeroDivisionError, SystemExit])
def test_camera_is_released_after_an_error(capture, tmp_path, error):
    with pytest.raises(error):
        fake_camera_main(["--jsonl", tmp_path / "r"], detector=Ending(error()))
    assert capture.released == 1
    assert (tmp_path / "r").read_text().count("\n") == 3


def test_camera_is_released_where_memory_is_short(capture, tmp_path, capsys):
    assert fake_camera_main(["--jsonl", tmp_path / "r"], detector=Ending(MemoryError())) == 2
    assert capture.released == 1
    assert (tmp_path / "r").read_text().count("\n") == 3
    *_, last = capsys.readouterr().err.splitlines()  # the first says that there is no screen
    assert last.startswith("fake_camera.py: not enough memory")


def test_camera_is_released_after_ctrl_c(capture, tmp_path, capsys):
    """The clock starts after the first frame: at 0.1 s a frame the third stands well after the second."""
    assert fake_camera_main(["--jsonl", tmp_path / "r", "--out", tmp_path / "o.mp4"], detector=Ending(KeyboardInterrupt(), 0.1)) == 130
    assert capture.released == 1
    assert len(read_video(tmp_path / "o.mp4")[0]) >= 3
    assert "3 frames" in capsys.readouterr().out


def test_camera_is_released_where_outputs_are_refused(capture, tmp_path):
    """The detector cannot be opened, or its results cannot be written."""
    parser_and_work = ["--out", tmp_path / "o.mp4", "--track"]
    detector = FakeDetector()
    detector.has_pose = False
    assert fake_camera_main(parser_and_work, detector=detector) == 2
    assert capture.released == 1


def test_camera_is_released_after_quitting(capture, tmp_path, monkeypatch):
    """A window that says so at the third frame."""

    class FakeWindow:
        n_shown, closed = 0, 0

        def __init__(self, *_):
            pass

        def show(self, frame, drawn):
            FakeWindow.n_shown += 1
            return FakeWindow.n_shown < 3

        def close(self):
            FakeWindow.closed += 1

    monkeypatch.setattr("streams.pipeline.Window", FakeWindow)
    for place in ("pipeline", "wanted"):
        monkeypatch.setattr(f"streams.{place}.check_screen", lambda *_: None)
    assert fake_camera_main([]) == 0
    assert (FakeWindow.n_shown, FakeWindow.closed, capture.released) == (3, 1, 1)


def test_camera_that_is_unplugged_at_work(capture, tmp_path, capsys, monkeypatch):
    """It is given up after a while; status 1, a line that says so, what was seen is kept."""
    monkeypatch.setattr("streams.live.PATIENCE", 0.3)
    capture.n_frames = 12
    assert fake_camera_main(["--jsonl", tmp_path / "r"]) == 1
    assert "no picture came" in capsys.readouterr().err
    assert capture.released == 1
    assert (tmp_path / "r").read_text()


def test_frames_are_dropped_not_queued(capture, tmp_path, capsys):
    """A detector that takes as long as the camera for ten frames: each frame it gets is the newest, however quick the machine is."""

    class Slow(FakeDetector):
        ends = ()

        def detect(self, image):
            begin = capture.n_read
            while capture.n_read < begin + 10:
                time.sleep(0.01)
            self.ends += (capture.n_read,)
            if len(self.ends) == 6:
                raise KeyboardInterrupt
            return super().detect(image)

    slow = Slow()
    assert fake_camera_main(["--jsonl", tmp_path / "r"], detector=slow) == 130
    frames = [json.loads(line)["frame"] for line in (tmp_path / "r").read_text().splitlines()]
    assert len(frames) == 5
    for frame, end in zip(frames[1:], slow.ends, strict=False):
        assert frame + 2 >= end - 1  # the first one is read before they are counted, and the last one may be on its way
    assert int(capsys.readouterr().out.split(" dropped")[0].split()[-1]) >= 30


def test_live_gives_no_frame_twice(tmp_path):
    """A quick detector gets every frame of a video once, at the video's own rate."""
    live = Live("v", Video(write_video(tmp_path / "v.mp4", 10, rate=50)))
    begin = time.monotonic()
    numbers = [frame.number for frame in live.frames()]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == 9
    assert time.monotonic() - begin >= 9 / 50
    assert len(numbers) + live.n_dropped == 10
    live.close()


# URLs


class Web(SimpleHTTPRequestHandler):
    """Files of a folder; /cut.png breaks off; and /camera, a stream of 30 JPEG pictures as IP cameras send them, 50 per second."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        if self.path not in ("/camera", "/cut.png"):
            super().do_GET()
            return
        self.send_response(200)
        if self.path == "/cut.png":
            png = (Path(self.directory) / "a.png").read_bytes()
            self.send_header("Content-Length", str(len(png)))
            self.end_headers()
            self.wfile.write(png[:-50])
            return
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
        self.end_headers()
        with suppress(ConnectionError):
            for number in range(30):
                jpeg = cv2.imencode(".jpg", picture(number % 20))[1].tobytes()
                self.wfile.write(f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode() + jpeg + b"\r\n")
                time.sleep(0.02)


@pytest.fixture
def web(tmp_path, no_screen, monkeypatch):
    """Address of a server of the folder tmp_path / "web", which holds v.mp4 and a.png."""
    monkeypatch.setenv("no_proxy", "*")
    (tmp_path / "web").mkdir()
    write_video(tmp_path / "web" / "v.mp4", 12, rate=50)
    write_pictures(tmp_path / "web", ["a.png"])
    with serving(partial(Web, directory=tmp_path / "web")) as address:
        yield address


def test_url_of_a_video_gives_each_of_its_frames(web, tmp_path, capsys):
    assert fake_main(["--input", f"{web}/v.mp4", "--jsonl", tmp_path / "r", "--out", tmp_path / "o"], seconds=0.03) == 0
    frames = [json.loads(line)["frame"] for line in (tmp_path / "r").read_text().splitlines()]
    assert frames == list(range(12))
    assert len(list((tmp_path / "o").iterdir())) == 12
    assert "dropped" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["a.png", "a.png?size=full", "%61.png"])
def test_url_of_a_picture_is_a_picture(web, tmp_path, capsys, name):
    assert fake_main(["--input", f"{web}/{name}", "--jsonl", tmp_path / "r", "--out", tmp_path / "o"]) == 0
    assert capsys.readouterr().out.startswith("1 picture, ")
    (line,) = (tmp_path / "r").read_text().splitlines()
    assert json.loads(line) | {"people": []} == json.loads(
        f'{{"frame": 0, "image": "{web}/{name}", "seconds": null, "width": {SIZE_WH[0]}, "height": {SIZE_WH[1]}, "people": []}}'
    )
    assert [path.stem for path in (tmp_path / "o").iterdir()] == ["a"]
    for option in ("--img", "--input"):
        assert fake_main([option, f"{web}/{name}", "--out", tmp_path / "o.png", "--json", tmp_path / "o.json"]) == 0
        assert json.loads((tmp_path / "o.json").read_text())["width"] == SIZE_WH[0]


@pytest.mark.parametrize(("name", "words"), [("cut.png", ["cut.png: cannot be fetched", "IncompleteRead"]), ("gone.png", ["HTTP 404"])])
def test_url_of_a_picture_that_cannot_be_had(web, tmp_path, capsys, name, words):
    for status, options in (
        (2, ["--img", f"{web}/{name}", "--out", tmp_path / "o.png"]),
        (1, ["--input", f"{web}/{name}", "--out", tmp_path / "o"]),
    ):
        assert fake_main(options) == status
        error = capsys.readouterr().err
        assert error.count("\n") == status % 2 + 1  # of several, how many is said too
        assert all(word in error for word in words)
    assert not (tmp_path / "o.png").exists()


def test_url_of_a_file_can_be_played_as_a_camera(web, tmp_path, capsys):
    assert fake_camera_main(["--input", f"{web}/v.mp4", "--jsonl", tmp_path / "r"]) == 0
    frames = [json.loads(line)["frame"] for line in (tmp_path / "r").read_text().splitlines()]
    assert frames[-1] == 11
    assert int(capsys.readouterr().out.split(" dropped")[0].split()[-1]) == 12 - len(frames)


@pytest.mark.parametrize("main", [fake_main, fake_camera_main])
def test_camera_in_the_network(web, tmp_path, capsys, monkeypatch, main):
    """Its stream ends, as if it had been unplugged: status 1, and what was seen is kept."""
    monkeypatch.setattr("streams.live.PATIENCE", 2.0)
    assert main(["--input", f"{web}/camera", "--jsonl", tmp_path / "r"]) == 1
    assert "no picture came" in capsys.readouterr().err
    frames = [json.loads(line)["frame"] for line in (tmp_path / "r").read_text().splitlines()]
    assert frames == sorted(set(frames))
    assert len(frames) >= 10


@pytest.mark.parametrize("main", [fake_main, fake_camera_main])
def test_url_that_does_not_answer(web, tmp_path, capsys, main):
    assert main(["--input", f"{web}/gone.mp4", "--jsonl", tmp_path / "r"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "gone.mp4: no picture comes from it (HTTP 404: File not found); check the URL" in error
    assert not (tmp_path / "r").exists()


def test_networks_warm_up_on_the_first_frame(tmp_path):
    """Two frames a second: what comes after a first frame that took long is the second one."""
    path = write_video(tmp_path / "v.mp4", n_frames=6, rate=2.0)
    live = Live(path, Video(path))
    frames = live.frames()
    assert next(frames).number == 0
    time.sleep(1.6)
    assert next(frames).number == 1
    assert live.n_dropped == 0
    live.close()


def test_the_clock_of_a_camera_starts_after_the_first_frame(capture):
    live = Live("0")
    frames = live.frames()
    assert next(frames)[:4] == (0, "0", "camera_000000000000", 0.0)
    while capture.n_read < 20:  # as many as come while the networks warm up; the camera is read, so that the next frame is no old one
        time.sleep(0.01)
    begin = time.monotonic()
    second = next(frames)
    assert second.number >= 19
    assert second.seconds <= time.monotonic() - begin
    assert live.n_dropped < second.number - 18
    live.close()
