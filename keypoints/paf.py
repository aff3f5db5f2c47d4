"""From maps to people: connect peaks along the part affinity fields (PAFs), and group the connections.

Source: Cao et al., "Realtime Multi-Person 2D Pose Estimation using Part Affinity Fields", CVPR 2017, section 2.3 (eq. 10, 11) and 2.4.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from entity import EAR_LIMBS, LIMBS, N_JOINTS, STRIDE, Decoding
from keypoints.peaks import locate_peaks


class People(NamedTuple):
    """n people; points in whatever pixels the function that returns them says."""

    poses: np.ndarray  # (n, 18, 3) float64: x, y, v; v = 2 for a found joint, a row of zeros for a missing one
    scores: np.ndarray  # (n,) float64: peak and connection scores, per joint
    confidences: np.ndarray  # (n, 18) float64: height of each joint's peak, 0 for a missing one

    def __len__(self):
        return len(self.poses)


@dataclass
class Person:
    """A person while it is put together: joints maps a joint to the index of its peak."""

    joints: dict
    score: float

    @property
    def count(self) -> int:
        return len(self.joints)


def decode(pafs, heatmaps, decoding=Decoding(), cell=STRIDE) -> People:
    """Find the people in the maps of one picture.

    pafs (38, H, W) float32, heatmaps (19, H, W) float32 (background last). cell: pixels of the network's input per cell.
    Returns People in pixels of the network's input: cell g stands at cell (g + 0.5) - 0.5.
    """
    peaks = locate_peaks(heatmaps[:N_JOINTS], decoding.heatmap_peak_thresh)
    people = assemble(pafs, peaks, decoding)
    found = people.poses[..., 2:] > 0
    people.poses[..., :2] = np.where(found, (people.poses[..., :2] + 0.5) * cell - 0.5, 0)
    return people


def assemble(pafs, peaks, decoding=Decoding(), nearest=False) -> People:
    """Connect and group peaks. pafs (38, H, W); peaks (P, 4): joint, x, y, score, ordered by joint, x and y in pixels of pafs.

    nearest: read the PAFs at whole pixels, as the original does on its enlarged maps, instead of between them.
    Returns People in pixels of pafs.
    """
    persons = group(find_connections(pafs, peaks, decoding, nearest), peaks)
    persons = [
        person for person in persons if person.count >= decoding.n_subset_limbs_thresh and person.score / person.count >= decoding.subset_score_thresh
    ]
    poses, confidences = np.zeros((len(persons), N_JOINTS, 3)), np.zeros((len(persons), N_JOINTS))
    for n, person in enumerate(persons):
        joints, indices = list(person.joints), list(person.joints.values())
        poses[n, joints, :2] = peaks[indices, 1:3]
        poses[n, joints, 2] = 2
        confidences[n, joints] = peaks[indices, 3]
    return People(poses, np.array([person.score / person.count for person in persons]), confidences)


def find_connections(pafs, peaks, decoding, nearest=False) -> list:
    """Per limb its connections: a list of (index of the first peak, of the second, score), best first.

    The score is the mean inner product of the PAF with the unit vector along the limb (eq. 10 and 11, as a sum), less a penalty
    for limbs longer than decoding.limb_length_ratio widths of the maps. All candidates of a limb are judged at once.
    """
    first = np.searchsorted(peaks[:, 0], np.arange(N_JOINTS + 1))
    read = _read_nearest if nearest else _read_bilinear
    width = pafs.shape[2]
    n = decoding.n_integ_points
    t = np.linspace(0, 1, n) if nearest else (np.arange(n) + 0.5) / n  # at the ends themselves a field is half as strong
    connections = []
    for limb, (a, b) in enumerate(LIMBS):
        from_xy = peaks[first[a] : first[a + 1], None, 1:3].astype(np.float64)  # (A, 1, 2)
        to_xy = peaks[None, first[b] : first[b + 1], 1:3].astype(np.float64)  # (1, B, 2)
        if not from_xy.size or not to_xy.size:
            connections.append([])
            continue
        vector = to_xy - from_xy  # (A, B, 2)
        length = np.hypot(vector[..., 0], vector[..., 1])  # (A, B)
        unit = vector / np.maximum(length, 1e-9)[..., None]
        points = from_xy[:, :, None] + vector[:, :, None] * t[:, None]  # (A, B, n, 2) x, y
        field = read(pafs[2 * limb : 2 * limb + 2], points)  # (2, A, B, n)
        products = field[0] * unit[..., None, 0] + field[1] * unit[..., None, 1]
        penalty = decoding.limb_length_ratio * width / np.maximum(length, 1e-9) - decoding.length_penalty_value
        scores = products.mean(-1) + np.minimum(penalty, 0)
        supported = (products > decoding.inner_product_thresh).sum(-1) > decoding.n_integ_points_thresh
        chosen = greedy(np.where(supported & (scores > 0) & (length > 0), scores, -np.inf))
        connections.append([(first[a] + i, first[b] + j, scores[i, j]) for i, j in chosen])
    return connections


def greedy(scores) -> list:
    """Pairs (i, j), best first, each i and j used once; scores (A, B), -inf where no pair may be.

    Taking every pair that is the best of its row and of its column, until none is left, gives what taking them one by one gives.
    """
    scores, pairs = scores.copy(), []
    while scores.size and np.isfinite(scores.max()):
        best_column, best_row = scores.argmax(1), scores.argmax(0)
        rows = np.flatnonzero((best_row[best_column] == np.arange(len(scores))) & np.isfinite(scores.max(1)))
        columns = best_column[rows]
        pairs += zip(scores[rows, columns], rows, columns, strict=True)
        scores[rows], scores[:, columns] = -np.inf, -np.inf
    return [(int(i), int(j)) for _, i, j in sorted(pairs, key=lambda pair: -pair[0])]


def group(connections, peaks) -> list:
    """Persons from the connections of all limbs (section 2.4): a connection extends the person that owns one of its ends, joins two
    persons that own one end each and share no joint, and otherwise starts a person (ear limbs never do).
    """
    persons, owner = [], {}  # owner: index of a peak -> its person
    for limb, (a, b) in enumerate(LIMBS):
        for i, j, score in connections[limb]:
            one, other = owner.get(i), owner.get(j)
            if one is None and other is None:
                if limb not in EAR_LIMBS:
                    one = Person({a: i, b: j}, peaks[i, 3] + peaks[j, 3] + score)
                    owner[i] = owner[j] = one
                    persons.append(one)
            elif one is None or other is None:
                person, joint, peak = (one, b, j) if other is None else (other, a, i)
                if joint not in person.joints:
                    person.joints[joint] = peak
                    person.score += peaks[peak, 3] + score
                    owner[peak] = person
            elif one is not other and not one.joints.keys() & other.joints.keys():
                one.joints.update(other.joints)
                one.score += other.score + score
                owner.update((peak, one) for peak in other.joints.values())
                persons = [person for person in persons if person is not other]
    return persons


def _read_nearest(maps, points):
    """maps (C, H, W) at points (..., 2) x, y, rounded to pixels; points outside read the border. Returns (C, ...)."""
    x, y = (np.clip(np.rint(points[..., axis]).astype(int), 0, size - 1) for axis, size in ((0, maps.shape[2]), (1, maps.shape[1])))
    return maps[:, y, x]


def _read_bilinear(maps, points):
    """maps (C, H, W) at points (..., 2) x, y, bilinear; points outside read the border. Returns (C, ...)."""
    height, width = maps.shape[1:]
    x, y = np.clip(points[..., 0], 0, width - 1), np.clip(points[..., 1], 0, height - 1)
    left, top = np.minimum(x.astype(int), max(width - 2, 0)), np.minimum(y.astype(int), max(height - 2, 0))
    fx, fy = x - left, y - top
    flat, corner = maps.reshape(len(maps), -1), top * width + left
    right, down = min(1, width - 1), width * min(1, height - 1)
    upper = flat[:, corner] * (1 - fx) + flat[:, corner + right] * fx
    lower = flat[:, corner + down] * (1 - fx) + flat[:, corner + down + right] * fx
    return upper * (1 - fy) + lower * fy
