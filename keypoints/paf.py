"""From maps to people: connect peaks along the part affinity fields (PAFs), and group the connections.

Source: Cao et al., "Realtime Multi-Person 2D Pose Estimation using Part Affinity Fields", CVPR 2017, section 2.3 (eq. 10, 11) and 2.4.
"""

import math
from bisect import insort
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from entity import EAR_LIMBS, LIMB_RATIOS, LIMBS, N_JOINTS, STRIDE, Decoding
from keypoints.candidates import find_candidates
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
    units: list = field(default_factory=list)  # of each limb: its length by its ratio, about the width of the head (entity.LIMB_RATIOS); ascending

    @property
    def count(self) -> int:
        return len(self.joints)

    @property
    def unit(self) -> float:
        """The median of the units."""
        last = len(self.units) - 1
        return (self.units[last // 2] + self.units[last - last // 2]) / 2


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
    return group(peaks, find_candidates(pafs, peaks, decoding, nearest), decoding)


def group(peaks, candidates_of_limbs, decoding=Decoding()) -> People:
    """People of peaks (P, 4) as assemble takes them, and what find_candidates says of them."""
    grouping = Grouping(peaks)
    for limb, candidates in enumerate(candidates_of_limbs):
        grouping.add(limb, find_connections(limb, candidates, decoding.max_stretch, grouping.unit_of))
    persons = [
        person
        for person in grouping.persons
        if person.count >= decoding.n_subset_limbs_thresh and person.score / person.count >= decoding.subset_score_thresh
    ]
    poses, confidences = np.zeros((len(persons), N_JOINTS, 3)), np.zeros((len(persons), N_JOINTS))
    number = np.repeat(np.arange(len(persons)), [person.count for person in persons])
    joint, peak = (np.array([item for person in persons for item in part(person.joints)], int) for part in (dict.keys, dict.values))
    poses[number, joint, :2], poses[number, joint, 2], confidences[number, joint] = peaks[peak, 1:3], 2, peaks[peak, 3]
    return People(poses, np.array([person.score / person.count for person in persons]), confidences)


def find_connections(limb, candidates, max_stretch=math.inf, unit_of=None) -> list:
    """The connections of a limb: a list of (index of the first peak, of the second, score), best first, each peak used once.

    candidates: [(first, second, score, length)], best first.
    unit_of: index of a peak -> the unit length of the person that owns it, NaN where nobody does. By it a limb has a length to be expected;
    one that is max_stretch times as long is none, nor is one shorter than that squared (limbs do look short when seen from their end).
    """
    connections, used = [], set()
    for first, second, score, length in candidates:
        if first in used or second in used:
            continue
        if max_stretch < math.inf and not in_proportion(length / LIMB_RATIOS[limb], (unit_of(first), unit_of(second)), max_stretch):
            continue
        used |= {first, second}
        connections.append((first, second, score))
    return connections


def in_proportion(unit, others, max_stretch) -> bool:
    """May a limb of this unit length belong to the persons of the others? NaN says nothing: it compares as False."""
    return not any(unit > max_stretch * other or unit < other / max_stretch**2 for other in others)


class Grouping:
    """Persons from the connections of limb after limb (section 2.4)."""

    def __init__(self, peaks):
        """peaks (P, 4): joint, x, y, score."""
        self.places, self.heights = peaks[:, 1:3].tolist(), peaks[:, 3].tolist()
        self.persons = []
        self.owner = {}  # index of a peak -> its person

    def unit_of(self, peak) -> float:
        """The median unit length of the limbs so far of the person that owns a peak; NaN where nobody owns it."""
        return self.owner[peak].unit if peak in self.owner else math.nan

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
                one = Person({a: i, b: j}, self.heights[i] + self.heights[j] + score)
                self.owner[i] = self.owner[j] = one
                self.persons.append(one)
            elif one is None or other is None:
                one, joint, peak = (one, b, j) if other is None else (other, a, i)
                if joint in one.joints:
                    continue
                one.joints[joint] = peak
                one.score += self.heights[peak] + score
                self.owner[peak] = one
            elif one is other or one.joints.keys() & other.joints.keys():
                continue
            else:
                one.joints.update(other.joints)
                one.score += other.score + score
                one.units = sorted(one.units + other.units)
                self.owner.update((peak, one) for peak in other.joints.values())
                self.persons = [person for person in self.persons if person is not other]
            insort(one.units, math.dist(self.places[i], self.places[j]) / LIMB_RATIOS[limb])
