"""The skeletons: joints, limbs, face lines, fingers, their colours, and the decoding's parameters. Data, no logic.

The numbers are OpenPose's (Cao et al., "Realtime Multi-Person 2D Pose Estimation using Part Affinity Fields", CVPR 2017).
"""

from colorsys import hsv_to_rgb
from enum import IntEnum
from math import inf
from typing import NamedTuple


class Joint(IntEnum):
    """The 18 joints of a pose, in the order of the heatmap channels and in COCO's words; the neck, which COCO lacks, besides."""

    nose = 0
    neck = 1
    right_shoulder = 2
    right_elbow = 3
    right_wrist = 4
    left_shoulder = 5
    left_elbow = 6
    left_wrist = 7
    right_hip = 8
    right_knee = 9
    right_ankle = 10
    left_hip = 11
    left_knee = 12
    left_ankle = 13
    right_eye = 14
    left_eye = 15
    right_ear = 16
    left_ear = 17

    # The original's names for the same joints: aliases, which are never written.
    Nose = nose
    Neck = neck
    RightShoulder = right_shoulder
    RightElbow = right_elbow
    RightHand = right_wrist
    LeftShoulder = left_shoulder
    LeftElbow = left_elbow
    LeftHand = left_wrist
    RightWaist = right_hip
    RightKnee = right_knee
    RightFoot = right_ankle
    LeftWaist = left_hip
    LeftKnee = left_knee
    LeftFoot = left_ankle
    RightEye = right_eye
    LeftEye = left_eye
    RightEar = right_ear
    LeftEar = left_ear


# Limb i owns PAF channels 2 i (x) and 2 i + 1 (y), and points from its first joint to its second.
LIMBS = (
    (Joint.neck, Joint.right_hip),
    (Joint.right_hip, Joint.right_knee),
    (Joint.right_knee, Joint.right_ankle),
    (Joint.neck, Joint.left_hip),
    (Joint.left_hip, Joint.left_knee),
    (Joint.left_knee, Joint.left_ankle),
    (Joint.neck, Joint.right_shoulder),
    (Joint.right_shoulder, Joint.right_elbow),
    (Joint.right_elbow, Joint.right_wrist),
    (Joint.right_shoulder, Joint.right_ear),
    (Joint.neck, Joint.left_shoulder),
    (Joint.left_shoulder, Joint.left_elbow),
    (Joint.left_elbow, Joint.left_wrist),
    (Joint.left_shoulder, Joint.left_ear),
    (Joint.neck, Joint.nose),
    (Joint.nose, Joint.right_eye),
    (Joint.nose, Joint.left_eye),
    (Joint.right_eye, Joint.right_ear),
    (Joint.left_eye, Joint.left_ear),
)
EAR_LIMBS = (9, 13)  # shoulder to ear: these never start a person and are not drawn

N_JOINTS = len(Joint)  # 18 heatmaps, and one more for the background
N_LIMBS = len(LIMBS)  # 19


def _other_side(joint):
    """The joint that a mirror makes of it: left_eye of right_eye, nose of nose."""
    for side, other in (("left_", "right_"), ("right_", "left_")):
        if joint.name.startswith(side):
            return Joint[other + joint.name.removeprefix(side)]
    return joint


FLIPPED_JOINTS = tuple(int(_other_side(joint)) for joint in Joint)  # joint -> joint
FLIPPED_LIMBS = tuple(LIMBS.index((FLIPPED_JOINTS[first], FLIPPED_JOINTS[second])) for first, second in LIMBS)  # limb -> limb

# COCO's 17 keypoints, in COCO's order, as joints. COCO has no neck: it is the midpoint of the shoulders.
COCO_JOINTS = (
    Joint.nose,
    Joint.left_eye,
    Joint.right_eye,
    Joint.left_ear,
    Joint.right_ear,
    Joint.left_shoulder,
    Joint.right_shoulder,
    Joint.left_elbow,
    Joint.right_elbow,
    Joint.left_wrist,
    Joint.right_wrist,
    Joint.left_hip,
    Joint.right_hip,
    Joint.left_knee,
    Joint.right_knee,
    Joint.left_ankle,
    Joint.right_ankle,
)

# The spread of COCO's annotators for each joint, in person sizes (square root of the area); its evaluation allows twice that. The neck, which
# COCO has not, is as a shoulder.
OKS_SIGMAS = (0.026, 0.079, 0.079, 0.072, 0.062, 0.079, 0.072, 0.062, 0.107, 0.087, 0.089, 0.107, 0.087, 0.089, 0.025, 0.025, 0.035, 0.035)
COCO_SIGMAS = tuple(OKS_SIGMAS[joint] for joint in COCO_JOINTS)

