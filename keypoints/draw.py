"""Draw skeletons. Coordinates between the pixels are honoured, and lines are as wide as picture and person bear."""

import itertools

import cv2
import numpy as np

from entity import EAR_LIMBS, FACE_COLOR, FACE_LINES, FINGER_COLORS, HAND_FINGERS, JOINT_COLORS, LIMB_COLORS, LIMBS, N_JOINTS

SHIFT = 4  # OpenCV draws at 1 / 16 pixel
FONT = cv2.FONT_HERSHEY_SIMPLEX
BOX_COLOR = (255, 255, 255)
FACE = [(np.array([*points, points[0]] if closed else points), FACE_COLOR) for points, closed in FACE_LINES]
HAND = list(zip(map(np.array, HAND_FINGERS), FINGER_COLORS, strict=True))
PART_LINES = {"face": FACE, "left_hand": HAND, "right_hand": HAND}


def line_width(pose, size_wh) -> int:
    """Pixels: a share of the picture's short side, thinner for a person who is small in it, never invisible. pose (18, 3)."""
    found = pose[pose[:, 2] > 0, :2]
    extent = np.ptp(found, axis=0).max() if len(found) else 0
    short = min(size_wh)
    return max(1, round(max(short / 400, min(short / 110, extent / 40))))


def number_of(person) -> str:
    """A label: the person's number, where it has one."""
    return "" if person.number is None else str(person.number)


def number_and_rank(person) -> str:
    """A label: "3: 0.81", or "0.81" where it has no number."""
    return f"{person.number}: {person.rank:.2f}" if person.number is not None else f"{person.rank:.2f}"


def blurred(image):
    """A copy of the picture (H, W, 3) uint8 in which details are gone: a Gaussian of a 30th of its short side."""
    return cv2.GaussianBlur(image, (0, 0), min(image.shape[:2]) / 30)


BACKGROUNDS = {"photo": np.copy, "black": np.zeros_like, "blurred": blurred}  # --background: what is drawn on


def draw_people(image, persons, label=number_of):
    """A copy of the picture (H, W, 3) uint8 with what was found of the persons (keypoints.whole.WholePerson), in pixels of the picture.

    Skeletons, smoothed where they were; faces and hands with their boxes; above each person its label: a WholePerson -> text, "" for none.
    """
    canvas = np.ascontiguousarray(image).copy()
    for person in persons:
        if person.pose is not None:
            _draw_pose(canvas, person.shown_pose)
        for name, part in person.parts.items():
            _draw_points(canvas, part.keypoints, PART_LINES[name], part.box)
            if part.box is not None:
                _draw_box(canvas, part.box)
        if person.box is not None and label(person):
            _draw_label(canvas, person, label(person))
    return canvas


def draw_poses(image, poses):
    """A copy of the picture (H, W, 3) uint8 with the skeletons of poses (n, 18, 3), in pixels of the picture, drawn on it."""
    canvas = np.ascontiguousarray(image).copy()
    for pose in poses:
        _draw_pose(canvas, pose)
    return canvas


def draw_labels(image, labels):
    """A copy of the picture with texts. labels: (text, x, y) each: it begins at x and stands above y, pixels."""
    canvas = np.ascontiguousarray(image).copy()
    for text, x, y in labels:
        _draw_text(canvas, text, x, y, 0, (255, 255, 255))
    return canvas


def make_headings(texts, width):
    """(h, len(texts) * width, 3) uint8: white, each text in the middle of `width` pixels, all of one size."""
    sizes = [cv2.getTextSize(text, FONT, 1, 1)[0] for text in texts]
    scale = min(0.6, min(0.9 * width / each for each, _ in sizes))
    height = round(2.2 * scale * sizes[0][1]) + 2
    strip = np.full((height, len(texts) * width, 3), 255, np.uint8)
    for number, (text, (text_width, text_height)) in enumerate(zip(texts, sizes, strict=True)):
        at = round((number + 0.5) * width - scale * text_width / 2), round((height + scale * text_height) / 2)
        cv2.putText(strip, text, at, FONT, scale, (0, 0, 0), 1, cv2.LINE_AA)
    return strip


def draw_heatmaps(image, heatmaps, covered_wh=None):
    """A copy of the picture with the joints' heatmaps (19, h, w) over it, each in its joint's colour; brightest where they are 1.

    covered_wh: how much of the plane they cover from the picture's corner on, in its pixels; None: the picture.
    """
    light = np.einsum("jyx,jc->yxc", heatmaps[:N_JOINTS], np.array(JOINT_COLORS, np.float32))
    return _add_light(image, light, covered_wh)


def draw_pafs(image, pafs):
    """A copy of the picture with the PAFs (38, h, w) over it: the hue is the direction, red to the right, and the light the length."""
    x, y = pafs.reshape(-1, 2, *pafs.shape[1:]).sum(0)
    hue = np.rad2deg(np.arctan2(y, x)) % 360
    hsv = np.stack([hue, np.ones_like(hue), np.minimum(np.hypot(x, y), 1)], axis=-1).astype(np.float32)
    return _add_light(image, 255 * cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR))


