"""Find the poses of the people in a picture.

python pose_detector.py lightposenet --img data/people.png
python pose_detector.py posenet models/coco_posenet.npz --img data/person.png --precise --out result.png --json result.json
"""

import process  # noqa: F401 (before what takes seconds)

import sys
import time
from collections import deque
from contextlib import closing
from dataclasses import dataclass

import numpy as np

import cli
import cli_network
import cli_streams
from engines import choose_net, open_net
from engines.cache import default_cache_dir
from entity import STRIDE, Decoding
from keypoints import draw
from keypoints.image import check_maps, check_net, check_picture, fit_size, normalise, pad_to_stride, raise_to_stride, resize
from keypoints.mirror import mirror_maps
from keypoints.paf import People, decode
from keypoints.peaks import resampling_matrix
from keypoints.person import evidence, is_doubtful
from keypoints.whole import persons_of
from streams import pipeline

SCALES = (0.5, 1, 1.5, 2)  # of precise mode
SECOND = 0.45  # of the short side: a second look's; measured (models/README.md)


@dataclass(eq=False)
class Look:
    """A picture as the network is shown it, and what was seen."""

    image: np.ndarray  # (H, W, 3) uint8 BGR
    x: np.ndarray | None  # of the network; None: done
    net_wh: tuple  # pixels of x
    first: "Look | None" = None  # the look at the same picture that left doubts
    people: People | None = None
    seen: tuple = (None, None)  # PoseDetector's heatmaps and covered_wh

    def better_of(self, second):
        """This look, with what the second one saw where that is more."""
        if evidence(second.people) > evidence(self.people):
            self.people, self.seen = second.people, second.seen
        return self


