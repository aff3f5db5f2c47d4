"""keypoints/person.py: the original's crops, and the formulas they come from."""

import json

import numpy as np
import pytest
from conftest import golden
from people import person

from entity import HEAD_AND_TRUNK_RATIOS, LIMB_RATIOS, LIMBS, N_LIMBS, Joint
from keypoints.paf import People
from keypoints.person import evidence, face_box, hand_box, hand_boxes, is_doubtful, unit_length


def golden_people():
    for name in ("decode_000000040083.npz", "decode_000000197388.npz"):
        arrays = golden(name)
        crops = json.loads(str(arrays["crops"]))
        assert len(crops) == len(arrays["poses"])
        for number, (pose, crop) in enumerate(zip(arrays["poses"], crops, strict=True)):
            yield (name, number), pose, crop


def formula(pose, ratios):
    """facts.md: the mean of length / ratio over the limbs that are there; None if none is."""
    units = [np.hypot(*(pose[b] - pose[a])[:2]) / ratio for limb, ratio in ratios.items() for a, b in [LIMBS[limb]] if pose[a, 2] and pose[b, 2]]
    return np.mean(units) if units else None


def has_base_limbs(pose):
    return all(pose[joint, 2] > 0 for limb in HEAD_AND_TRUNK_RATIOS for joint in LIMBS[limb])


def boxes(pose, unit):
    hands = hand_boxes(pose, unit)
    return {"face": face_box(pose, unit), "left": hands["left"], "right": hands["right"]}


def golden_boxes(crop):
    return {part: crop[part] and tuple(crop[part]) for part in ("face", "left", "right")}


def test_golden_crops_of_complete_people():
    """All limbs of head and trunk there: the original's unit length and boxes."""
    complete = [(key, pose, crop) for key, pose, crop in golden_people() if has_base_limbs(pose)]
    assert [key for key, _, _ in complete] == [("decode_000000040083.npz", 1)]
    for _, pose, crop in complete:
        unit = unit_length(pose)
        assert unit == pytest.approx(crop["unit_length"], rel=1e-12)
        assert boxes(pose, unit) == golden_boxes(crop)


def test_golden_crops_of_all_people():
    """The original takes limbs whose joints are missing too, and measures to (0, 0), where it keeps missing joints.

    Reading the poses that way gives its numbers. What facts.md says, and we do, is the same formula over the limbs that are there.
    """
    differing = 0
    for _, pose, crop in golden_people():
        as_original = pose.copy()
        as_original[:, 2] = 2
        assert formula(as_original, HEAD_AND_TRUNK_RATIOS) == pytest.approx(crop["unit_length"], rel=1e-12)
        assert unit_length(as_original) == pytest.approx(crop["unit_length"], rel=1e-12)
        assert boxes(pose, crop["unit_length"]) == golden_boxes(crop)
        assert unit_length(pose) == pytest.approx(formula(pose, HEAD_AND_TRUNK_RATIOS), rel=1e-12)
        if not has_base_limbs(pose):
            differing += 1
            assert unit_length(pose) < 0.95 * crop["unit_length"]
    assert differing > 0


def only(pose, joints):
    """The pose with these joints only."""
    kept = np.zeros_like(pose)
    kept[list(joints)] = pose[list(joints)]
    return kept


@pytest.mark.parametrize("limb", HEAD_AND_TRUNK_RATIOS)
def test_one_limb_of_head_and_trunk(limb):
    """One is enough."""
    pose = only(person(100, 80, 30), LIMBS[limb])
    expected = {9: 0.85, 13: 0.85, 14: 0.85, 0: 2.2, 3: 2.2}[limb]
    a, b = LIMBS[limb]
    assert unit_length(pose) == pytest.approx(np.hypot(*(pose[a] - pose[b])[:2]) / expected, rel=1e-12)


def test_head_and_trunk_decide():
    """Arms and legs do not matter where they are there."""
    pose = person(100, 80, 30)
    stretched = pose.copy()
    stretched[[Joint.RightHand, Joint.LeftFoot, Joint.RightKnee], :2] += 500
    assert unit_length(pose) == unit_length(stretched) == pytest.approx(formula(pose, HEAD_AND_TRUNK_RATIOS), rel=1e-12)


