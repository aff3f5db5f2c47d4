"""Find whole people: pose, then the face and the hands of each person.

python demo.py --img data/people.png
python demo.py posenet models/coco_posenet.npz --img data/person.png --face_weights models/facenet.npz --hand_weights models/handnet.npz
"""

import process  # noqa: F401 (before what takes seconds)

import sys
from contextlib import closing
from dataclasses import replace
from functools import partial

import numpy as np

import cli
import cli_network
import cli_streams
from engines import choose_net, open_net
from engines.cache import default_cache_dir
from errors import InputError
from face_detector import FaceDetector
from hand_detector import HandDetector
from keypoints import draw, person
from keypoints.image import crop
from keypoints.whole import PARTS, Part, persons_of
from pose_detector import PoseDetector
from streams import pipeline

MIN_SIDE = 24  # pixels of the picture: side of a face's or a hand's box
MOST = 100  # faces, and hands, of one picture


class WholeBodyDetector:
    """persons = WholeBodyDetector(pose_detector, face_detector, hand_detector).detect(image)"""

    has_pose, least_side = True, None  # faces and hands are cut out of the picture in full

    def __init__(self, pose, face=None, hand=None, min_face=MIN_SIDE, min_hand=MIN_SIDE, most=MOST):
        """pose: a PoseDetector. face, hand: a FaceDetector and a HandDetector, or None to leave these out.

        A face or a hand is looked for where the nose or the wrist was found, and the side of its box is at least min_face or min_hand pixels
        of the picture, and it is one of the `most` largest of its picture.
        """
        self.pose, self.face, self.hand = pose, face, hand
        self.min_side, self.most = {"face": min_face, "left_hand": min_hand, "right_hand": min_hand}, most
        self.name = pose.name
        self.parts = (*(("face",) if face else ()), *(("left_hand", "right_hand") if hand else ()))
        self.seconds = {"network": 0.0, "decode": 0.0}

    @property
    def networks(self):
        """The names of all networks that are run."""
        return tuple(detector.name for detector in self._detectors())

    @property
    def heatmaps(self):
        """Of the last picture, as PoseDetector's."""
        return self.pose.heatmaps

    @property
    def covered_wh(self):
        """What the heatmaps cover, as PoseDetector's."""
        return self.pose.covered_wh

    @property
    def compile_seconds(self):
        return sum(detector.compile_seconds for detector in self._detectors())

    def _detectors(self):
        return [detector for detector in (self.pose, self.face, self.hand) if detector]

    def detect(self, image) -> list:
        """image (H, W, 3) uint8 BGR -> a keypoints.whole.WholePerson for each person."""
        persons = self._with_parts(image, persons_of(self.pose.detect(image)))
        self.seconds = {key: sum(detector.seconds[key] for detector in self._detectors()) for key in self.seconds}
        return persons

    def stream(self, images, ahead=iter):
        """Yield (image, persons) for each of the images, in order. ahead: as PoseDetector's."""
        with closing(self.pose.stream(images, ahead)) as answers:
            for image, people in answers:
                yield image, self._with_parts(image, persons_of(people))

    def _with_parts(self, image, persons) -> list:
        """The crops of all people go through each network together."""
        gated = [part_boxes(each.pose, {name: self.min_side[name] for name in self.parts}) for each in persons]
        boxes, skipped, parts = [found for found, _ in gated], [why for _, why in gated], [{} for _ in persons]
        for detector, names in ((self.face, PARTS[:1]), (self.hand, PARTS[1:])):
            wanted = [(i, name, box) for i, found in enumerate(boxes) for name, box in found.items() if name in names]
            wanted.sort(key=lambda item: item[2][0] - item[2][2])  # the largest first
            for i, name, _ in wanted[self.most :]:
                skipped[i][name] = f"{self.most} larger ones were looked at, which is the most"
            wanted = wanted[: self.most]
            for (i, name, box), keypoints in zip(wanted, self._points(detector, image, wanted), strict=True):
                if detector.is_there(keypoints):
                    parts[i][name] = Part(box, keypoints + (box[0], box[1], 0))
                else:
                    skipped[i][name] = f"only {np.isfinite(keypoints[:, 0]).sum()} of {len(keypoints)} points were found, so there is none"
        return [replace(each, parts=found, skipped=why) for each, found, why in zip(persons, parts, skipped, strict=True)]

    def _points(self, detector, image, wanted) -> list:
        """The keypoints in each crop. wanted: (index of a person, name of a part, box) each."""
        if not wanted:
            return []
        crops = [crop(image, box) for _, _, box in wanted]
        if detector is self.face:
            return detector.detect_batch(crops)
        return detector.detect_batch(crops, [name.removesuffix("_hand") for _, name, _ in wanted])

    def persons(self, persons) -> list:
        return persons

    def draw(self, image, persons):
        """A copy of the image with the people, their faces and hands, and the boxes of these."""
        return draw.draw_people(image, persons)

    def describe(self, persons) -> str:
        """How many people, faces and hands."""
        counts = [(len(persons), "person", "people")]
        if self.face:
            counts.append((sum("face" in each.parts for each in persons), "face", "faces"))
        if self.hand:
            counts.append((sum(name in each.parts for each in persons for name in PARTS[1:]), "hand", "hands"))
        return ", ".join(f"{count} {one if count == 1 else many}" for count, one, many in counts)


