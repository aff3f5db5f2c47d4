"""What is different between faces and hands when their networks are made."""

from typing import NamedTuple

from distil.landmarks import MIRRORED_FACE
from entity import N_FACE_POINTS, N_HAND_POINTS
from keypoints.person import face_box, hand_boxes, unit_length


class Kind(NamedTuple):
    """mirror: point -> point of the mirrored picture; None where left ones are mirrored and right ones are not, as the toolkit does it."""

    arch: str
    points: int
    turn: float  # degrees to either side; 180 is any
    mirror: tuple | None
    doubt: float  # spread between the teacher's runs, in sizes of the face or hand, at which a point counts half
    unsure: float  # a crop whose points spread more than this on average is left out


KINDS = {
    "face": Kind("lightfacenet", N_FACE_POINTS, 40, MIRRORED_FACE, 0.02, 0.03),
    "hand": Kind("lighthandnet", N_HAND_POINTS, 180, None, 0.04, 0.045),
}


def boxes_of(kind, pose) -> list:
    """[(left, top, right, bottom), whether it is a left hand] rows of a pose (18, 3), as the toolkit cuts them out."""
    unit = unit_length(pose)
    if kind == "face":
        rows = [(face_box(pose, unit), False)]
    else:
        rows = [(box, side == "left") for side, box in hand_boxes(pose, unit).items()]
    return [(box, is_left) for box, is_left in rows if box is not None]