@pytest.mark.parametrize("limb", [limb for limb in range(N_LIMBS) if limb not in HEAD_AND_TRUNK_RATIOS])
def test_fallback_to_any_limb(limb):
    """Without head and trunk any limb serves, with its own ratio."""
    pose = only(person(100, 80, 30), LIMBS[limb])
    a, b = LIMBS[limb]
    assert unit_length(pose) == pytest.approx(np.hypot(*(pose[a] - pose[b])[:2]) / LIMB_RATIOS[limb], rel=1e-12)


def test_fallback_takes_the_mean():
    """An arm, a leg and an eye."""
    pose = only(person(100, 80, 30), (2, 3, 4, 12, 13, 0, 14))
    lengths = [np.hypot(*(pose[a] - pose[b])[:2]) for a, b in ((2, 3), (3, 4), (12, 13), (0, 14))]
    assert unit_length(pose) == pytest.approx(np.mean(np.array(lengths) / (0.93, 0.65, 1.7, 0.2)), rel=1e-12)


@pytest.mark.parametrize("joints", [(), (0,), (0, 2, 4), (4, 7, 10, 13)])
def test_nothing_to_measure(joints):
    """No limb, no length; and no boxes."""
    pose = only(person(100, 80, 30), joints)
    assert unit_length(pose) == 0
    assert type(unit_length(pose)) is float
    assert boxes(pose, 0) == {"face": None, "left": None, "right": None}


def test_no_boxes_without_nose_and_hands():
    pose = person(100, 80, 30)
    pose[[Joint.Nose, Joint.LeftHand, Joint.RightHand]] = 0
    assert boxes(pose, 30) == {"face": None, "left": None, "right": None}


def pose_with(**joints):
    pose = np.zeros((18, 3))
    for name, (x, y) in joints.items():
        pose[Joint[name]] = x, y, 2
    return pose


def test_face_box():
    """Nose x +- u, y from -1.2 u to +0.8 u; cut to whole pixels towards zero, as in the golden crops."""
    assert face_box(pose_with(Nose=(100.4, 80.9)), 20) == (80, 56, 120, 96)
    assert face_box(pose_with(Nose=(5.5, 3.5)), 20.25) == (-14, -20, 25, 19)
    assert all(type(edge) is int for edge in face_box(pose_with(Nose=(np.float64(5.5), 3)), np.float64(20)))


def test_hand_box_beyond_the_wrist():
    """Centre = wrist + 0.3 (wrist - elbow), half a side 0.95 u."""
    pose = pose_with(LeftHand=(100, 80), LeftElbow=(60, 100))
    assert hand_box(pose, 20, Joint.LeftHand, Joint.LeftElbow) == (112 - 19, 74 - 19, 112 + 19, 74 + 19)
    assert hand_boxes(pose, 20) == {"left": (93, 55, 131, 93), "right": None}


def test_hand_box_without_an_elbow():
    """Around the wrist itself, not drawn towards (0, 0)."""
    assert hand_boxes(pose_with(RightHand=(100, 80)), 20) == {"left": None, "right": (81, 61, 119, 99)}


def test_each_hand_has_its_own_elbow():
    pose = pose_with(RightHand=(100, 80), LeftElbow=(60, 100), LeftHand=(200, 80), RightElbow=(240, 80))
    assert hand_boxes(pose, 20) == {
        "left": hand_box(pose, 20, Joint.LeftHand, Joint.LeftElbow),
        "right": hand_box(pose, 20, Joint.RightHand, Joint.RightElbow),
    }
    assert hand_boxes(pose, 20)["right"] == (100 - 42 - 19, 61, 100 - 42 + 19, 99)


def test_boxes_reach_outside():
    """Negative coordinates are kept."""
    pose = pose_with(Nose=(3, 2), RightHand=(1, 1), LeftHand=(-4, 5))
    assert boxes(pose, 100) == {"face": (-97, -118, 103, 82), "left": (-99, -90, 91, 100), "right": (-94, -94, 96, 96)}


