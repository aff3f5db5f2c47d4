"""Small videos, pictures and a quick detector for the tests of sources, results and cameras."""

import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
from conftest import PATIENCE, ROOT
from people import person

import cli
import cli_streams
from entity import Joint
from keypoints.whole import WholePerson
from streams import pipeline

SIZE_WH = (64, 48)


def picture(number, size_wh=SIZE_WH):
    """A grey picture that says its number, 0 to 20, also after lossy compression (number_of), with a red left upper corner."""
    image = np.full((size_wh[1], size_wh[0], 3), 20 + 10 * number, np.uint8)
    image[: size_wh[1] // 4, : size_wh[0] // 4] = 0, 0, 255
    return image


def number_of(image) -> int:
    height, width = image.shape[:2]
    return round((float(np.median(image[height // 3 : 2 * height // 3, width // 3 : 2 * width // 3])) - 20) / 10)


def is_red(pixel) -> bool:
    return pixel[2] > 150 and pixel[0] < 100 and pixel[1] < 100


def write_pictures(folder, names):
    """Pictures numbered in the order of their names."""
    for number, name in enumerate(names):
        path = Path(folder) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(path.suffix, picture(number))[1].tobytes())


def write_video(path, n_frames=8, size_wh=SIZE_WH, rate=25.0, codec="mp4v", images=None):
    """A video of numbered pictures, modulo 20, or of `images`, written by OpenCV. Returns its path as text."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), rate, size_wh)
    assert writer.isOpened()
    for image in images if images is not None else (picture(number % 20, size_wh) for number in range(n_frames)):
        writer.write(image)
    writer.release()
    return str(path)


def turn_mp4(path):
    """Patch the matrix in the mp4's track header (ISO 14496-12, tkhd): shown turned by 90 degrees clockwise."""
    data = Path(path).read_bytes()
    at = data.index(b"tkhd") + 4
    at += 40 if data[at] == 0 else 52  # version 1 has longer times
    matrix = np.array([0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30], ">i4").tobytes()
    Path(path).write_bytes(data[:at] + matrix + data[at + 36 :])


def read_video(path) -> tuple:
    """(frames, rate) as OpenCV reads them."""
    capture = cv2.VideoCapture(str(path))
    images = []
    while (item := capture.read())[0]:
        images.append(item[1])
    rate = capture.get(cv2.CAP_PROP_FPS)
    capture.release()
    return images, rate


class FakeDetector:
    """As many people as the picture's number modulo 3, at places that say the number."""

    name, networks = "fake", ("fakenet",)
    parts, has_pose = (), True
    compile_seconds = 0.0

    def __init__(self, seconds=0.0):
        """seconds: of each picture."""
        self.delay, self.seconds, self.n_seen = seconds, {"network": 0.0, "decode": 0.0}, 0

    least_side = None

    def detect(self, image) -> list:
        time.sleep(self.delay)
        self.n_seen += 1
        number = number_of(image)
        return [fake_person(number, i) for i in range(number % 3)]

    def stream(self, images, ahead=iter):
        with closing(ahead(image for image in images)) as images:
            for image in images:
                yield image, self.detect(image)

    def persons(self, found):
        return found

    def describe(self, persons):
        return f"{len(persons)} people"


def fake_person(number, i) -> WholePerson:
    """Its right foot is missing."""
    pose = person(12 + 30 * i + number / 4, 12, 4)
    pose[Joint.RightFoot] = 0
    return WholePerson(pose, 0.5 + i / 10, np.where(pose[:, 2] > 0, 0.75, 0))


def fake_main(argv, seconds=0.0, detector=None) -> int:
    """A script on a FakeDetector, with the options that pose_detector.py has."""
    parser = cli.Parser(prog="fake.py")
    cli_streams.add_source_options(parser)
    return cli.run(parser, lambda options: pipeline.run(*cli_streams.asked(options), detector or FakeDetector(seconds)), [str(word) for word in argv])


def fake_camera_main(argv, detector=None) -> int:
    """As fake_main, with the options that camera_pose_demo.py has."""
    parser = cli.Parser(prog="fake_camera.py")
    cli_streams.add_camera_options(parser)
    return cli.run(parser, lambda options: pipeline.run(*cli_streams.asked(options), detector or FakeDetector()), [str(word) for word in argv])


def start_fake(*argv, seconds=0.05, before="pass", main="fake_main"):
    """fake_main in a process of its own. before: Python that runs first."""
    extra = f", seconds={seconds}" if main == "fake_main" else ""
    path = f"sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'tests')!r}]"
    code = f"import sys; {path}; import videos; {before}; sys.exit(videos.{main}(sys.argv[1:]{extra}))"
    command = [sys.executable, "-c", code, *map(str, argv)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_until(condition, process, seconds=PATIENCE):
    """Wait for condition() to be true, while the process lives."""
    end = time.monotonic() + seconds
    while not condition():
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            raise AssertionError(f"it did not happen; {process.communicate()}")
        time.sleep(0.01)