N_FACE_POINTS = 70
FACE_LINES = (  # (points along the line, closed?)
    (tuple(range(0, 17)), False),  # jaw
    (tuple(range(17, 22)), False),  # right brow
    (tuple(range(22, 27)), False),  # left brow
    (tuple(range(27, 31)), False),  # nose
    (tuple(range(31, 36)), False),  # nostrils
    (tuple(range(36, 42)), True),  # right eye
    (tuple(range(42, 48)), True),  # left eye
    (tuple(range(48, 60)), True),  # outer lips
    (tuple(range(60, 68)), True),  # inner lips
)
FACE_PUPILS = (68, 69)

N_HAND_POINTS = 21
HAND_FINGERS = tuple((0, *range(first, first + 4)) for first in (1, 5, 9, 13, 17))  # thumb .. little finger, from the wrist


def _hues(count):
    """count BGR colours, (0..255) each, evenly spaced around the hue circle and beginning with red."""
    return tuple(tuple(round(255 * part) for part in reversed(hsv_to_rgb(i / count, 1, 1))) for i in range(count))


JOINT_COLORS = _hues(N_JOINTS)
LIMB_COLORS = tuple(JOINT_COLORS[second] for _, second in LIMBS)  # a limb has the hue of the joint it leads to
FINGER_COLORS = _hues(len(HAND_FINGERS))
FACE_COLOR = (255, 255, 255)

# Limbs whose length says how large a person is: length / ratio is the unit length (about the width of a head).
# The first table serves when one of its limbs is there; the second one has a ratio for every limb.
HEAD_AND_TRUNK_RATIOS = {14: 0.85, 3: 2.2, 0: 2.2, 13: 0.85, 9: 0.85}
LIMB_RATIOS = (2.2, 1.7, 1.7, 2.2, 1.7, 1.7, 0.6, 0.93, 0.65, 0.85, 0.6, 0.93, 0.65, 0.85, 1, 0.2, 0.2, 0.25, 0.25)

COCO_DIR = "coco"  # where the scripts look for COCO, unless --coco_dir says otherwise
COCO_YEAR = 2017

STRIDE = 8  # input pixels per cell of the maps, in every network here
MAX_SIDE = 4096  # of a network's input, pixels: keeps a 1x4000 picture from asking for gigabytes


class Decoding(NamedTuple):
    """What turns maps into people. The defaults are the original's; a network's row in models.ARCHS may differ."""

    heatmap_peak_thresh: float = 0.05  # a peak is higher than this
    n_integ_points: int = 10  # samples of the PAF along a candidate limb
    n_integ_points_thresh: int = 8  # more samples than this must exceed inner_product_thresh
    inner_product_thresh: float = 0.05
    limb_length_ratio: float = 1.0  # limbs longer than this times the width of the maps are punished
    length_penalty_value: float = 1.0
    n_subset_limbs_thresh: int = 3  # a person has this many joints at least
    subset_score_thresh: float = 0.2  # and this score per joint
    max_stretch: float = inf  # a limb is at most so many times as long as the limbs that its person has so far let expect


FACE_PEAK_THRESH = 0.1  # a point of a face or a hand is higher than this
HAND_PEAK_THRESH = 0.1


RANK_EXPONENT = 0.25  # people are ranked by score * (share of the joints that were found) ** this; how it was chosen: docs/results.md


class Training(NamedTuple):
    """Whom a network is trained on. Others are ignored: what lies under them does not count."""

    insize: int = 368  # side of the network's input, pixels
    min_keypoints: int = 5  # a training person has this many labelled joints at least, in COCO's count
    min_area: float = 32 * 32  # and covers this many pixels of its picture at least
    mask_dilation: int = 16  # side of the box by which the ignored regions grow, pixels of the picture


TRAINING = Training()


class Learning(NamedTuple):
    """How a network learns; the original's numbers."""

    rate: float = 1e-4
    drops: tuple = (100_000, 200_000)  # from these iterations on, the rate is a tenth of what it was
    iterations: int = 300_000
    batch: int = 10
    freeze: int = 2000  # iterations for which VGG's layers rest
    slow_factor: float = 0.25  # of the gradients of VGG's layers and of the two after them
    warmup: int = 1000  # iterations in which the rate rises, schedule "cosine"
    interval: int = 1000  # iterations between snapshots, and between validations
    val_samples: int = 200


LEARNING = Learning()


class Augmentation(NamedTuple):
    """How training pictures are varied."""

    min_scale: float = 0.5
    max_scale: float = 2.0
    min_box: float = 64  # the longer sides of the people's boxes stay within these, pixels of the network's input
    max_box: float = 512
    rotation: float = 40 / 3  # standard deviation, degrees
    shift: float = 40  # the crop's centre lies within this of a person's, to each side, pixels of the network's input
    p_flip: float = 0.5
    p_color: float = 0.5
    hue: float = 20  # the hue turns by this at most, degrees
    saturation: float = 0.4  # saturation and brightness change by this share at most
    brightness: float = 0.3