def part_boxes(pose, min_side) -> tuple:
    """{name: box} of the parts to look for around a pose (18, 3), and {name: why not} of the others. min_side: {name: pixels}."""
    unit = person.unit_length(pose)
    hands = person.hand_boxes(pose, unit)
    every = {"face": person.face_box(pose, unit), "left_hand": hands["left"], "right_hand": hands["right"]}
    boxes, skipped = {}, {}
    for name, least in min_side.items():
        box = every[name]
        if box is None:
            skipped[name] = f"the {'nose' if name == 'face' else 'wrist'} was not found"
        elif box[2] - box[0] < least:
            skipped[name] = f"{box[2] - box[0]} pixels are less than --min_{'face' if name == 'face' else 'hand'} {least}"
        else:
            boxes[name] = box
    return boxes, skipped


def parser():
    p = cli.Parser(prog="demo.py", description=__doc__)
    cli_network.add_network(p, "pose")
    cli_streams.add_source_options(p, words=True)
    cli_network.add_short_side(p)
    cli_network.add_scales(p)
    group = p.add_argument_group("faces and hands")
    for part in ("face", "hand"):
        about = f"Take these weights for the {part}s: an .npz of {part}net or light{part}net, or a file of OpenVINO"
        group.add_argument(
            f"--{part}_weights", metavar="FILE", help=f"{about} (default: models/{part}net.npz if it is there, else light{part}net's)."
        )
        group.add_argument(f"--no_{part}s", action="store_true", help=f"Leave the {part}s out, which is quicker.")
    pixels = partial(cli.whole_number, least=1)
    group.add_argument(
        "--min_face", type=pixels, default=MIN_SIDE, metavar="PIXELS", help="Look for no face whose box is smaller (default: %(default)s)."
    )
    group.add_argument(
        "--min_hand", type=pixels, default=MIN_SIDE, metavar="PIXELS", help="Look for no hand whose box is smaller (default: %(default)s)."
    )
    group.add_argument(
        "--most",
        type=pixels,
        default=MOST,
        metavar="N",
        help="Look at no more than N faces and N hands in a picture, the largest ones (default: %(default)s).",
    )
    cli_network.add_engine_options(p)
    return p


def part_network(options, part):
    """(name, weights) of the network for the "face" or the "hand"; None to leave the part out. Raises InputError."""
    named, left_out = getattr(options, f"{part}_weights"), getattr(options, f"no_{part}s")
    if named and left_out:
        raise InputError(f"--no_{part}s leaves out what --{part}_weights asks for; name one of them")
    return None if left_out else (choose_net(part, named), named)


def detect(options):
    engine = {"cache_dir": default_cache_dir(), **cli_network.engine_options(options)}
    with pipeline.prepare(*cli_streams.asked(options)) as work:
        arch = options.arch or choose_net("pose", options.weights)
        pose = PoseDetector(open_net(arch, options.weights, **engine), short_side=options.short_side, again=options.scales == "auto")
        networks = {part: part_network(options, part) for part in ("face", "hand")}
        face = FaceDetector(open_net(*networks["face"], **engine)) if networks["face"] else None
        hand = HandDetector(open_net(*networks["hand"], **engine)) if networks["hand"] else None
        return work(WholeBodyDetector(pose, face, hand, options.min_face, options.min_hand, options.most))


def main(argv=None) -> int:
    return cli.run(parser(), detect, argv)


if __name__ == "__main__":
    sys.exit(main())
