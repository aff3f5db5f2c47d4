"""Measure the speed of every stage and engine on this machine, side by side in one run.

    python benchmark.py --quick
    python benchmark.py --arch lightposenet --img data/people.png --repeats 20 --update docs/speed-table.md --chart docs/speed.svg --json speed.json
    python benchmark.py --video VIDEO --photos FOLDER --calibration FOLDER --coco_dir coco

PyTorch and ONNX Runtime stand beside our engines where they are installed (pip install torch onnxruntime), and OpenCV's own; INT8 of networks
that ship it, and of the others where NNCF is.

Compare the ratios, not the milliseconds: machines differ, and so does one machine from hour to hour.
Networks whose weights are not there run with made-up numbers, which takes the same time.
"""

import process  # noqa: F401 (before what takes seconds)

import os
import platform
import sys
import tempfile
import time
from functools import partial
from importlib.metadata import version
from pathlib import Path

import cli
from coco_data_loader import CocoDataLoader
from engines import open_net
from engines.peers import made_up_weights
from engines.processor import processor
from entity import MAX_SIDE, STRIDE
from errors import InputError
from evaluation.coco import check_coco
from files import check_distinct, check_path
from keypoints.draw import draw_people
from keypoints.image import resize
from models import ARCHS, OURS, shapes_of
from models.weights import read_weights
from pose_detector import PoseDetector
from speed import networks, rows, runs, stages
from speed.rows import Row
from streams.frames import Video, find_pictures
from streams.picture import read_image
from streams.threads import opencv_on_one_thread, read_ahead

PICTURE = Path(__file__).parent / "data" / "people.png"
CHARTS = (".png", ".svg")


def machine() -> str:
    """One line: processor, cores, instruction sets that matter here, versions."""
    name, sets = processor()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    versions = ", ".join(f"{package} {version(package)}" for package in ("openvino", "chainer", "numpy"))
    known = ", ".join(sets) or "instruction sets unknown"
    return f"{name}, {cores} cores ({known}); Python {platform.python_version()}, {versions}"


def drawn_video_row(video) -> Row:
    """A video, 640 pixels wide, from reading to drawing, LightPoseNet at short side 256; without the first frame, which waits for the network."""
    source = Video(video)
    wide = (640, round(640 * source.size_wh[1] / source.size_wh[0]))
    detector = PoseDetector(open_net("lightposenet"), short_side=256)
    begin = n_frames = 0
    with opencv_on_one_thread():
        for image, people in detector.stream((resize(frame.image, wide) for frame in source.frames()), read_ahead):
            draw_people(image, detector.persons(people))
            begin = begin or time.perf_counter()
            n_frames += 1
    source.close()
    ms = 1000 * (time.perf_counter() - begin) / (n_frames - 1)
    return Row("run", f"video, {n_frames} frames, read to drawn ({1000 / ms:.0f} frames/s)", f"{runs.NETWORK}, short side 256", ms)


def training_row(arch, coco_dir, iterations) -> Row:
    """Training on the CPU, batches of 2 pictures of 368x368, samples made by one process beside it."""
    from training.run import throughput

    with tempfile.TemporaryDirectory() as folder:
        weights = read_weights(ARCHS[arch].weights or made_up_weights(arch, folder), shapes_of(arch))
    images, waited = throughput(arch, CocoDataLoader(coco_dir), weights, batch=2, iterations=iterations)
    stage = f"training {arch}, an image of 368x368 ({images:.2f} images/s; {100 * waited:.1f} % of it waiting for data)"
    return Row("training", stage, "Chainer f32", 1000 / images)


