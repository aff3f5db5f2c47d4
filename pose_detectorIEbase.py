"""Compare Chainer and OpenVINO on one picture: the maps, the people found, and where they differ.

    python pose_detectorIEbase.py posenet models/coco_posenet.npz --img data/person.png
    python pose_detectorIEbase.py posenet models/coco_posenet.npz --img data/person.png --xml models/INT8/pose_iter_440000.xml --json compare.json

Chainer is the reference. OpenVINO runs in f32, in bf16 where the processor has it, with weights in FP16, and with each .xml named.
"""

import process  # noqa: F401 (before what takes seconds)

import io
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import cli
import cli_network
from engines import open_net
from errors import InputError
from evaluation.compare import compare_maps, count_common, found_points, pose_points
from face_detector import FaceDetector
from files import check_distinct, check_path
from hand_detector import HandDetector
from models import ARCHS, OURS
from pose_detector import PoseDetector
from streams import results
from streams.formats import to_json_text
from streams.picture import read_image

REFERENCE = "Chainer f32"
KINDS = {"pose": ("PAF", "heatmap"), "face": ("heatmap",), "hand": ("heatmap",)}


class Recorder:
    """A network that remembers its answer."""

    def __init__(self, net):
        self.net = net
        self.arch = net.arch
        self.answer = None

    def __call__(self, x):
        self.answer = self.net(x)
        return self.answer


def make_detector(net, options):
    task = net.arch.task
    if task == "pose":
        return PoseDetector(net, short_side=options.short_side, again=False)  # one answer of the network, to compare
    return FaceDetector(net) if task == "face" else HandDetector(net, hand=options.hand)


def open_nets(options, folder):
    """Yield (name, network): the reference first, then what this machine can run, one at a time."""
    arch, weights = options.arch, options.weights
    yield REFERENCE, open_net(arch, weights, engine="chainer")
    yield "OpenVINO f32", open_net(arch, weights, precision="f32", device=options.device)
    try:
        yield "OpenVINO bf16", open_net(arch, weights, precision="bf16", device=options.device)
    except InputError:
        print("OpenVINO bf16: not offered by this processor")
    yield "OpenVINO FP16 weights", open_net(arch, half_precision(arch, weights, folder), precision="f32", device=options.device)
    for xml in options.xml:
        yield str(xml), open_net(arch, xml, precision="f32", device=options.device)


def half_precision(arch, weights, folder) -> Path:
    """An FP16 .xml of the network, in `folder`."""
    from engines.openvino_ir import make_ir, save_ir
    from models import other_shapes, shapes_of
    from models.weights import read_weights

    path = Path(folder) / "fp16.xml"
    parameters = read_weights(weights or ARCHS[arch].weights, shapes_of(arch), other_shapes(arch))
    save_ir(make_ir(arch, ARCHS[arch], parameters), path, compress_to_fp16=True)
    return path


def run(name, net, image, options) -> dict:
    """What one network answers: {"name", "maps": arrays, "points", "people", "seconds"}."""
    recorder = Recorder(net)
    detector = make_detector(recorder, options)
    detector.detect(image)  # compiles
    begin = time.perf_counter()
    found = detector.detect(image)
    seconds = time.perf_counter() - begin
    is_pose = net.arch.task == "pose"
    points = pose_points(found.poses) if is_pose else found_points(found)
    return {
        "name": name,
        "maps": [np.array(a) for a in recorder.answer],
        "points": points,
        "people": len(found) if is_pose else None,
        "seconds": seconds,
    }


def summarise(runs, kinds) -> list:
    """One dict per network: statistics of its maps, and differences from the reference."""
    reference, rows = runs[0], []
    for item in runs:
        shapes = [[maps.shape for maps in one["maps"]] for one in (reference, item)]
        if shapes[0] != shapes[1]:
            raise InputError(f"{item['name']} answers maps of {shapes[1]}, expected {shapes[0]}; this is another network")
        row = {"engine": item["name"], "seconds": round(item["seconds"], 4), "joints": len(item["points"]), "maps": {}}
        if item["people"] is not None:
            row["people"] = item["people"]
        row["joints_in_common"] = count_common(reference["points"], item["points"])
        for kind, maps, expected in zip(kinds, item["maps"], reference["maps"], strict=True):
            statistics = {name: float(getattr(maps, name)()) for name in ("std", "mean", "max", "min")}
            row["maps"][kind] = statistics | {f"difference_{k}": v for k, v in compare_maps(expected, maps)._asdict().items()}
        rows.append(row)
    return rows


