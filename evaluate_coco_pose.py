"""Measure how well a network finds people: COCO's keypoint AP and AR, by pycocotools, and the errors of each keypoint.

python evaluate_coco_pose.py lightposenet --coco_dir coco --limit 200 --report report
python evaluate_coco_pose.py posenet models/coco_posenet.npz --coco_dir coco --preset precise_flip --out detections.json --json evaluation.json
python evaluate_coco_pose.py human-pose-estimation-0001 models/human-pose-estimation-0001.xml --coco_dir coco --precision f32

Presets: single (short side 368, as pose_detector.py looks), precise (four scales), flip (short side 368 and the mirror image), precise_flip (both).
The AP is over exactly the pictures that were looked at; with --limit N these are N pictures, evenly spread over the split.
Interrupting ends the work with nothing written: files are written whole, at the end.
"""

import process  # noqa: F401 (before what takes seconds)

import json
import platform
import sys
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import cv2

import cli
import cli_network
from engines import open_net
from engines.cache import default_cache_dir
from entity import COCO_YEAR
from errors import InputError
from evaluation import report
from evaluation.coco import SPLITS, check_coco, check_pictures, read_annotations
from evaluation.coco_ap import choose, coco_entries, coco_result, detect_all
from evaluation.keypoint_errors import compare, keypoint_errors
from files import check_distinct, check_path, is_same_file
from models import ARCHS
from pose_detector import PoseDetector
from streams import results, shared

PRESETS = {"single": {}, "precise": {"precise": True}, "flip": {"flip": True}, "precise_flip": {"precise": True, "flip": True}}
POSE_ARCHS = [name for name, row in ARCHS.items() if row.task == "pose"]


def parser():
    p = cli.Parser(prog="evaluate_coco_pose.py", description=__doc__)
    p.add_argument("arch", choices=POSE_ARCHS, metavar="ARCH", help=f"The network: {', '.join(POSE_ARCHS)}.")
    p.add_argument(
        "weights",
        nargs="?",
        metavar="WEIGHTS",
        help="The file of its weights, an .npz, .xml, .onnx or .pb (default: those that ship, or were fetched).",
    )
    p.add_argument("--bin", metavar="FILE", help="Read the .xml's weights from this file (default: the .bin beside it).")
    cli.add_coco_dir(p)
    p.add_argument("--split", choices=SPLITS, default="val", help="Take the pictures of this part of COCO (default: val).")
    p.add_argument(
        "--limit", type=cli.positive_int, metavar="N", help="Take only N pictures, evenly spread over the split, for a quick look (default: all)."
    )
    p.add_argument(
        "--preset",
        choices=tuple(PRESETS),
        default="single",
        help="Take these scales: single is one, with a second look as pose_detector.py has it, precise four, and flip adds the mirror image; "
        "each finds more and takes longer (default: single).",
    )
    p.add_argument(
        "--scales",
        type=partial(cli.bounded_float, least=0.1, most=4, what="scale"),
        nargs="+",
        metavar="S",
        help="Average the maps of these scales of --short_side, instead of the preset's.",
    )
    p.add_argument("--flip", action="store_true", help="Average the maps of the picture and of its mirror image, whatever the preset says.")
    cli_network.add_short_side(p)
    p.add_argument("--out", metavar="FILE", help="Write the detections as COCO's list of results (JSON).")
    p.add_argument("--json", metavar="FILE", help="Write the figures, the errors of each keypoint, and those of each picture (JSON).")
    p.add_argument("--report", metavar="FOLDER", help="Make a page with the worst and the best pictures, FOLDER/index.html.")
    cli_network.add_engine_options(p)
    return p


def check_outputs(options, annotations, folder):
    """Raise InputError if --out, --json or --report cannot be written, or would overwrite what is read."""
    for name in ("out", "json"):
        path = getattr(options, name)
        if path is not None:
            check_path(path, f"--{name}")
            if is_same_file(Path(path).parent, folder):
                raise InputError(f"--{name} {path}: this is COCO's folder of pictures; choose another one")
    read = {"weights": options.weights, "bin": options.bin, "coco_dir_file": annotations}
    check_distinct(read, {"out": options.out, "json": options.json})
    if options.report is not None:
        report.check_folder(options.report)


