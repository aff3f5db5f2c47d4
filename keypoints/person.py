"""A person's size, and where the face and the hands are."""

import numpy as np

from entity import HEAD_AND_TRUNK_RATIOS, LIMB_RATIOS, LIMBS, Joint


def unit_length(pose) -> float:
    """About the width of the head, in pixels, from the lengths of the limbs that were found; 0 if there is none.

    pose (18, 3): x, y, v. The limbs of head and trunk decide; only where none of them was found, all limbs do.
    """
    for ratios in (HEAD_AND_TRUNK_RATIOS, dict(enumerate(LIMB_RATIOS))):
        lengths = []
        for limb, ratio in ratios.items():
            a, b = pose[list(LIMBS[limb])]
            if a[2] > 0 and b[2] > 0:
                lengths.append(np.hypot(*(b[:2] - a[:2])) / ratio)
        if lengths:
            return float(np.mean(lengths))
    return 0.0


def face_box(pose, unit):
    """(left, top, right, bottom) in whole pixels around the nose, right and bottom excluded; None without a nose. unit: unit_length.

    A box may reach outside the picture.
    """
    nose_x, nose_y, found = pose[Joint.nose]
    if not found or unit <= 0:
        return None
    return _box(nose_x - unit, nose_y - 1.2 * unit, nose_x + unit, nose_y + 0.8 * unit)


def hand_box(pose, unit, wrist, elbow):
    """The same around a hand: beyond the wrist, along the forearm where the elbow was found; None without a wrist."""
    wrist_x, wrist_y, found = pose[wrist]
    if not found or unit <= 0:
        return None
    center = np.array([wrist_x, wrist_y])
    if pose[elbow, 2] > 0:
        center = center + 0.3 * (center - pose[elbow, :2])
    half = 0.95 * unit
    return _box(*(center - half), *(center + half))


def hand_boxes(pose, unit) -> dict:
    """{"left": box or None, "right": box or None}."""
    return {
        "left": hand_box(pose, unit, Joint.left_wrist, Joint.left_elbow),
        "right": hand_box(pose, unit, Joint.right_wrist, Joint.right_elbow),
    }


def _box(left, top, right, bottom):
    return tuple(int(edge) for edge in (left, top, right, bottom))


FEW_JOINTS, FILLING, CLOSE = 8, 0.55, 0.15  # measured (models/README.md): second looks cost less than a tenth
SURE = 0.95  # the score of a person who is hardly an invention


def is_doubtful(poses, size_wh) -> bool:
    """Whether a second look at a smaller size may find more in a picture of size_wh: nobody with many joints was found in it,
    or somebody fills it, or is so close that a body would not fit into it.

    poses (n, 18, 3), in pixels of the picture. Networks know people up to some size; of larger ones they find parts.
    """
    found = poses[..., 2] > 0  # (n, 18)
    if found.sum(1).max(initial=0) < FEW_JOINTS:
        return True
    points = np.where(found[..., None], poses[..., :2], np.nan)
    if (np.nanmax(points, 1) - np.nanmin(points, 1)).max() > FILLING * min(size_wh):
        return True
    return max(map(unit_length, poses)) > CLOSE * min(size_wh)


def evidence(people) -> tuple:
    """How much was found of keypoints.paf.People, to be compared: all their joints, each with that part of its person's score that is above SURE;
    and where that is the same, each with all of it. So one whole person is more than parts of her and an invention."""
    joints = (people.poses[..., 2] > 0).sum(1)
    return float((np.maximum(people.scores - SURE, 0) * joints).sum()), float((people.scores * joints).sum())