def print_tables(rows, kinds):
    width = max(len(row["engine"]) for row in rows)
    for kind in kinds:
        print(f"\n{kind:{width}}  {'stddev':>10} {'mean':>10} {'max':>10} {'min':>11}")
        for row in rows:
            m = row["maps"][kind]
            print(f"{row['engine']:{width}}  {m['std']:10.7f} {m['mean']:10.7f} {m['max']:10.7f} {m['min']:11.7f}")
    for kind in kinds:
        print(f"\n{kind + ', difference':{width}}  {'max':>10} {'mean':>10} {'correlation':>12}")
        for row in rows[1:]:
            m = row["maps"][kind]
            print(f"{row['engine']:{width}}  {m['difference_max']:10.7f} {m['difference_mean']:10.7f} {m['difference_correlation']:12.8f}")
    print(f"\n{'found':{width}}  {'people':>7} {'joints':>7} {'in common':>10} {'ms':>9}")
    for row in rows:
        people = row.get("people", "")
        print(f"{row['engine']:{width}}  {people:>7} {row['joints']:>7} {row['joints_in_common']:>10} {1000 * row['seconds']:9.1f}")


def draw_differences(path, image, runs, kinds) -> bytes:
    """A picture, in the format of path's extension: per network what it found, and over the photo, in grey, where it differs from the reference.

    image (H, W, 3) uint8 BGR. A difference is the maximum over the channels of a kind of map.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    others, n_columns = runs[1:], 1 + len(kinds)
    height, width = image.shape[:2]
    figure, axes = plt.subplots(len(others), n_columns, figsize=(5 * n_columns, 3.4 * len(others)), squeeze=False, layout="constrained")
    for line, item in zip(axes, others, strict=True):
        name = Path(item["name"]).name
        line[0].imshow(image[..., ::-1])
        for found, mark, label in ((runs[0], "w+", REFERENCE), (item, "r.", name)):
            line[0].plot(*found["points"][:, 1:3].T, mark, markersize=4, label=label)
        line[0].legend(loc="upper center", bbox_to_anchor=(0.5, 0), ncols=2, fontsize=8, facecolor="grey")
        line[0].set_title(f"{name}: what was found", fontsize=8)
        for axis, kind, maps, expected in zip(line[1:], kinds, item["maps"], runs[0]["maps"], strict=True):
            difference = np.abs(maps - expected)[0].max(0)
            axis.imshow(image.mean(2), cmap="gray", vmin=0, vmax=255)
            extent = (-0.5, width - 0.5, height - 0.5, -0.5)
            picture = axis.imshow(difference, cmap="magma", extent=extent, alpha=0.2 + 0.8 * np.sqrt(difference / max(difference.max(), 1e-12)))
            axis.set_title(f"{name}: {kind}, |difference| to {REFERENCE}", fontsize=8)
            figure.colorbar(picture, ax=axis)
        for axis in line:
            axis.set_xticks([])
            axis.set_yticks([])
    content = io.BytesIO()
    figure.savefig(content, format=Path(path).suffix[1:], dpi=100)
    plt.close(figure)
    return content.getvalue()


def parser():
    p = cli.Parser(prog="pose_detectorIEbase.py", description=__doc__)
    p.add_argument("arch", choices=OURS, metavar="ARCH", help=f"The network: {', '.join(OURS)}.")
    p.add_argument("weights", nargs="?", metavar="NPZ", help="The file of its weights, an .npz (default: those that ship, or were fetched).")
    p.add_argument("--img", required=True, metavar="PICTURE", help="Compare the engines on this picture.")
    p.add_argument("--xml", nargs="+", default=[], metavar="XML", help="Compare these files of OpenVINO too, for example one in INT8.")
    p.add_argument("--out", default="difference.png", metavar="PICTURE", help="Draw the differences into this picture (default: difference.png).")
    p.add_argument("--json", metavar="FILE", help="Write the numbers too.")
    cli_network.add_short_side(p, "For poses: ")
    p.add_argument("--hand", choices=["left", "right"], default="right", help="For a hand: say which one the picture shows (default: right).")
    p.add_argument("--device", help="Run on this device of OpenVINO; IEbase.py lists those of the machine (default: CPU).")
    return p


def compare(options):
    if Path(options.out).suffix not in (".png", ".jpg", ".pdf", ".svg"):
        raise InputError(f"--out {options.out}: expected a .png, .jpg, .pdf or .svg")
    check_path(options.out, "--out")
    if options.json is not None:
        check_path(options.json, "--json")
    check_distinct({"img": options.img, "weights": options.weights, "xml": options.xml}, {"out": options.out, "json": options.json})
    image = read_image(options.img)
    kinds = KINDS[ARCHS[options.arch].task]
    with tempfile.TemporaryDirectory() as folder:
        runs = [run(name, net, image, options) for name, net in open_nets(options, folder)]
    rows = summarise(runs, kinds)
    print_tables(rows, kinds)
    contents = {options.out: draw_differences(options.out, image, runs, kinds)}
    if options.json is not None:
        text = to_json_text(options.img, (image.shape[1], image.shape[0]), arch=options.arch, engines=rows)
        contents[options.json] = text.encode()
    results.write_files(contents)
    print(f"\n{options.out}: where they differ")


def main(argv=None) -> int:
    return cli.run(parser(), compare, argv)


if __name__ == "__main__":
    sys.exit(main())