def open_detector(options):
    net = open_net(options.arch, options.weights, bin=options.bin, cache_dir=default_cache_dir(), **cli_network.engine_options(options))
    kind = PRESETS[options.preset] | ({"flip": True} if options.flip else {})
    if options.scales:
        kind = kind | {"precise": True, "scales": options.scales}
    return PoseDetector(net, short_side=options.short_side, **kind)


def describe(options, detector, n_images, n_total) -> dict:
    """What was run."""
    engine = cli_network.engine_options(options)
    return {
        "arch": options.arch,
        "weights": str(options.weights or ARCHS[options.arch].weights.name),
        "engine": engine["engine"],
        "device": engine.get("device", "CPU") if engine["engine"] == "openvino" else f"GPU {options.gpu}" if options.gpu >= 0 else "CPU",
        "precision": "f32" if engine["engine"] == "chainer" else detector.net.precision or "the device's choice",
        "short_side": options.short_side,
        "scales": list(detector.scales) if detector.scales else [1],
        "second_look": detector.again,
        "flip": detector.flip,
        "split": f"{options.split}{COCO_YEAR}",
        "images": n_images,
        "images_of_the_split": n_total,
    }


def per_image(images, comparisons) -> list:
    """One entry for each image: who was found, how similar, and the scores of the detections."""
    rows = []
    for image in images:
        comparison = comparisons[image["id"]]
        oks = [round(float(value), 4) for value in comparison.oks]
        mean = round(comparison.mean_oks, 4) if oks else None
        scores = [round(float(score), 5) for score in comparison.scores]
        rows.append({"id": image["id"], "file_name": image["file_name"], "mean_oks": mean, "oks": oks, "scores": scores})
    return rows


def compare_all(dataset, found) -> dict:
    """{image id: evaluation.keypoint_errors.Comparison}. found: {image id: People}."""
    annotations_of = {number: [] for number in found}
    for entry in dataset["annotations"]:
        annotations_of[entry["image_id"]].append(entry)
    return {number: compare(annotations_of[number], people) for number, people in found.items()}


def versions() -> dict:
    """Of what the figures depend on; None for what is not installed."""
    found = {"python": platform.python_version(), "opencv": cv2.__version__}
    for name in ("numpy", "pycocotools", "openvino", "chainer"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def evaluate(options):
    with shared.crew("evaluate_coco_pose.py") as mates:  # several processes share the pictures out; the first one does the rest
        annotations, folder = check_coco(options.coco_dir, options.split)
        check_outputs(options, annotations, folder)
        everything = read_annotations(annotations)
        dataset = choose(everything, options.limit)
        images = dataset["images"]
        check_pictures(images, folder)
        detector = open_detector(options)
        if options.limit is not None and options.limit > len(images) and (mates is None or mates.first):
            print(f"--limit {options.limit}: there are only {len(images)} images; all of them are used", file=sys.stderr)
        found, seconds = detect_all(detector, images, folder, mates, sorted(vars(options).items()))
    if found is None:
        return
    entries = coco_entries(found)
    comparisons = compare_all(dataset, found)
    result = coco_result(dataset, entries)
    document = {
        "run": describe(options, detector, len(images), len(everything["images"])),
        "seconds_per_image": round(seconds, 4),
        "people": sum(len(comparison.oks) for comparison in comparisons.values()),
        "detections": len(entries),
        "figures": result.figures,
        "curves": result.curves,
        "keypoints": keypoint_errors(comparisons.values()),
        "per_image": per_image(images, comparisons),
        "versions": versions(),
    }
    write(options, document, entries, {image["id"]: folder / image["file_name"] for image in images}, comparisons)


def write(options, document, entries, pictures, comparisons):
    """Write --out, --json and --report, all or none, and print the figures. pictures: {image id: path}."""
    contents = {}
    if options.out is not None:
        contents[options.out] = (json.dumps(entries) + "\n").encode()
    if options.json is not None:
        contents[options.json] = (json.dumps(document, indent=1) + "\n").encode()
    if options.report is not None:
        contents |= report.make(options.report, document, pictures, comparisons)
    results.write_files(contents)
    if options.report is not None:
        report.remove_older(options.report, contents)
    print(report.text_of(document))
    if options.report is not None:
        print(f"\n{Path(options.report) / report.PAGE}")


def main(argv=None) -> int:
    return cli.run(parser(), evaluate, argv)


if __name__ == "__main__":
    sys.exit(main())
