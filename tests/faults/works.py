"""Works that can be killed, and what they give: every kind of long work of the project, on small input."""

import hashlib
import json
import os
import shutil
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
from coco_files import annotation as coco_annotation
from coco_files import make_coco, standing
from conftest import seeded_weights
from test_sinks import OUTPUTS, read_results
from training_runs import log_of
from videos import read_video

from engines import open_net
from models import ARCHS, shapes_of
from models.weights import write_weights

ROOT = Path(__file__).parents[2]
FIRST, LAST = 1, 48  # numbers of pictures


def people():
    """A small picture of people."""
    return cv2.resize(cv2.imread(str(ROOT / "data" / "people.png")), (320, 240), interpolation=cv2.INTER_AREA)


class Work:
    """A command in a folder of its own, which is started again until it has ended by itself."""

    name = ""
    resumes = True  # whether a run goes on where the one before it was ended
    most_kills = 6  # of a run until it may end
    reached = None  # what it says, with status 2, where a run that was killed had come to its end
    sign = ""  # pattern of what changes as soon as it has begun; nothing shows it where empty

    def __init__(self, place):
        """Make what it reads in a folder."""
        self.place = Path(place)

    def environment(self) -> dict:
        return {}

    def prepare(self, folder):
        """What lies in the folder before the first run."""

    def command(self, folder, again) -> list:
        """again: it was killed before."""
        raise NotImplementedError

    def has_begun(self, folder, since) -> bool:
        """Whether a run that was started then, in nanoseconds, has come to its work."""
        return not self.sign or any(changed(path) > since for path in folder.glob(self.sign))

    def check(self, folder, number):
        """Raise AssertionError unless what is there, after a signal, is whole."""

    def read(self, folder):
        """What it gave, to be compared."""
        raise NotImplementedError


def script(name, *words):
    return [sys.executable, str(ROOT / name), *map(str, words)]


