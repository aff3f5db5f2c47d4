"""Measure the speed of every stage and engine on this machine, side by side in one run.

    python benchmark.py
    python benchmark.py --arch lightposenet --img data/people.png --repeats 20 --update README.md
    python benchmark.py --video VIDEO --calibration FOLDER_OF_PICTURES --coco_dir coco

PyTorch and ONNX Runtime stand beside our engines where they are installed (pip install torch onnx onnxruntime), INT8 where NNCF is.

Compare the ratios, not the milliseconds: machines differ, and so does one machine from hour to hour.
Networks whose weights are not there run with made-up numbers, which takes the same time.
"""

import process  # noqa: F401 (before what takes seconds)

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np

import cli
from coco_data_loader import CocoDataLoader
from engines import open_net
from engines.peers import made_up_weights, open_nets
from engines.processor import processor
from entity import MAX_SIDE, STRIDE
from errors import InputError
from evaluation.coco import check_coco
from files import atomic_file, read_bytes
from keypoints.draw import draw_poses
from keypoints.image import resize
from keypoints.paf import decode
from models import ARCHS, OURS, shapes_of
from models.weights import read_weights
from pose_detector import PoseDetector
from streams.frames import find_pictures
from streams.picture import read_image
from streams.threads import read_ahead

BEGIN, END = "<!-- benchmark -->", "<!-- /benchmark -->"
PICTURE = Path(__file__).parent / "data" / "people.png"
REST = 0.2  # seconds


def machine() -> str:
    """One line: processor, cores, instruction sets that matter here, versions."""
    name, sets = processor()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    versions = ", ".join(f"{package} {version(package)}" for package in ("openvino", "chainer", "numpy"))
    known = ", ".join(sets) or "instruction sets unknown"
    return f"{name}, {cores} cores ({known}); Python {platform.python_version()}, {versions}"


def medians(jobs, repeats) -> dict:
    """{name: median milliseconds} of jobs {name: function}, run in turn so that a slow moment of the machine meets all of them.

    Before each turn the threads of the job before may come to rest: those of most engines go on waiting actively for a while, and would
    take the cores from the next one (PyTorch: 105 ms instead of 14). Then the job's own are woken by a run that does not count.
    """
    seconds = {name: [] for name in jobs}
    for _ in range(repeats):
        for name, job in jobs.items():
            time.sleep(REST)
            job()
            begin = time.perf_counter()
            job()
            seconds[name].append(time.perf_counter() - begin)
    return {name: 1000 * statistics.median(values) for name, values in seconds.items()}


def network_rows(arch, size_wh, repeats, calibration) -> list:
    """Rows of the table: the forward pass of one network, per engine."""
    x = np.random.default_rng(0).random((1, 3, size_wh[1], size_wh[0]), dtype=np.float32) - 0.5
    nets = open_nets(arch, calibration)
    times = medians({name: lambda net=net: net(x) for name, net in nets.items()}, repeats)
    slowest = max(times.values())
    return [(f"{arch}, network {size_wh[0]}x{size_wh[1]}", name, ms, slowest / ms) for name, ms in times.items()]


def stage_rows(image, picture, repeats) -> list:
    """Rows of the table: everything around the network, for one picture with LightPoseNet's maps."""
    detector = PoseDetector(open_net("lightposenet"))
    pafs, heatmaps, _ = detector.network_maps(image)
    poses, _ = detector(image)
    size = f"{image.shape[1]}x{image.shape[0]}, {len(poses)} people"
    times = medians(
        {
            f"read the picture ({size})": lambda: read_image(picture),
            "decode": lambda: decode(pafs, heatmaps, detector.decoding),
            "draw": lambda: draw_poses(image, poses),
            "all with lightposenet, OpenVINO": lambda: draw_poses(image, detector(read_image(picture))[0]),
        },
        repeats,
    )
    return [(name, "", ms, None) for name, ms in times.items()]


def video_rows(video) -> list:
    """Rows of the table: a video, 640 pixels wide, from reading to drawing, with LightPoseNet at short side 256."""

    def frames():
        capture = cv2.VideoCapture(str(video))
        while (found := capture.read())[0]:
            yield resize(found[1], (640, round(640 * found[1].shape[0] / found[1].shape[1])))
        capture.release()

    detector = PoseDetector(open_net("lightposenet"), short_side=256)
    begin = n_frames = 0
    for image, people in detector.stream(read_ahead(frames())):
        draw_poses(image, people.poses)
        begin = begin or time.perf_counter()  # after the first frame, which waits for the network to be prepared
        n_frames += 1
    if n_frames < 2:
        raise InputError(f"--video {video}: expected a video of some frames, got {n_frames}")
    ms = 1000 * (time.perf_counter() - begin) / (n_frames - 1)
    return [(f"video, {n_frames} frames, read to drawn ({1000 / ms:.0f} frames/s)", "OpenVINO, lightposenet, short side 256", ms, None)]


