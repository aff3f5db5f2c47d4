"""Find the 21 points of a hand in a picture of a hand.

python hand_detector.py --img hand.png --hand right
python hand_detector.py handnet models/handnet.npz --img hand.png --hand left --out result.png --json result.json
"""

import process  # noqa: F401 (before what takes seconds)

import sys

import cli
import cli_network
import cli_streams
from engines import choose_net, open_net
from engines.cache import default_cache_dir
from keypoints import draw
from keypoints.points import PointDetector
from keypoints.whole import person_of_part
from streams import pipeline


class HandDetector(PointDetector):
    """keypoints = HandDetector(net)(image, "left")"""

    parts = ("left_hand", "right_hand")

    def __init__(self, net, threshold=None, hand="right"):
        """net: as PointDetector's, for example engines.open_net("lighthandnet"). hand: which one, where a call does not say."""
        super().__init__(net, threshold)
        self.hand = hand

    def __call__(self, image, hand=None):
        """image (H, W, 3) uint8 BGR, filled by a hand; hand "left" or "right" (the network knows right hands, a left one is mirrored for it).

        Returns (21, 3) float64: x, y in pixels of the image, confidence; NaN for a point not found.
        """
        return self.detect_batch([image], [hand or self.hand])[0]

    detect = __call__

    def detect_batch(self, images, hands) -> list:
        """As __call__, for several pictures of any sizes at once; hands: "left" or "right" of each."""
        return self.detect_crops(images, [hand == "left" for hand in hands])

    def persons(self, keypoints) -> list:
        """The hand as a keypoints.whole.WholePerson."""
        return [person_of_part(f"{self.hand}_hand", keypoints)]

    def draw(self, image, keypoints):
        return draw.draw_hand(image, keypoints)


def parser():
    p = cli.Parser(prog="hand_detector.py", description=__doc__)
    cli_network.add_network(p, "hand")
    p.add_argument("--hand", choices=["left", "right"], default="right", help="Say which hand the picture shows (default: right).")
    cli_streams.add_source_options(p, pose=False, words=True)
    cli_network.add_engine_options(p)
    return p


def detect(options):
    engine = cli_network.engine_options(options)
    with pipeline.prepare(*cli_streams.asked(options)) as work:
        arch = options.arch or choose_net("hand", options.weights)
        return work(HandDetector(open_net(arch, options.weights, cache_dir=default_cache_dir(), **engine), hand=options.hand))


def main(argv=None) -> int:
    return cli.run(parser(), detect, argv)


if __name__ == "__main__":
    sys.exit(main())