def test_size_follows_the_person():
    """Twice as large, twice the unit length; moved or turned, the same."""
    for joints in (tuple(Joint), (2, 3, 4, 12, 13)):
        unit = unit_length(only(person(100, 80, 30), joints))
        assert unit > 0
        assert unit_length(only(person(100, 80, 60), joints)) == pytest.approx(2 * unit, rel=1e-12)
        assert unit_length(only(person(917, 333, 30), joints)) == pytest.approx(unit, rel=1e-12)
        assert unit_length(only(person(100, 80, 30, angle=1.1), joints)) == pytest.approx(unit, rel=1e-12)


def test_boxes_move_with_the_person():
    """By whole pixels, right and down."""
    pose = person(300, 200, 30)
    unit = unit_length(pose)
    moved = pose + (37, 12, 0)
    for part, box in boxes(pose, unit).items():
        assert boxes(moved, unit)[part] == tuple(np.add(box, (37, 12, 37, 12)))


def test_boxes_grow_with_the_unit():
    pose = person(300, 200, 30)
    for part, (left, top, right, bottom) in boxes(pose, 40.0).items():
        larger = boxes(pose, 80.0)[part]
        side = {"face": 2, "left": 1.9, "right": 1.9}[part]
        assert right - left == pytest.approx(side * 40, abs=1)
        assert bottom - top == pytest.approx(side * 40, abs=1)
        assert larger[2] - larger[0] == pytest.approx(side * 80, abs=1)
        assert larger[3] - larger[1] == pytest.approx(side * 80, abs=1)


def test_geometry_does_not_change_the_pose():
    pose = person(300, 200, 30)
    kept = pose.copy()
    boxes(pose, unit_length(pose))
    np.testing.assert_array_equal(pose, kept)


def test_a_second_look_is_worth_while():
    """Nobody, parts of people, and people who fill the picture are doubtful; whole people who do not are not."""
    whole = person(300, 150, 30)[None]
    assert is_doubtful(np.empty((0, 18, 3)), (640, 480))
    assert not is_doubtful(whole, (640, 480))
    assert is_doubtful(whole, (320, 260))
    part = whole.copy()
    part[:, 8:] = 0
    part[:, :2] = 0
    assert is_doubtful(part, (640, 480))
    assert not is_doubtful(np.concatenate([part, whole]), (640, 480))


def test_a_body_that_would_not_fit_is_doubtful():
    """A head with shoulders, of eight joints, that spans less than half of the picture: its body has no room in it."""
    whole = person(300, 150, 30)
    head = np.where(np.isin(np.arange(18), [0, 1, 2, 5, 14, 15, 16, 17])[:, None], whole, 0)
    width = unit_length(head)
    assert np.ptp(head[head[:, 2] > 0, :2], axis=0).max() < 0.5 * 6 * width
    assert is_doubtful(np.stack([whole, head]), (800, round(6 * width)))
    assert not is_doubtful(np.stack([whole, head]), (800, round(20 * width)))


def people_of(*joints_and_scores):
    poses = np.zeros((len(joints_and_scores), 18, 3))
    for pose, (joints, _) in zip(poses, joints_and_scores, strict=True):
        pose[:joints] = 1
    return People(poses, np.array([score for _, score in joints_and_scores]), np.ones((len(poses), 18)))


def test_evidence_is_a_whole_person_rather_than_parts_and_an_invention():
    assert evidence(people_of((14, 1.29))) > evidence(people_of((15, 0.93), (8, 1.37), (5, 0.72)))  # as seen with data/astronaut.png
    assert evidence(people_of((14, 1.3))) > evidence(people_of((13, 1.3)))
    assert evidence(people_of((14, 1.3), (5, 0.8))) > evidence(people_of((14, 1.3)))
    assert evidence(people_of((18, 0.5), (5, 0.9))) > evidence(people_of((18, 0.6)))  # nobody is sure: all of them count
    assert evidence(people_of((1, 0.1))) > evidence(people_of())