def parser():
    p = cli.Parser(prog="benchmark.py", description=__doc__)
    p.add_argument("--arch", nargs="+", choices=OURS, help="Measure these networks (default: lightposenet posenet; with --quick lightposenet).")
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
    about = "Run each stage N times, of which the median counts; more steadies it (default: 7; with --quick 3)."
    p.add_argument("--repeats", type=cli.positive_int, metavar="N", help=about)
    p.add_argument("--quick", action="store_true", help="Be done in a minute: one network, fewer repeats, growth with fewer people and pixels.")
    p.add_argument("--video", metavar="VIDEO", help="Measure this video too, from its file to the written results, also with faces and hands.")
    p.add_argument("--photos", metavar="FOLDER", help="Measure the photos of this folder too, from the shell to a file of results.")
    p.add_argument("--coco_dir", metavar="FOLDER", help="Measure training on COCO too (pose networks).")
    p.add_argument(
        "--calibration", metavar="FOLDER", help="Measure INT8 of networks that do not ship it too, calibrated on 20 pictures of this folder by NNCF."
    )
    p.add_argument("--json", metavar="FILE", help="Write all that was measured as JSON.")
    p.add_argument("--chart", metavar="FILE", help="Write a picture of the time by stage and engine (.png or .svg).")
    about = "Put the tables between the markers of these files, as far as they have them: <!-- benchmark -->, <!-- growth -->, <!-- peak -->."
    p.add_argument("--update", nargs="+", metavar="FILE", help=about)
    return p


def check(options):
    """Raise InputError for what cannot be read or written, before minutes go by."""
    if options.size % STRIDE:
        raise InputError(f"--size {options.size}: expected a multiple of {STRIDE}")
    for path in options.update or ():
        rows.split_page(path)
    for name in ("json", "chart"):
        if getattr(options, name) is not None:
            check_path(getattr(options, name), f"--{name}")
    if options.chart is not None and Path(options.chart).suffix not in CHARTS:
        raise InputError(f"--chart {options.chart}: expected a name that ends in {' or '.join(CHARTS)}")
    check_distinct({"img": options.img, "video": options.video}, {"json": options.json, "chart": options.chart})
    if options.video is not None:
        runs.check_video(options.video)
    if options.photos is not None:
        find_pictures(options.photos, None)
    if options.coco_dir is not None:
        check_coco(options.coco_dir, "train")


def measured_rows(options, archs, repeats, folder) -> list:
    """Every speed.rows.Row that is asked for. folder: for what the runs write."""
    calibration = [read_image(path) for path in find_pictures(options.calibration, 20)] if options.calibration else None
    found = []
    for arch in archs:
        found += networks.network_rows(arch, (options.size, options.size), repeats, calibration)
    found += stages.stage_rows(PoseDetector(open_net("lightposenet")), options.img, Path(folder) / "out.json", 3 * repeats)
    found += runs.start_rows(options.img, folder, repeats)
    few = 1 if options.quick else 3
    if options.photos:
        found += runs.folder_rows(options.photos, folder, few)
    if options.video:
        found += [drawn_video_row(options.video), *runs.video_rows(options.video, folder, few)]
    if options.coco_dir:
        for arch in (name for name in archs if ARCHS[name].task == "pose"):
            found.append(training_row(arch, options.coco_dir, 2 if arch == "posenet" else 10))
    return found


def measure(options):
    check(options)
    image = read_image(options.img)
    archs = options.arch or (["lightposenet"] if options.quick else ["lightposenet", "posenet"])
    repeats = options.repeats or (3 if options.quick else 7)
    with tempfile.TemporaryDirectory() as folder:
        found = measured_rows(options, archs, repeats, folder)
    people = stages.growth_with_people(3 * repeats, (1, 5, 20) if options.quick else stages.PEOPLE)
    pixels = stages.growth_with_pixels(PoseDetector(open_net("lightposenet")), image, repeats, (256, 368) if options.quick else stages.SIDES)
    rates = networks.best_rates(repeats)
    host = machine()
    texts = {
        "benchmark": f"{rows.table(found)}\n\nMeasured on {host}.",
        "growth": "\n\n".join(
            [
                rows.growth_table("made-up people, ms", (*stages.DECODED, "draw"), people),
                rows.growth_table("short side (network's input), ms", ("prepare", "network", *stages.DECODED), pixels),
            ]
        ),
        "peak": networks.share_table(found, rates),
    }
    print("\n\n".join(texts.values()))
    for path in options.update or ():
        rows.update(path, texts)
    if options.json:
        rows.write_json(options.json, host, found, {"people": people, "pixels": pixels}, rates)
    if options.chart:
        from speed.chart import write_chart

        write_chart(Path(options.chart), found, host)


def main(argv=None) -> int:
    return cli.run(parser(), measure, argv)


if __name__ == "__main__":
    sys.exit(main())
