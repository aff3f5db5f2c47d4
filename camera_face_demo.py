"""Find the 70 points of the faces that a camera sees, in a window: q or Esc quits, s saves the frame, space pauses.

python camera_face_demo.py --camera 0
python camera_face_demo.py --input VIDEO.mp4 --pose --out faces.mp4
"""

import process  # noqa: F401 (before what takes seconds)

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np

import cli
import cli_network
import cli_streams
from demo import WholeBodyDetector
from engines import choose_net, open_net
from engines.cache import default_cache_dir
from errors import InputError
from face_detector import FaceDetector
from keypoints.image import crop
from keypoints.whole import Part, person_of_part
from models import names_of
from pose_detector import PoseDetector
from streams import pipeline

CASCADE = "haarcascade_frontalface_default.xml"  # comes with OpenCV
GROW = 1.3  # the cascade's boxes hold eyes to mouth; facenet wants the whole head


class CascadeFaceDetector:
    """persons = CascadeFaceDetector(face_detector).detect(image): OpenCV's Haar cascade finds the faces, the network their points."""

    parts, has_pose = ("face",), False

    def __init__(self, face, min_face=48, most=10):
        """face: a FaceDetector. min_face: pixels. most: faces of one picture, the largest ones."""
        self.face, self.min_face, self.most = face, min_face, most
        self.name, self.networks = face.name, face.networks
        self.cascade = cv2.CascadeClassifier(str(Path(cv2.data.haarcascades) / CASCADE))
        if self.cascade.empty():
            raise InputError(f"OpenCV's {CASCADE} is not in {cv2.data.haarcascades}; install opencv-python again, or use --pose")

    @property
    def compile_seconds(self):
        return self.face.compile_seconds

    def boxes(self, image) -> list:
        """(left, top, right, bottom) of each face, in pixels of the image (H, W, 3) uint8 BGR, the largest first; may reach outside."""
        grey = cv2.equalizeHist(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))
        found = self.cascade.detectMultiScale(grey, scaleFactor=1.15, minNeighbors=5, minSize=(self.min_face, self.min_face))
        found = sorted(found, key=lambda box: -box[2])[: self.most]
        return [grown_box(*map(int, box)) for box in found]

    def detect(self, image) -> list:
        """image (H, W, 3) uint8 BGR -> a keypoints.whole.WholePerson without a pose for each face."""
        boxes = self.boxes(image)
        faces = self.face.detect_batch([crop(image, box) for box in boxes]) if boxes else []
        found = [(box, points) for box, points in zip(boxes, faces, strict=True) if self.face.is_there(points)]
        return [face_person(Part(box, points + (box[0], box[1], 0))) for box, points in found]

    def persons(self, persons) -> list:
        return persons

    def describe(self, persons) -> str:
        return count_faces(persons)


class PoseFaceDetector(WholeBodyDetector):
    """persons = PoseFaceDetector(pose_detector, face_detector).detect(image): the head of each pose says where the face is."""

    has_pose = False

    def detect(self, image) -> list:
        return [face_person(person.parts["face"]) for person in super().detect(image) if "face" in person.parts]

    def describe(self, persons) -> str:
        return count_faces(persons)


def count_faces(persons) -> str:
    return "1 face" if len(persons) == 1 else f"{len(persons)} faces"


def face_person(part):
    person = person_of_part("face", part.keypoints)
    return replace(person, parts={"face": part})


def grown_box(left, top, width, height):
    """The box of a head around the cascade's box of a face."""
    half = round(GROW * max(width, height) / 2)
    x, y = left + width // 2, top + height // 2
    return x - half, y - half, x + half, y + half


def parser():
    p = cli.Parser(prog="camera_face_demo.py", description=__doc__)
    p.add_argument(
        "--weights",
        metavar="FILE",
        help="Take these weights for the faces: an .npz of facenet or lightfacenet, or a file of OpenVINO "
        "(default: models/facenet.npz if it is there, else lightfacenet's).",
    )
    p.add_argument(
        "--pose", action="store_true", help="Find the heads by a pose network instead of OpenCV's cascade, which sees only faces from the front."
    )
    p.add_argument("--pose_arch", choices=names_of("pose"), default="lightposenet", help="With --pose, take this network (default: lightposenet).")
    about = "With --pose, read its weights from this file (default: those that ship, or were fetched)."
    p.add_argument("--pose_weights", metavar="FILE", help=about)
    p.add_argument(
        "--min_face", type=partial(cli.whole_number, least=1), default=48, metavar="PIXELS", help="Look for no smaller faces (default: 48)."
    )
    cli_streams.add_camera_options(p, pose=False)
    cli_network.add_short_side(p, "With --pose: ", default=256)
    cli_network.add_engine_options(p)
    return p


def detect(options):
    engine = {"cache_dir": default_cache_dir(), **cli_network.engine_options(options)}
    with pipeline.prepare(*cli_streams.asked(options)) as work:
        face = FaceDetector(open_net(choose_net("face", options.weights), options.weights, **engine))
        face.detect(np.zeros((64, 64, 3), np.uint8))  # it warms up now, not when the first face comes
        if not options.pose:
            return work(CascadeFaceDetector(face, options.min_face))
        pose = PoseDetector(open_net(options.pose_arch, options.pose_weights, **engine), short_side=options.short_side)
        return work(PoseFaceDetector(pose, face, min_face=options.min_face))


def main(argv=None) -> int:
    return cli.run(parser(), detect, argv)


if __name__ == "__main__":
    sys.exit(main())
