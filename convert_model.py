"""Convert weights: a .caffemodel to .npz, or a .caffemodel or .npz to OpenVINO's .xml and .bin, or to .onnx.

    python convert_model.py posenet models/pose_iter_440000.caffemodel models/coco_posenet.npz
    python convert_model.py posenet models/coco_posenet.npz models/FP16/pose_iter_440000.xml --data_type FP16
    python convert_model.py lightposenet models/light_posenet.npz light.xml --data_type INT8 --calibration FOLDER_OF_PICTURES

All layers are converted, or nothing is written and the exit status is not 0.
"""

import process  # noqa: F401 (before what takes seconds)

import sys
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

import cli
from entity import STRIDE
from errors import InputError
from evaluation.compare import SAME_JOINT, count_common
from files import atomic_file, check_path, is_same_file, make_folder
from keypoints.image import MAX_SIDE, fit_size, normalise, raise_to_stride, resize
from keypoints.peaks import locate_peaks
from models import ARCHS, OURS, VGG19, other_shapes, shapes_of
from models.weights import read_weights, write_weights
from streams.frames import find_pictures
from streams.picture import read_image

DATA_TYPES = ("FP32", "FP16", "INT8")


def input_shape(text) -> tuple:
    """An argparse type: "1,3,368,368"."""
    try:
        shape = tuple(int(part) for part in text.strip("[]()").split(","))
    except ValueError:
        shape = ()
    if len(shape) != 4 or shape[1] != 3 or min(shape) < 1 or shape[0] > 1024 or max(shape[2:]) > MAX_SIDE or shape[2] % STRIDE or shape[3] % STRIDE:
        raise cli.ArgumentTypeError(f"expected N,3,H,W with H and W multiples of {STRIDE}, {MAX_SIDE} at most, got {text!r}")
    return shape


def parser():
    p = cli.Parser(prog="convert_model.py", description=__doc__)
    names = (*OURS, VGG19)
    p.add_argument("arch", choices=names, metavar="ARCH", help=f"The network: {', '.join(names)}. {VGG19} is the trunk that training starts from.")
    p.add_argument("source", metavar="SOURCE", help="The file to convert, a .caffemodel or an .npz.")
    p.add_argument("target", metavar="TARGET", help="The file to write, an .npz, an .xml (its .bin is written beside it) or an .onnx.")
    p.add_argument(
        "--data_type",
        choices=DATA_TYPES,
        default="FP32",
        help="Store an .xml's weights in this type: FP16 takes half the space, INT8 is the quickest and needs --calibration (default: FP32).",
    )
    p.add_argument(
        "--input_shape",
        type=input_shape,
        metavar="N,3,H,W",
        help="Fix the input of the .xml or .onnx to this shape (default: 1,3,368,368; 192 for the light networks of faces and hands).",
    )
    p.add_argument("--dynamic", action="store_true", help="Leave N, H and W of the .xml or .onnx free, so that it takes pictures of any size.")
    p.add_argument(
        "--calibration",
        metavar="FOLDER",
        help="For INT8, look at the pictures of this folder to choose the ranges; they should be like those to come.",
    )
    p.add_argument(
        "--max_pictures",
        type=cli.positive_int,
        default=200,
        metavar="N",
        help="Look at N of the pictures of --calibration, evenly spread (default: 200).",
    )
    p.add_argument("-v", "--verbose", action="store_true", help="List every layer.")
    return p


def check_options(options):
    """Raise InputError for what can be known before the work begins."""
    source, target = Path(options.source), Path(options.target)
    if source.suffix.lower() not in (".caffemodel", ".npz"):
        raise InputError(f"{source}: expected a .caffemodel or an .npz, got {source.suffix or 'no extension'!r}")
    if target.suffix not in (".npz", ".xml", ".onnx"):
        raise InputError(f"{target}: expected the name of an .npz, an .xml or an .onnx, got {target.suffix or 'no extension'!r}")
    if is_same_file(source, target):
        raise InputError(f"{target}: source and target are the same file; name another target")
    check_path(target, "TARGET")
    if target.suffix == ".xml":
        check_path(target.with_suffix(".bin"), "TARGET's weights")
    if target.suffix == ".npz":
        for option in ("input_shape", "dynamic", "calibration"):
            if getattr(options, option):
                raise InputError(f"--{option} is for an .xml or .onnx target; leave it out, or name one of these")
    if target.suffix != ".xml" and options.data_type == "INT8":
        raise InputError("--data_type INT8 is for an .xml target; name an .xml, or choose FP16")
    if target.suffix != ".npz" and options.arch == VGG19:
        raise InputError(f"{VGG19} is only the trunk that training starts from; name an .npz as target")
    if options.dynamic and options.input_shape:
        raise InputError("--dynamic and --input_shape exclude each other; leave one of them out")
    if (options.data_type == "INT8") != bool(options.calibration):
        raise InputError("--data_type INT8 and --calibration FOLDER belong together: INT8 is calibrated on typical pictures")


