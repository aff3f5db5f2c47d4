"""MediaPipe's landmark models as teachers of faces and hands (Apache-2.0; the wheel mediapipe 0.10.14, which a user installs).

Faces: face_landmark_with_attention; hands: hand_landmark_full. A teacher looks at several views of a crop; where its answers differ, it doubts.
"""

import importlib

import cv2
import numpy as np

from distil.landmarks import face_points
from entity import N_HAND_POINTS
from errors import InputError
from keypoints.augment import view_matrix

SIDE = 256  # of a view, pixels
VIEWS = ((0.95, 0), (0.8, 12), (0.8, -12), (0.65, 0))  # size of the crop in it, and its turn in degrees
LEAST = 0.5  # the teacher's own confidence
WHEEL = "mediapipe==0.10.14"


def open_teacher(kind):
    """look(view (H, W, 3) uint8 BGR) -> (points (P, 2) in its pixels, confidence), or None where nothing is seen. kind: "face" or "hand"."""
    try:
        solutions = importlib.import_module("mediapipe").solutions
    except (ImportError, AttributeError):
        raise InputError(f"MediaPipe, the teacher, is not installed: pip install {WHEEL}") from None
    if kind == "face":
        net = solutions.face_mesh.FaceMesh(static_image_mode=True, max_num_faces=1, refine_landmarks=True, min_detection_confidence=LEAST)
        return lambda view: _face(net, view)
    net = solutions.hands.Hands(static_image_mode=True, max_num_hands=2, model_complexity=1, min_detection_confidence=LEAST)
    return lambda view: _hand(net, view)


def _face(net, view):
    found = net.process(cv2.cvtColor(view, cv2.COLOR_BGR2RGB)).multi_face_landmarks
    return (face_points(_pixels(found[0], view)), 1.0) if found else None


def _hand(net, view):
    """The hand whose middle is nearest to the picture's."""
    answer = net.process(cv2.cvtColor(view, cv2.COLOR_BGR2RGB))
    if not answer.multi_hand_landmarks:
        return None
    hands = [_pixels(hand, view)[:N_HAND_POINTS] for hand in answer.multi_hand_landmarks]
    middle = (np.array(view.shape[1::-1]) - 1) / 2
    nearest = int(np.argmin([np.hypot(*(hand.mean(0) - middle)) for hand in hands]))
    return hands[nearest], answer.multi_handedness[nearest].classification[0].score


def _pixels(landmarks, view):
    """(n, 2): MediaPipe's shares of the picture's width and height as pixels, the centre of the first pixel being 0."""
    shares = np.array([(point.x, point.y) for point in landmarks.landmark])
    return shares * view.shape[1::-1] - 0.5


def teach(look, image):
    """(points (P, 2) in pixels of the crop, spread (P,), confidence), or None unless the teacher sees something in most views.

    look: of open_teacher. image (H, W, 3) uint8. spread: mean distance from the mean of all views, in sizes (the root of the points' box).
    """
    answers = [answer for answer in (_look_turned(look, image, *view) for view in VIEWS) if answer is not None]
    if len(answers) <= len(VIEWS) / 2:
        return None
    runs = np.array([points for points, _ in answers])
    points = runs.mean(0)
    size = np.sqrt(np.ptp(points, axis=0).prod()) + 1e-6
    return points, np.hypot(*np.moveaxis(runs - points, 2, 0)).mean(0) / size, float(np.mean([score for _, score in answers]))


def _look_turned(look, image, size, angle):
    height, width = image.shape[:2]
    matrix = view_matrix((np.array([width, height]) - 1) / 2, size * SIDE / max(width, height), angle, (0, 0), False, SIDE)
    answer = look(cv2.warpAffine(image, matrix, (SIDE, SIDE), flags=cv2.INTER_LINEAR))
    if answer is None:
        return None
    points, score = answer
    return (points - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T, score