def whole_video_rows(video) -> list:
    """Rows of the table: the same video in its own size, by pose_detector.py as a user runs it: tracked, smoothed, drawn, written as .mp4."""
    with tempfile.TemporaryDirectory() as folder:
        script, out = Path(__file__).with_name("pose_detector.py"), Path(folder) / "out.mp4"
        command = [sys.executable, script, "lightposenet", "--input", video, "--short_side", "256", "--smooth", "--out", out]
        begin = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        seconds = time.perf_counter() - begin
        n_frames = int(cv2.VideoCapture(str(out)).get(cv2.CAP_PROP_FRAME_COUNT))
    stage = f"video, {n_frames} frames, start to end with tracking, drawing and .mp4 ({seconds:.1f} s)"
    return [(stage, "OpenVINO, lightposenet, short side 256", 1000 * seconds / n_frames, None)]


def training_rows(arch, coco_dir, iterations) -> list:
    """Rows of the table: training on the CPU, batches of 2 pictures of 368x368, samples made by one process beside it."""
    from training.run import throughput

    with tempfile.TemporaryDirectory() as folder:
        weights = read_weights(ARCHS[arch].weights or made_up_weights(arch, folder), shapes_of(arch))
    images, waited = throughput(arch, CocoDataLoader(coco_dir), weights, batch=2, iterations=iterations)
    stage = f"training {arch}, an image of 368x368 ({images:.2f} images/s; {100 * waited:.1f} % of it waiting for data)"
    return [(stage, "Chainer f32", 1000 / images, None)]


def table(rows) -> str:
    lines = ["| stage | engine | ms | times faster than the slowest |", "|---|---|---:|---:|"]
    for stage, engine, ms, ratio in rows:
        lines.append(f"| {stage} | {engine} | {ms:.1f} | {'' if ratio is None else f'{ratio:.1f}'} |")
    return "\n".join(lines)


def split_page(path) -> list:
    """What stands before and after the markers in a file. Raises InputError where they are not."""
    page = read_bytes(path, "--update").decode("utf-8", "replace")
    parts = [page.partition(BEGIN)[0], page.partition(END)[2]]
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(BEGIN) > page.index(END) or "\ufffd" in page:
        raise InputError(f"--update {path}: expected a text with the markers {BEGIN} and {END}; add them where the table belongs")
    return parts


def update(path, text):
    """Replace what stands between the markers in a file."""
    head, tail = split_page(path)
    with atomic_file(path) as part:
        part.write_text(f"{head}{BEGIN}\n{text}\n{END}{tail}", encoding="utf-8")


def parser():
    p = cli.Parser(prog="benchmark.py", description=__doc__)
    p.add_argument(
        "--arch", nargs="+", choices=OURS, default=["lightposenet", "posenet"], help="Measure these networks (default: lightposenet posenet)."
    )
    p.add_argument(
        "--img", default=PICTURE, metavar="PICTURE", help="Measure the stages around the network on this picture (default: data/people.png)."
    )
    p.add_argument(
        "--size",
        type=partial(cli.whole_number, least=STRIDE, most=MAX_SIDE),
        default=368,
        metavar="PIXELS",
        help="Feed the networks squares of this side (default: 368).",
    )
    p.add_argument(
        "--repeats",
        type=cli.positive_int,
        default=7,
        metavar="N",
        help="Run each stage N times, of which the median counts; more steadies it (default: 7).",
    )
    p.add_argument("--video", metavar="VIDEO", help="Measure this video too, from its file to the written results.")
    p.add_argument("--coco_dir", metavar="FOLDER", help="Measure training on COCO too (pose networks).")
    p.add_argument("--calibration", metavar="FOLDER", help="Measure INT8 too, calibrated on 20 pictures of this folder; this needs NNCF.")
    p.add_argument("--update", metavar="FILE", help="Put the table between the markers of this file, for example README.md.")
    return p


def measure(options):
    if options.size % STRIDE:
        raise InputError(f"--size {options.size}: expected a multiple of {STRIDE}")
    if options.update is not None:
        split_page(options.update)
    if options.video is not None and not cv2.VideoCapture(str(options.video)).read()[0]:
        raise InputError(f"--video {options.video}: OpenCV reads no frame of it; name a video")
    if options.coco_dir is not None:
        check_coco(options.coco_dir, "train")
    image = read_image(options.img)
    calibration = [read_image(path) for path in find_pictures(options.calibration, 20)] if options.calibration else None
    rows = []
    for arch in options.arch:
        rows += network_rows(arch, (options.size, options.size), options.repeats, calibration)
    rows += stage_rows(image, options.img, 3 * options.repeats)
    if options.video:
        rows += video_rows(options.video) + whole_video_rows(options.video)
    if options.coco_dir:
        for arch in (name for name in options.arch if ARCHS[name].task == "pose"):
            rows += training_rows(arch, options.coco_dir, 2 if arch == "posenet" else 10)
    text = f"{table(rows)}\n\nMeasured on {machine()}."
    print(text)
    if options.update:
        update(options.update, text)


def main(argv=None) -> int:
    return cli.run(parser(), measure, argv)


if __name__ == "__main__":
    sys.exit(main())
