"""Find the 70 points of a face in a picture of a face.

python face_detector.py --img data/face.png
python face_detector.py facenet models/facenet.npz --img data/face.png --out result.png --json result.json
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


class FaceDetector(PointDetector):
    """keypoints = FaceDetector(net)(image); net: for example engines.open_net("lightfacenet")."""

    parts = ("face",)

    def __call__(self, image):
        """image (H, W, 3) uint8 BGR, filled by a face -> (70, 3) float64: x, y in pixels, confidence; NaN for a point not found."""
        return self.detect_batch([image])[0]

    detect = __call__

    def detect_batch(self, images) -> list:
        """As __call__, for several pictures of any sizes at once."""
        return self.detect_crops(images, [False] * len(images))

    def persons(self, keypoints) -> list:
        """The face as a keypoints.whole.WholePerson."""
        return [person_of_part("face", keypoints)]

    def draw(self, image, keypoints):
        return draw.draw_face(image, keypoints)


def parser():
    p = cli.Parser(prog="face_detector.py", description=__doc__)
    cli_network.add_network(p, "face")
    cli_streams.add_source_options(p, pose=False, words=True)
    cli_network.add_engine_options(p)
    return p


def detect(options):
    engine = cli_network.engine_options(options)
    with pipeline.prepare(*cli_streams.asked(options)) as work:
        arch = options.arch or choose_net("face", options.weights)
        return work(FaceDetector(open_net(arch, options.weights, cache_dir=default_cache_dir(), **engine)))


def main(argv=None) -> int:
    return cli.run(parser(), detect, argv)


if __name__ == "__main__":
    sys.exit(main())
