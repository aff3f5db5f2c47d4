"""Find people's poses in what a camera sees, in a window: q or Esc quits, s saves the frame, space pauses.

python camera_pose_demo.py --camera 0
python camera_pose_demo.py --input VIDEO.mp4 --smooth --out poses.mp4
"""

import process  # noqa: F401 (before what takes seconds)

import sys

import cli
import cli_network
import cli_streams
from engines import open_net
from engines.cache import default_cache_dir
from models import names_of
from pose_detector import PoseDetector
from streams import pipeline


def parser():
    p = cli.Parser(prog="camera_pose_demo.py", description=__doc__)
    p.add_argument(
        "--arch",
        choices=names_of("pose"),
        default="lightposenet",
        help="Take this network; lightposenet is the quickest, the others find more (default: lightposenet).",
    )
    p.add_argument(
        "--weights",
        metavar="FILE",
        help="Read the weights from this file, an .npz or a file of OpenVINO (default: those that ship, or were fetched).",
    )
    cli_streams.add_camera_options(p)
    cli_network.add_short_side(p, default=256)
    cli_network.add_engine_options(p)
    return p


def detect(options):
    engine = cli_network.engine_options(options)
    with pipeline.prepare(*cli_streams.asked(options)) as work:
        return work(PoseDetector(open_net(options.arch, options.weights, cache_dir=default_cache_dir(), **engine), short_side=options.short_side))


def main(argv=None) -> int:
    return cli.run(parser(), detect, argv)


if __name__ == "__main__":
    sys.exit(main())
