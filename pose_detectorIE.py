"""Find poses, or the points of a face or a hand, with a network of OpenVINO (.xml and .bin). No Chainer is needed.

python pose_detectorIE.py posenet --img data/person.png --xml models/FP32/pose_iter_440000.xml --bin models/FP32/pose_iter_440000.bin
python pose_detectorIE.py facenet --img data/face.png --xml models/FP16/pose_iter_116000.xml
python pose_detectorIE.py human-pose-estimation-0001 --img data/people.png --xml models/human-pose-estimation-0001.xml
"""

import process  # noqa: F401 (before what takes seconds)

import sys

import cli
import cli_network
import cli_streams
from engines import open_net
from engines.cache import default_cache_dir
from face_detector import FaceDetector
from hand_detector import HandDetector
from models import ARCHS
from pose_detector import PoseDetector
from streams import pipeline


def parser():
    p = cli.Parser(prog="pose_detectorIE.py", description=__doc__)
    p.add_argument("arch", choices=tuple(ARCHS), metavar="ARCH", help=f"The network: {', '.join(ARCHS)}.")
    p.add_argument(
        "--xml", metavar="FILE", help="Read the network from this file: .xml, .onnx, .pb, or an .npz (default: those that ship, or were fetched)."
    )
    p.add_argument("--bin", metavar="FILE", help="Read the .xml's weights from this file (default: the .bin beside it).")
    cli_streams.add_source_options(p)
    p.add_argument("--precise", action="store_true", help="For poses: average four scales, which takes about eight times the work and finds more.")
    p.add_argument(
        "--flip", action="store_true", help="For poses: average the picture and its mirror image, which takes twice the work and finds more."
    )
    cli_network.add_short_side(p, "For poses: ")
    cli_network.add_scales(p)
    p.add_argument("--hand", choices=["left", "right"], default="right", help="For a hand: say which one the picture shows (default: right).")
    p.add_argument(
        "--input_scale",
        type=cli.finite_float,
        metavar="S",
        help="Feed the network picture * S + O, for networks of others that want it so (default: as the file or ARCH says).",
    )
    p.add_argument("--input_offset", type=cli.finite_float, metavar="O", help="The O of --input_scale (default: as the file or ARCH says).")
    cli_network.add_openvino_options(p)
    return p


def open_detector(options):
    net = open_net(
        options.arch,
        options.xml,
        bin=options.bin,
        scale=options.input_scale,
        offset=options.input_offset,
        cache_dir=default_cache_dir(),
        **cli_network.openvino_options(options),
    )
    if net.arch.task == "pose":
        return PoseDetector(net, precise=options.precise, short_side=options.short_side, flip=options.flip, again=options.scales == "auto")
    return FaceDetector(net) if net.arch.task == "face" else HandDetector(net, hand=options.hand)


def detect(options):
    with pipeline.prepare(*cli_streams.asked(options)) as work:
        return work(open_detector(options))


def main(argv=None) -> int:
    return cli.run(parser(), detect, argv)


if __name__ == "__main__":
    sys.exit(main())