def changed(path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def has_bytes(path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def pictures_in(folder):
    folder.mkdir()
    image = people()
    for number in range(FIRST, LAST + 1):
        cv2.imwrite(str(folder / f"{number:02d}.png"), np.roll(image, 6 * number, axis=1))
    cv2.imwrite(str(folder / "nobody.png"), np.full((240, 320, 3), 90, np.uint8))


class Folder(Work):
    """Pictures, and results of all kinds."""

    name, sign = "folder", "r.jsonl"

    def __init__(self, place):
        super().__init__(place)
        pictures_in(self.place / "in")

    def command(self, folder, again):
        outputs = [word for name, file in OUTPUTS.items() for word in (f"--{name}", folder / file)]
        return script("pose_detector.py", "lightposenet", "--input", self.place / "in", *outputs, *(["--resume"] if again else []))

    def check(self, folder, number):
        if (folder / "r.json").exists():
            json.loads((folder / "r.json").read_text())
        for path in (folder / "drawn").glob("[!.]*"):
            assert cv2.imdecode(np.fromfile(path, np.uint8), 1) is not None, path

    def read(self, folder):
        return read_results(folder)


class Demo(Folder):
    """Faces and hands too."""

    name, sign = "demo", "r.jsonl"
    most_kills = 4

    def __init__(self, place):
        Work.__init__(self, place)
        (self.place / "in").mkdir()
        image = cv2.resize(cv2.imread(str(ROOT / "data" / "people.png")), (640, 480), interpolation=cv2.INTER_AREA)
        for number in range(12):
            cv2.imwrite(str(self.place / "in" / f"{number:02d}.png"), np.roll(image, 20 * number, axis=1))

    def command(self, folder, again):
        outputs = [word for name, file in OUTPUTS.items() for word in (f"--{name}", folder / file)]
        return script("demo.py", "--input", self.place / "in", *outputs, *(["--resume"] if again else []))


class Video(Work):
    """A video; it cannot be resumed, but one that is ended by SIGINT or SIGTERM is closed, whole."""

    name, resumes, most_kills, sign = "video", False, 3, "r.jsonl"

    def __init__(self, place):
        super().__init__(place)
        writer = cv2.VideoWriter(str(self.place / "in.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 25, (320, 240))
        image = people()
        for number in range(60):
            writer.write(np.roll(image, 5 * number, axis=1))
        writer.release()

    def command(self, folder, again):
        return script("pose_detector.py", "lightposenet", "--input", self.place / "in.avi", "--out", folder / "v.mp4", "--jsonl", folder / "r.jsonl")

    def check(self, folder, number):
        if (folder / "v.mp4").exists():
            assert read_video(folder / "v.mp4")[0], "the video cannot be read"
        for line in (folder / "r.jsonl").read_text().splitlines() if (folder / "r.jsonl").exists() else []:
            json.loads(line)

    def read(self, folder):
        return [image.tobytes() for image in read_video(folder / "v.mp4")[0]], (folder / "r.jsonl").read_text()


class Training(Work):
    """A run of ten iterations with a snapshot every two; its samples are made by two processes."""

    name, sign, reached = "training", "out/log", "--iteration 10 is reached"

    def __init__(self, place):
        super().__init__(place)
        make_coco(make_coco(self.place / "coco"), "val")

    def command(self, folder, again):
        often = ("--interval", 2, "--val_interval", 4, "--log_interval", 1, "--val_samples", 2)
        small = ("--arch", "lightposenet", "--insize", 64, "--batchsize", 2, "--loaderjob", 2, "--iteration", 10)
        out = folder / "out"
        last = list(out.glob("snapshot_iter_*")) if out.exists() else []
        return script(
            "train_coco_pose_estimation.py",
            "--coco_dir",
            self.place / "coco",
            "--out",
            out,
            *small,
            *often,
            *(["--resume"] if again and last else []),
        )

    def read(self, folder):
        return (folder / "out" / "model_iter_10").read_bytes(), log_of(folder / "out")


class Evaluation(Work):
    """Files are written at the end, all or none."""

    name, resumes, most_kills = "evaluation", False, 3
    FILES = ("r.json", "figures.json", "report/index.html")

    def __init__(self, place):
        super().__init__(place)
        root = self.place / "coco"
        pose, box = standing(100, 50, 24)
        make_coco(root, "val", images=range(1, 31), annotations=[coco_annotation(number, number, pose, box) for number in range(1, 31)])
        for path in (root / "val2017").iterdir():
            cv2.imwrite(str(path), people())

    def command(self, folder, again):
        options = ("--coco_dir", self.place / "coco", "--out", folder / "r.json", "--json", folder / "figures.json", "--report", folder / "report")
        return script("evaluate_coco_pose.py", "lightposenet", *options)

    def check(self, folder, number):
        there = [name for name in self.FILES if (folder / name).exists()]
        for name in there:
            assert has_bytes(folder / name), name
            if name.endswith(".json"):
                json.loads((folder / name).read_text())

    def read(self, folder):
        figures = json.loads((folder / "figures.json").read_text())
        return (folder / "r.json").read_text(), figures["figures"], sorted(path.name for path in (folder / "report").iterdir())


class Conversion(Work):
    """A network over another one under the same names: at any moment one of the two is there."""

    name, resumes, most_kills, sign = "conversion", False, 4, ".*.part*"

    def __init__(self, place):
        super().__init__(place)
        write_weights(self.place / "other.npz", seeded_weights(shapes_of("lightposenet")))
        self.x = np.full((1, 3, 64, 64), 0.1, np.float32)

    def command(self, folder, again):
        return script("convert_model.py", "lightposenet", ARCHS["lightposenet"].weights, folder / "net.xml", "--dynamic")

    def prepare(self, folder):
        import convert_model

        assert convert_model.main(["lightposenet", str(self.place / "other.npz"), str(folder / "net.xml"), "--dynamic"]) == 0
        self.old = self.answer(folder)

    def answer(self, folder):
        return hashlib.sha256(open_net("lightposenet", folder / "net.xml", precision="f32")(self.x)[0].tobytes()).hexdigest()

    def check(self, folder, number):
        now = self.answer(folder)
        assert now in (self.old, getattr(self, "new", now)), "neither the old network nor the new one"

    def read(self, folder):
        self.new = self.answer(folder)
        assert self.new != self.old
        return self.new, sorted(path.suffix for path in folder.iterdir())


class Masks(Work):
    name, sign = "masks", "ignore_mask_train2017/*.png"

    def __init__(self, place):
        super().__init__(place)
        crowds = [coco_annotation(number, number, None, (40, 30, 100 + number % 50, 120), iscrowd=0) for number in range(1, 401)]
        people_too = [coco_annotation(1000 + number, number, *standing(220, 60, 20)) for number in range(1, 401)]
        make_coco(self.place / "coco", images=range(1, 401), annotations=crowds + people_too)
        shutil.rmtree(self.place / "coco" / "ignore_mask_train2017", ignore_errors=True)

    def prepare(self, folder):
        (folder / "annotations").symlink_to(self.place / "coco" / "annotations")
        (folder / "train2017").symlink_to(self.place / "coco" / "train2017")

    def command(self, folder, again):
        return script("gen_ignore_mask.py", "--coco_dir", folder, "--split", "train", "--jobs", 2)

    def check(self, folder, number):
        for path in (folder / "ignore_mask_train2017").glob("[!.]*.png"):
            assert cv2.imdecode(np.fromfile(path, np.uint8), 0) is not None, path

    def read(self, folder):
        return {path.name: path.read_bytes() for path in (folder / "ignore_mask_train2017").iterdir()}


class SlowFile(BaseHTTPRequestHandler):
    content = np.random.default_rng(0).bytes(400_000)

    def do_GET(self):
        begin = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        if begin >= len(self.content):
            self.send_error(416)
            return
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(self.content) - 1}/{len(self.content)}")
        self.send_header("Content-Length", str(len(self.content) - begin))
        self.end_headers()
        try:
            for at in range(begin, len(self.content), 4096):
                self.wfile.write(self.content[at : at + 4096])
                time.sleep(0.03)
        except OSError:
            self.close_connection = True

    def log_message(self, *_):
        pass


class Download(Work):
    name, tool, sign = "download, curl", "curl", ".net.caffemodel.part.*/part"

    def __init__(self, place):
        super().__init__(place)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), SlowFile)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{self.server.server_address[1]}/net"
        digest = hashlib.sha256(SlowFile.content).hexdigest()
        (self.place / "table").write_text(f"body net.caffemodel {len(SlowFile.content)} 256 {digest} {address}\n")
        other = {"curl": "wget", "wget": "curl"}[self.tool]
        (self.place / "bin").mkdir()
        for folder in os.environ["PATH"].split(os.pathsep):
            for path in Path(folder).glob("*") if Path(folder).is_dir() else []:
                if path.name != other and not (self.place / "bin" / path.name).is_symlink():
                    (self.place / "bin" / path.name).symlink_to(path)

    def environment(self):
        return {"MODELS_TABLE": str(self.place / "table"), "no_proxy": "*", "PATH": str(self.place / "bin")}

    def command(self, folder, again):
        return ["sh", str(ROOT / "getModels.sh"), "--body", "--download_only", "--folder", str(folder)]

    def check(self, folder, number):
        path = folder / "net.caffemodel"
        assert not path.exists() or path.read_bytes() == SlowFile.content

    def read(self, folder):
        return {path.name: path.read_bytes() for path in folder.iterdir()}


class DownloadByWget(Download):
    name, tool = "download, wget", "wget"


WORKS = {work.name: work for work in (Folder, Demo, Video, Training, Evaluation, Conversion, Masks, Download, DownloadByWget)}
