"""entity.py holds the numbers of ../shared/facts.md, and they fit together."""

import colorsys
import math

import pytest

import entity
from entity import EAR_LIMBS, JOINT_COLORS, LIMB_COLORS, LIMBS, N_JOINTS, N_LIMBS, Joint

NAMES = [
    "nose",
    "neck",
    "right_shoulder",
    "right_elbow",
    "right_wrist",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "right_hip",
    "right_knee",
    "right_ankle",
    "left_hip",
    "left_knee",
    "left_ankle",
    "right_eye",
    "left_eye",
    "right_ear",
    "left_ear",
]
ORIGINAL_NAMES = [
    "Nose",
    "Neck",
    "RightShoulder",
    "RightElbow",
    "RightHand",
    "LeftShoulder",
    "LeftElbow",
    "LeftHand",
    "RightWaist",
    "RightKnee",
    "RightFoot",
    "LeftWaist",
    "LeftKnee",
    "LeftFoot",
    "RightEye",
    "LeftEye",
    "RightEar",
    "LeftEar",
]
COCO_NAMES = [
    "nose",
    "left_eye",
    "right_eye",
    "left_ear",
    "right_ear",
    "left_shoulder",
    "right_shoulder",
    "left_elbow",
    "right_elbow",
    "left_wrist",
    "right_wrist",
    "left_hip",
    "right_hip",
    "left_knee",
    "right_knee",
    "left_ankle",
    "right_ankle",
]
LIMB_NUMBERS = [
    "1-8",
    "8-9",
    "9-10",
    "1-11",
    "11-12",
    "12-13",
    "1-2",
    "2-3",
    "3-4",
    "2-16",
    "1-5",
    "5-6",
    "6-7",
    "5-17",
    "1-0",
    "0-14",
    "0-15",
    "14-16",
    "15-17",
]


def mirrored(joint):
    name = joint.name
    swap = {"left_": "right_", "right_": "left_"}
    side = next((side for side in swap if name.startswith(side)), None)
    return Joint[swap[side] + name.removeprefix(side)] if side else joint


def test_joints():
    """18 joints, numbered in the order of the heatmaps."""
    assert [joint.name for joint in Joint] == NAMES
    assert [int(joint) for joint in Joint] == list(range(18))
    assert N_JOINTS == 18


def test_coco_calls_its_joints_so():
    """Results can be compared with COCO's labels word by word."""
    assert [joint.name for joint in entity.COCO_JOINTS] == COCO_NAMES


def test_the_original_names_are_aliases():
    """Programs that say Joint.RightWaist go on working; what they write is COCO's word."""
    assert [Joint[name] for name in ORIGINAL_NAMES] == list(Joint)
    assert Joint.RightWaist.name == "right_hip"


def test_limbs():
    """19 limbs in the order of the PAF channels."""
    assert [f"{a}-{b}" for a, b in LIMBS] == LIMB_NUMBERS
    assert N_LIMBS == 19


def test_limbs_connect_all_joints_and_are_symmetric():
    """Without the ear limbs the skeleton is a tree, and the mirror turns it into itself."""
    reached = {Joint.Neck}
    body = [limb for number, limb in enumerate(LIMBS) if number not in EAR_LIMBS]
    for _ in body:
        reached |= {joint for limb in body if reached & set(limb) for joint in limb}
    assert reached == set(Joint)
    assert len(body) == N_JOINTS - 1
    assert {(mirrored(a), mirrored(b)) for a, b in LIMBS} == set(LIMBS)


def test_ear_limbs():
    """They are the two limbs from a shoulder to the ear of the same side."""
    assert [LIMBS[limb] for limb in EAR_LIMBS] == [(Joint.RightShoulder, Joint.RightEar), (Joint.LeftShoulder, Joint.LeftEar)]
    assert EAR_LIMBS == (9, 13)


def test_coco_joints():
    """COCO's 17 keypoints in COCO's order; the neck is none of them."""
    assert entity.COCO_JOINTS == (0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10)
    assert set(Joint) - set(entity.COCO_JOINTS) == {Joint.Neck}


def test_face_lines():
    """They visit points 0..67 once; eyes and lips are closed; the pupils are left."""
    points = [point for line, _ in entity.FACE_LINES for point in line]
    assert points == list(range(68))
    assert [(line[0], line[-1]) for line, closed in entity.FACE_LINES if closed] == [(36, 41), (42, 47), (48, 59), (60, 67)]
    assert [(line[0], line[-1]) for line, closed in entity.FACE_LINES if not closed] == [(0, 16), (17, 21), (22, 26), (27, 30), (31, 35)]
    assert entity.FACE_PUPILS == (68, 69)
    assert entity.N_FACE_POINTS == 70


def test_fingers():
    """Five chains of four points, each from the wrist."""
    assert entity.HAND_FINGERS == ((0, 1, 2, 3, 4), (0, 5, 6, 7, 8), (0, 9, 10, 11, 12), (0, 13, 14, 15, 16), (0, 17, 18, 19, 20))
    assert entity.N_HAND_POINTS == 21
    assert len(entity.FINGER_COLORS) == 5


@pytest.mark.parametrize(("colors", "count"), [(JOINT_COLORS, 18), (entity.FINGER_COLORS, 5)])
def test_colors_are_distinct_hues(colors, count):
    """Full colours around the hue circle, as BGR ints, red first."""
    assert len(colors) == count
    assert colors[0] == (0, 0, 255)
    for number, color in enumerate(colors):
        assert all(type(part) is int for part in color)
        blue, green, red = color
        hue, saturation, value = colorsys.rgb_to_hsv(red / 255, green / 255, blue / 255)
        assert (saturation, value) == (1, 1)
        assert hue == pytest.approx(number / count, abs=1 / 255 / 6)
    assert len(set(colors)) == count


def test_limb_colors():
    """A limb has the colour of the joint it leads to, so two limbs share one only at the ears."""
    assert tuple(JOINT_COLORS[second] for _, second in LIMBS) == LIMB_COLORS
    drawn = [color for limb, color in enumerate(LIMB_COLORS) if limb not in EAR_LIMBS]
    assert len(set(drawn)) == len(drawn)


def test_ratios():
    """The numbers of facts.md, one for every limb."""
    assert list(entity.HEAD_AND_TRUNK_RATIOS.items()) == [(14, 0.85), (3, 2.2), (0, 2.2), (13, 0.85), (9, 0.85)]
    assert entity.LIMB_RATIOS == (2.2, 1.7, 1.7, 2.2, 1.7, 1.7, 0.6, 0.93, 0.65, 0.85, 0.6, 0.93, 0.65, 0.85, 1, 0.2, 0.2, 0.25, 0.25)
    assert len(entity.LIMB_RATIOS) == N_LIMBS


def test_decoding_defaults():
    """The original's parameters."""
    assert entity.Decoding() == (0.05, 10, 8, 0.05, 1.0, 1.0, 3, 0.2, math.inf)
    assert entity.Decoding._fields == (
        *("heatmap_peak_thresh", "n_integ_points", "n_integ_points_thresh", "inner_product_thresh"),
        *("limb_length_ratio", "length_penalty_value", "n_subset_limbs_thresh", "subset_score_thresh", "max_stretch"),
    )
    assert (entity.STRIDE, entity.FACE_PEAK_THRESH, entity.HAND_PEAK_THRESH) == (8, 0.1, 0.1)