def load(options) -> dict:
    """The weights of the source, complete, float32; says what was taken and what was left over."""
    shapes = shapes_of(options.arch)
    left_over = []
    if Path(options.source).suffix.lower() == ".npz":
        weights = read_weights(options.source, shapes, other_shapes(options.arch))
    else:
        from models.caffe import read_caffemodel

        weights, left_over = read_caffemodel(options.source, shapes)
    if options.verbose:
        for name, array in weights.items():
            print(f"{name:32}{'x'.join(map(str, array.shape)):>16}")
    n_layers, n_numbers = len(weights) // 2, sum(array.size for array in weights.values())
    print(f"{options.source}: {n_layers} of {n_layers} layers, {n_numbers:,} numbers")
    if left_over:
        print(f"left over, not part of {options.arch}: {', '.join(left_over)}")
    return weights


def convert(options):
    check_options(options)
    pictures = find_pictures(options.calibration, options.max_pictures) if options.calibration else []
    weights = load(options)
    if options.data_type == "FP16":
        check_half_precision(weights)
    target = Path(options.target)
    make_folder(target.parent)
    if target.suffix == ".xml":
        convert_to_ir(options, weights, pictures)
    else:
        dtype = np.float16 if options.data_type == "FP16" else np.float32
        write = write_weights if target.suffix == ".npz" else partial(write_onnx, options)
        write(target, {name: array.astype(dtype) for name, array in weights.items()})
    written = [target, target.with_suffix(".bin")] if target.suffix == ".xml" else [target]
    if pictures:
        print(f"size: {target.with_suffix('.bin').stat().st_size:,} bytes in INT8, {4 * sum(array.size for array in weights.values()):,} in FP32")
    print("written: " + ", ".join(f"{path} ({path.stat().st_size:,} bytes)" for path in written))


def check_half_precision(weights):
    """Raise InputError if a number is too large for FP16."""
    for name, array in weights.items():
        if np.abs(array).max() > np.finfo(np.float16).max:
            raise InputError(f"{name} holds {np.abs(array).max():g}, more than half precision can; choose --data_type FP32")


def write_onnx(options, target, weights):
    from engines.openvino_ir import facts_of
    from models.onnx import to_onnx

    row = ARCHS[options.arch]
    content = to_onnx(row.network, weights, options.arch, facts_of(options.arch, row), shape_of(options))
    with atomic_file(target) as part:
        part.write_bytes(content)


def shape_of(options):
    """(N, 3, H, W) of the input; None where it is free."""
    size = ARCHS[options.arch].input_size
    return None if options.dynamic else options.input_shape or (1, 3, size, size)


def convert_to_ir(options, weights, pictures):
    from engines.openvino_ir import make_ir, save_ir

    row = ARCHS[options.arch]
    shape = shape_of(options)
    model = make_ir(options.arch, row, weights, None if pictures else shape)
    if pictures:
        from engines import memory
        from engines.openvino_int8 import quantise, run_model

        memory.reserve(memory.of_quantising(weights), f"quantising {options.arch}")
        with tqdm(pictures, "reading", unit="picture", leave=False, disable=None) as progress:
            inputs = [network_input(row, read_image(picture)) for picture in progress]
        quantised = quantise(model, inputs)
        sample = inputs[:: max(1, len(inputs) // 20)]
        report(row, run_model(model, sample), run_model(quantised, sample))
        model = quantised
        if shape:
            model.reshape({"data": list(shape)})
    save_ir(model, options.target, compress_to_fp16=options.data_type == "FP16")


def network_input(row, image):
    """A picture as the detectors give it to the network: a pose network's with the usual short side, face and hand stretched to a square."""
    size_wh = (row.input_size, row.input_size)
    if row.task == "pose":
        size_wh = raise_to_stride(fit_size((image.shape[1], image.shape[0]), row.input_size))
    return normalise(resize(image, size_wh), row.scale, row.offset)


def report(row, before, after):
    """Say how the maps and the joints of the quantised network (after) differ from those of the FP32 one: per picture lists of outputs."""
    differences = [np.abs(a - b) for x, y in zip(before, after, strict=True) for a, b in zip(x, y, strict=True)]
    largest = max(np.abs(a).max() for x in before for a in x)
    mean = sum(d.sum() for d in differences) / sum(d.size for d in differences)
    most = max(d.max() for d in differences)
    print(f"INT8 against FP32, {len(before)} pictures: maps differ by {mean:.4f} on average, {most:.4f} at most (of {largest:.2f})")
    n_before = n_after = n_both = 0
    for x, y in zip(before, after, strict=True):
        joints, others = find_joints(row, x), find_joints(row, y)
        n_before, n_after, n_both = n_before + len(joints), n_after + len(others), n_both + count_common(joints, others)
    print(f"joints found: {n_before} by FP32, {n_after} by INT8, {n_both} by both (within {SAME_JOINT:g} pixels)")


def find_joints(row, outputs):
    """The peaks (P, 4) of the heatmaps, background left out, in pixels of the network's input; outputs: the network's, for one picture."""
    maps = np.concatenate(outputs, axis=1)[0]
    heatmaps = maps[-19:-1] if row.task == "pose" else maps[:-1]
    peaks = locate_peaks(heatmaps, row.decoding.heatmap_peak_thresh)
    peaks[:, 1:3] = (peaks[:, 1:3] + 0.5) * STRIDE - 0.5
    return peaks


def main(argv=None) -> int:
    return cli.run(parser(), convert, argv)


if __name__ == "__main__":
    sys.exit(main())