def draw_strength(image, strength):
    """A copy of the picture, grey and dark, with a map (h, w) of numbers from 0 on over it: brightest where it is largest."""
    relative = _enlarge(strength.astype(np.float32) / max(float(strength.max()), 1e-12), image)
    light = cv2.applyColorMap(np.rint(255 * relative).astype(np.uint8), cv2.COLORMAP_INFERNO)
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    return np.clip(grey * np.float32(0.4) + light, 0, 255).astype(np.uint8)


def draw_mask(image, mask):
    """A copy of the picture in which the ignored cells or pixels, mask (h, w) bool, are dark red."""
    ignored = _enlarge(mask.astype(np.uint8), image)[..., None] > 0
    return np.where(ignored, image // 3 + np.array([0, 0, 90], np.uint8), image)


def _add_light(image, light, covered_wh=None):
    return np.clip(image * 0.5 + _enlarge(light.astype(np.float32), image, covered_wh), 0, 255).astype(np.uint8)


def _enlarge(cells, image, covered_wh=None):
    """Maps as large as the picture, each cell a square: what one sees is what the network is taught, and says."""
    height, width = image.shape[:2]
    covered_wh = (
        (width, height) if covered_wh is None else tuple(max(round(float(c)), side) for c, side in zip(covered_wh, (width, height), strict=True))
    )
    return cv2.resize(cells, covered_wh, interpolation=cv2.INTER_NEAREST)[:height, :width]


def draw_face(image, keypoints):
    """A copy of the picture with the lines and points of a face; keypoints (70, 3): x, y, confidence in pixels, NaN where missing."""
    canvas = np.ascontiguousarray(image).copy()
    _draw_points(canvas, keypoints, FACE)
    return canvas


def draw_hand(image, keypoints):
    """A copy of the picture with the fingers of a hand, a hue each; keypoints (21, 3): x, y, confidence in pixels, NaN where missing."""
    canvas = np.ascontiguousarray(image).copy()
    _draw_points(canvas, keypoints, HAND)
    return canvas


# What begins with an underscore here draws on the canvas it is given.


def _draw_pose(canvas, pose):
    width = line_width(pose, (canvas.shape[1], canvas.shape[0]))
    places, found = _fixed(pose), (pose[:, 2] > 0).tolist()
    for limb, (a, b) in enumerate(LIMBS):
        if limb not in EAR_LIMBS and found[a] and found[b]:
            cv2.line(canvas, places[a], places[b], LIMB_COLORS[limb], width, cv2.LINE_AA, SHIFT)
    radius = round(max(1.5, 0.85 * width) * (1 << SHIFT))
    for joint in itertools.compress(range(len(places)), found):
        cv2.circle(canvas, places[joint], radius, JOINT_COLORS[joint], cv2.FILLED, cv2.LINE_AA, SHIFT)


def _draw_points(canvas, keypoints, lines, box=None):
    """lines: (indices of the points along a line, colour). box: of the part; None is the whole picture."""
    found = np.isfinite(keypoints[:, 0])
    if not found.any():
        return
    extent = np.ptp(keypoints[found, :2], axis=0).max()
    width = max(1, round(min(min(canvas.shape[:2]) / 110, extent / 80)))
    places = _fixed(keypoints)
    for indices, color in lines:
        for a, b in itertools.pairwise(indices):
            if found[a] and found[b]:
                cv2.line(canvas, places[a], places[b], color, width, cv2.LINE_AA, SHIFT)
    colors = dict.fromkeys(range(len(keypoints)), FACE_COLOR) | {int(i): color for indices, color in lines for i in indices}
    smallest = 1.5 if box is None else 1.0
    for index in np.flatnonzero(found):
        cv2.circle(canvas, places[index], round(max(smallest, width) * (1 << SHIFT)), colors[int(index)], cv2.FILLED, cv2.LINE_AA, SHIFT)


def _draw_box(canvas, box):
    left, top, right, bottom = box
    cv2.rectangle(canvas, (left, top), (right - 1, bottom - 1), BOX_COLOR, max(1, round(min(canvas.shape[:2]) / 400)))


def _draw_label(canvas, person, text):
    """Above the head, in a colour of its own for each number; white without one."""
    left, top, right, _ = person.box
    color = BOX_COLOR if person.number is None else JOINT_COLORS[7 * person.number % len(JOINT_COLORS)]
    _draw_text(canvas, text, (left + right) / 2, top, 0.5, color)


def _draw_text(canvas, text, x, y, share, color):
    """Above y, with `share` of its width left of x; inside the picture."""
    scale = max(0.5, min(canvas.shape[:2]) / 800)
    thick = max(1, round(2 * scale))
    (width, height), _ = cv2.getTextSize(text, FONT, scale, thick)
    x = min(max(round(x - share * width), 0), max(canvas.shape[1] - width, 0))
    y = max(round(y - 0.5 * height), height + thick)
    cv2.putText(canvas, text, (x, y), FONT, scale, (0, 0, 0), 3 * thick, cv2.LINE_AA)
    cv2.putText(canvas, text, (x, y), FONT, scale, color, thick, cv2.LINE_AA)


def _fixed(points):
    """points (P, 3): x, y, confidence -> [(x, y), ...], whole numbers of 1/2**SHIFT pixels, as OpenCV wants them; 0 where missing."""
    return list(map(tuple, np.rint(np.nan_to_num(points[:, :2]) * (1 << SHIFT)).astype(int).tolist()))
