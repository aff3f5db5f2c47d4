"""MediaPipe's 478 points of a face (its 468 and ten of the irises) as the 70 of OpenPose: the 68 of iBUG's markup and two pupils.

A point of ours is (a, b, share of b) of two of theirs. Lips, eyes and pupils are points that both have; a brow of ours is the middle between the
edges of theirs; along the jaw theirs are spaced otherwise.
"""

import numpy as np

from entity import FACE_LINES, N_FACE_POINTS

N_LANDMARKS = 478

JAW = (  # from the right ear to the chin, and from the left ear to the chin
    ((127, 234, 0.05), (234, 93, 0.35), (93, 132, 0.55), (132, 58, 0.65), (58, 172, 0.8), (136, 150, 0.2), (150, 149, 0.8), (176, 148, 0.55)),
    ((356, 454, 0.05), (454, 323, 0.35), (323, 361, 0.55), (361, 288, 0.65), (288, 397, 0.8), (365, 379, 0.2), (379, 378, 0.8), (400, 377, 0.55)),
)
CHIN = (152, 152, 0.0)
BROWS = ((70, 46), (63, 53), (105, 52), (66, 65), (107, 55), (336, 285), (296, 295), (334, 282), (293, 283), (300, 276))  # upper and lower edge
NOSE = ((168, 6, 0.5), (197, 197, 0.0), (195, 5, 0.5), (4, 4, 0.0))
NOSTRILS = (98, 97, 2, 326, 327)
EYES = (33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380)
OUTER_LIPS = (61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91)
INNER_LIPS = (78, 81, 13, 311, 308, 402, 14, 178)
PUPILS = (468, 473)

MAPPING = (
    *JAW[0],
    CHIN,
    *reversed(JAW[1]),
    *((upper, lower, 0.5) for upper, lower in BROWS),
    *NOSE,
    *((point, point, 0.0) for point in (*NOSTRILS, *EYES, *OUTER_LIPS, *INNER_LIPS, *PUPILS)),
)


def face_points(landmarks):
    """landmarks (478, 2), MediaPipe's -> (70, 2), ours, in the same unit."""
    first, second, share = (np.array(column) for column in zip(*MAPPING, strict=True))
    return landmarks[first] * (1 - share[:, None]) + landmarks[second] * share[:, None]


def _mirrored() -> tuple:
    """point -> the point of the mirrored face that lies there: each line of the face runs the other way, or is another line's mirror."""
    table = list(range(N_FACE_POINTS))
    jaw, right_brow, left_brow, _, nostrils, right_eye, left_eye, outer, inner = (line for line, _ in FACE_LINES)
    swaps = [
        *zip(jaw, reversed(jaw), strict=True),
        *zip(nostrils, reversed(nostrils), strict=True),
        *zip(right_brow, reversed(left_brow), strict=True),
        *zip(right_eye, (left_eye[n] for n in (3, 2, 1, 0, 5, 4)), strict=True),
        *zip(outer, (outer[(6 - n) % 12] for n in range(12)), strict=True),
        *zip(inner, (inner[(4 - n) % 8] for n in range(8)), strict=True),
        (68, 69),
    ]
    for a, b in swaps:
        table[a], table[b] = b, a
    return tuple(table)


MIRRORED_FACE = _mirrored()
