"""From maps to people: connect peaks along the part affinity fields (PAFs), and group the connections.

Source: Cao et al., "Realtime Multi-Person 2D Pose Estimation using Part Affinity Fields", CVPR 2017, section 2.3 (eq. 10, 11) and 2.4.
"""

import math
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple

import numpy as np

from entity import EAR_LIMBS, LIMB_RATIOS, LIMBS, N_JOINTS, N_LIMBS, STRIDE, Decoding
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
    units: list = field(default_factory=list)  # of each limb: its length by its ratio, about the width of the head (entity.LIMB_RATIOS)

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
    grouping = Grouping(peaks)
    for limb in range(N_LIMBS):
        grouping.add(limb, find_connections(limb, pafs, peaks, decoding, nearest, grouping.units))
    persons = [
        person
        for person in grouping.persons
        if person.count >= decoding.n_subset_limbs_thresh and person.score / person.count >= decoding.subset_score_thresh
    ]
    poses, confidences = np.zeros((len(persons), N_JOINTS, 3)), np.zeros((len(persons), N_JOINTS))
    for n, person in enumerate(persons):
        joints, indices = list(person.joints), list(person.joints.values())
        poses[n, joints, :2] = peaks[indices, 1:3]
        poses[n, joints, 2] = 2
        confidences[n, joints] = peaks[indices, 3]
    return People(poses, np.array([person.score / person.count for person in persons]), confidences)


def find_connections(limb, pafs, peaks, decoding, nearest=False, units=None) -> list:
    """The connections of a limb: a list of (index of the first peak, of the second, score), best first.

    The score is the mean inner product of the PAF with the unit vector along the limb (eq. 10 and 11, as a sum), less a penalty
    for limbs longer than decoding.limb_length_ratio widths of the maps. All candidates are judged at once.
    units (P,): the unit length of the person that owns each peak, NaN where nobody does. By them a limb has a length to be expected; one that
    is decoding.max_stretch times as long is none, nor is one shorter than that squared (limbs do look short when seen from their end).
    """
    (a_first, a_last), (b_first, b_last) = (np.searchsorted(peaks[:, 0], [joint, joint + 1]) for joint in LIMBS[limb])
    from_xy = peaks[a_first:a_last, None, 1:3].astype(np.float64)  # (A, 1, 2)
    to_xy = peaks[None, b_first:b_last, 1:3].astype(np.float64)  # (1, B, 2)
    if not from_xy.size or not to_xy.size:
        return []
    n = decoding.n_integ_points
    t = np.linspace(0, 1, n) if nearest else (np.arange(n) + 0.5) / n  # at the ends themselves a field is half as strong
    vector = to_xy - from_xy  # (A, B, 2)
    length = np.hypot(vector[..., 0], vector[..., 1])  # (A, B)
    unit = vector / np.maximum(length, 1e-9)[..., None]
    points = from_xy[:, :, None] + vector[:, :, None] * t[:, None]  # (A, B, n, 2) x, y
    field = (_read_nearest if nearest else _read_bilinear)(pafs[2 * limb : 2 * limb + 2], points)  # (2, A, B, n)
    products = field[0] * unit[..., None, 0] + field[1] * unit[..., None, 1]
    penalty = decoding.limb_length_ratio * pafs.shape[2] / np.maximum(length, 1e-9) - decoding.length_penalty_value
    scores = products.mean(-1) + np.minimum(penalty, 0)
    possible = (scores > 0) & (length > 0) & ((products > decoding.inner_product_thresh).sum(-1) > decoding.n_integ_points_thresh)
    if units is not None and np.isfinite(decoding.max_stretch):
        stretch, pairs = decoding.max_stretch, (units[a_first:a_last, None], units[None, b_first:b_last])  # NaN, which compares as False
        length_by_ratio = length / LIMB_RATIOS[limb]
        possible &= ~(length_by_ratio > stretch * np.fmin(*pairs)) & ~(length_by_ratio < np.fmax(*pairs) / stretch**2)
    return [(a_first + i, b_first + j, scores[i, j]) for i, j in greedy(np.where(possible, scores, -np.inf))]


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


class Grouping:
    """Persons from the connections of limb after limb (section 2.4)."""

    def __init__(self, peaks):
        """peaks (P, 4): joint, x, y, score."""
        self.peaks, self.persons = peaks, []
        self.owner = {}  # index of a peak -> its person
        self.units = np.full(len(peaks), np.nan)  # of each peak: median unit length of its person's limbs so far, NaN where nobody owns it

    def add(self, limb, connections):
        """Add the connections of a limb. One extends the person that owns one of its ends, joins two persons that own one end each and share
        no joint, and otherwise starts a person (ear limbs never do).
        """
        a, b = LIMBS[limb]
        for i, j, score in connections:
            one, other = self.owner.get(i), self.owner.get(j)
            if one is None and other is None:
                if limb in EAR_LIMBS:
                    continue
                one = Person({a: i, b: j}, self.peaks[i, 3] + self.peaks[j, 3] + score)
                self.owner[i] = self.owner[j] = one
                self.persons.append(one)
            elif one is None or other is None:
                one, joint, peak = (one, b, j) if other is None else (other, a, i)
                if joint in one.joints:
                    continue
                one.joints[joint] = peak
                one.score += self.peaks[peak, 3] + score
                self.owner[peak] = one
            elif one is other or one.joints.keys() & other.joints.keys():
                continue
            else:
                one.joints.update(other.joints)
                one.score += other.score + score
                one.units += other.units
                self.owner.update((peak, one) for peak in other.joints.values())
                self.persons = [person for person in self.persons if person is not other]
            one.units.append(math.dist(self.peaks[i, 1:3], self.peaks[j, 1:3]) / LIMB_RATIOS[limb])
            self.units[list(one.joints.values())] = median(one.units)


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