class PoseDetector:
    """poses, scores = PoseDetector(net)(image)"""

    parts, has_pose = (), True  # what is looked for beside it (keypoints.whole.PARTS)

    def __init__(self, net, precise=False, scales=SCALES, short_side=368, decoding=None, flip=False, again=True):
        """net: x (N, 3, H, W) float32 -> (pafs, heatmaps), for example engines.open_net("lightposenet"); its row `net.arch`, where it has
        one, says how pictures are normalised and maps are decoded. precise: average the maps of several `scales`.
        short_side: of the network's input, pixels. decoding: an entity.Decoding; None for the network's own. flip: average the maps of
        the picture and of its mirror image, which the network is given together (N = 2). again: look a second time, at half the short side,
        where what was found is doubtful (keypoints.person.is_doubtful), and keep what has more evidence; not with precise. Raises InputError
        for what is no network.
        """
        check_net(net, "PoseDetector")
        arch = getattr(net, "arch", None)
        self.net = net
        self.scale, self.offset = (arch.scale, arch.offset) if arch else (1 / 255, -0.5)
        self.decoding = decoding or (arch.decoding if arch else Decoding())
        self.scales = tuple(scales) if precise else None
        self.short_side = short_side
        self.again = again and not precise
        self.flip = flip
        self.seconds = {"network": 0.0, "decode": 0.0}  # of the last picture; "network" includes resizing
        self.heatmaps, self.covered_wh = None, None  # of the last picture: (19, h, w), and how many of its pixels they cover

    @property
    def least_side(self):
        """Pixels of a picture's short side that make a difference: twice as many as the network sees, for what is averaged."""
        return round(2 * self.short_side * max(self.scales or (1,)))

    @property
    def name(self):
        """Of the network, as in ARCHS; None where it has none."""
        return getattr(self.net, "name", None)

    @property
    def networks(self):
        """The names of all networks that are run."""
        return (self.name,)

    @property
    def compile_seconds(self):
        """Spent so far on preparing the network for the shapes of its inputs."""
        return self.net.compile_seconds

    def __call__(self, image):
        """image (H, W, 3) uint8 BGR -> poses (n, 18, 3) float64: x, y in pixels of the image, v = 2 or 0; scores (n,) float64."""
        people = self.detect(image)
        return people.poses, people.scores

    def detect(self, image) -> People:
        """As __call__, with each joint's confidence."""
        check_picture(image)
        begin = time.perf_counter()
        pafs, heatmaps, scale_xy = self.network_maps(image)
        middle = time.perf_counter()
        people = self._people(pafs, heatmaps, scale_xy)
        self.seconds = {"network": middle - begin, "decode": time.perf_counter() - middle}
        return self._looked_again(image, people)

    def stream(self, images, ahead=iter):
        """Yield (image, People) for each of the images, in order, while the network already works on the next ones.

        images: (H, W, 3) uint8 BGR each, an iterable that may be endless; quickest where they have one size. For `precise` one at a time.
        ahead: what runs the images, and what is made of them for the network, in a thread of its own: streams.threads.read_ahead.
        """
        if self.scales:
            with closing(ahead(image for image in images)) as images:
                yield from ((image, self.detect(image)) for image in images)
            return
        inputs = (self._look(image) for image in images)
        with closing(ahead(inputs)) as inputs:
            for look in self._in_order(inputs):
                self.heatmaps, self.covered_wh = look.seen
                yield look.image, look.people

    def _look(self, image) -> Look:
        """The first one at a picture."""
        check_picture(image)
        net_wh = self._net_wh(image)
        return Look(image, self._input(resize(image, net_wh)), net_wh)

    def _in_order(self, looks):
        """Yield the looks with the people in them, in order, after second ones where these are worth it: all go through the network in one row."""
        waiting, second = deque(), deque()

        def all_looks():
            for look in looks:
                waiting.append(look)
                yield look, look.x
                while second:
                    again = second.popleft()
                    yield again, again.x

        def take(look, answer):
            look.people, look.seen = self._seen(*answer, look)
            if look.first is None and self._is_doubtful(look.people, look.image):
                second.append(self._second_look(look))
                return
            if look.first is not None:
                look = look.first.better_of(look)
            look.x = None

        with closing(self.net.stream(all_looks())) as answers:
            for look, answer in answers:
                take(look, answer)
                while waiting and waiting[0].x is None:
                    yield waiting.popleft()
        for again in second:  # of the last pictures
            take(again, self.net(again.x))
        yield from waiting

    def _seen(self, pafs, heatmaps, look) -> tuple:
        """People, and (heatmaps, how much they cover), of the network's answer to a Look."""
        people = self._people(*self._one_picture(pafs, heatmaps), np.divide((look.image.shape[1], look.image.shape[0]), look.net_wh))
        return people, (self.heatmaps, self.covered_wh)

    def _is_doubtful(self, people, image):
        return self.again and is_doubtful(people.poses, (image.shape[1], image.shape[0]))

    def _second_look(self, look):
        """People who are too large for the network are found in a smaller picture."""
        net_wh = raise_to_stride(fit_size((look.image.shape[1], look.image.shape[0]), max(STRIDE, round(SECOND * self.short_side))))
        return Look(look.image, self._input(resize(look.image, net_wh)), net_wh, look)

    def _looked_again(self, image, people):
        """The people of a picture, or those of a second look where it is worth it and finds more."""
        if not self._is_doubtful(people, image):
            return people
        begin, look = time.perf_counter(), Look(image, None, None)
        look.people, look.seen = people, (self.heatmaps, self.covered_wh)
        second = self._second_look(look)
        second.people, second.seen = self._seen(*self.net(second.x), second)
        self.seconds["network"] += time.perf_counter() - begin
        look.better_of(second)
        self.heatmaps, self.covered_wh = look.seen
        return look.people

    def _people(self, pafs, heatmaps, scale_xy):
        self.heatmaps, self.covered_wh = heatmaps, scale_xy * STRIDE * heatmaps.shape[:0:-1]
        people = decode(pafs, heatmaps, self.decoding)
        found = people.poses[..., 2:] > 0
        people.poses[..., :2] = np.where(found, (people.poses[..., :2] + 0.5) * scale_xy - 0.5, 0)
        return people

    def _net_wh(self, image):
        return raise_to_stride(fit_size((image.shape[1], image.shape[0]), self.short_side))

    def network_maps(self, image):
        """pafs (38, H/8, W/8), heatmaps (19, H/8, W/8), and the pixels of the image per pixel of what the maps lie on, (2,) x and y."""
        return self._average_scales(image) if self.scales else self._one_scale(image)

    def _maps(self, image):
        return self._one_picture(*self.net(self._input(image)))

    def _input(self, image):
        """x (1, 3, H, W) float32, or (2, 3, H, W) with the mirror image. The sides of the image are multiples of the stride."""
        x = normalise(image, self.scale, self.offset)
        return np.concatenate([x, x[..., ::-1]]) if self.flip else x

    def _one_picture(self, pafs, heatmaps):
        """What the network answers to _input -> pafs (38, H/8, W/8), heatmaps (19, H/8, W/8)."""
        check_maps(pafs, heatmaps)
        if not self.flip:
            return pafs[0], heatmaps[0]
        mirrored = mirror_maps(pafs[1], heatmaps[1])
        return (pafs[0] + mirrored[0]) / 2, (heatmaps[0] + mirrored[1]) / 2

    def draw(self, image, people):
        """A copy of the image with the people's skeletons."""
        return draw.draw_poses(image, people.poses)

    def persons(self, people) -> list:
        """A keypoints.whole.WholePerson for each of the people."""
        return persons_of(people)

    def describe(self, persons) -> str:
        return "1 person" if len(persons) == 1 else f"{len(persons)} people"

    def _one_scale(self, image):
        net_wh = self._net_wh(image)
        return *self._maps(resize(image, net_wh)), np.divide((image.shape[1], image.shape[0]), net_wh)

    def _average_scales(self, image):
        """The maps of all scales, resampled to the cells of the largest one and averaged."""
        size_wh = image.shape[1], image.shape[0]
        sizes = [fit_size(size_wh, max(1, round(self.short_side * scale))) for scale in sorted(self.scales, reverse=True)]
        largest, mean_pafs, mean_heatmaps = sizes[0], 0, 0
        n_columns, n_rows = (side // STRIDE for side in raise_to_stride(largest))
        for net_wh in sizes:
            pafs, heatmaps = self._maps(pad_to_stride(resize(image, net_wh)))
            ratio_x, ratio_y = np.divide(net_wh, largest)  # cell g of the largest lies at ratio (g + 0.5) - 0.5 here
            columns = resampling_matrix(pafs.shape[2], n_columns, 1 / ratio_x, 0.5 * ratio_x - 0.5).astype(np.float32)
            rows = resampling_matrix(pafs.shape[1], n_rows, 1 / ratio_y, 0.5 * ratio_y - 0.5).astype(np.float32)
            mean_pafs = mean_pafs + rows @ pafs @ columns.T / len(sizes)
            mean_heatmaps = mean_heatmaps + rows @ heatmaps @ columns.T / len(sizes)
        return mean_pafs, mean_heatmaps, np.divide(size_wh, largest)


def parser():
    p = cli.Parser(prog="pose_detector.py", description=__doc__)
    cli_network.add_network(p, "pose")
    cli_streams.add_source_options(p, words=True)
    p.add_argument("--precise", action="store_true", help=f"Average {len(SCALES)} scales, which takes about eight times the work and finds more.")
    p.add_argument("--flip", action="store_true", help="Average the picture and its mirror image, which takes twice the work and finds more.")
    cli_network.add_short_side(p)
    cli_network.add_scales(p)
    cli_network.add_engine_options(p)
    return p


def detect(options):
    engine = cli_network.engine_options(options)
    with pipeline.prepare(*cli_streams.asked(options)) as work:
        arch = options.arch or choose_net("pose", options.weights)
        net = open_net(arch, options.weights, cache_dir=default_cache_dir(), **engine)
        return work(PoseDetector(net, precise=options.precise, short_side=options.short_side, flip=options.flip, again=options.scales == "auto"))


def main(argv=None) -> int:
    return cli.run(parser(), detect, argv)


if __name__ == "__main__":
    sys.exit(main())
