"""The same number for the same person from frame to frame.

Sources: object keypoint similarity as COCO defines it (https://cocodataset.org/#keypoints-eval); assignment by Kuhn and Munkres, of SciPy;
a second, looser round for who is left over: Zhang et al., "ByteTrack", ECCV 2022. docs/tracking.md has the rules in words, and what they are worth.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from entity import OKS_SIGMAS
from keypoints.one_euro import OneEuroFilter, Smoothing


class Rules(NamedTuple):
    """When two poses are one person, and when a track is born and dies."""

    min_similarity: float = 0.4  # of a pose to where its track is expected
    slack: float = 1.75  # times COCO's tolerance of each joint: people move between frames, labels do not
    max_distance: float = 0.8  # of the joints on average, by the person's size, for who is left over
    max_size_ratio: float = 1.65  # of one person's sizes in two sightings, over the joints of both
    min_common: int = 5  # joints that both poses have
    min_all: int = 3  # joints of people who have fewer than min_common: both poses must have all of them
    few_joints: float = 5.0  # a match by so many common joints counts half: whole people go before parts
    min_part_similarity: float = 0.5  # of a part to a larger part of the same person
    min_sightings: int = 5  # until a track gets its number
    tentative_seconds: float = 0.2  # unseen for longer, a track without a number dies
    lost_seconds: float = 1.0  # unseen for longer, a track with a number dies
    lost_per_seen: float = 2.0  # unseen for so many times as long as it was seen, too
    memory_seconds: float = 0.5  # a joint unseen for longer says nothing of where it is now
    velocity_seconds: float = 0.3  # over which the velocity is averaged
    coast_seconds: float = 0.5  # in which who is unseen slows down


@dataclass
class Track:
    """One person's way through the frames."""

    points: np.ndarray  # (18, 2) float64: where each joint is when the person is seen last; who moves takes unseen joints along; NaN: never seen
    seen: np.ndarray  # (18,) float64: when, seconds
    size: float  # square root of the box's area, pixels
    seconds: float  # when the person was seen last
    born: float  # when the person was seen first
    velocity: np.ndarray  # (2,) float64: of the whole person, pixels per second
    n_sightings: int = 1
    number: int | None = None
    smooth: OneEuroFilter | None = None

    def remembered(self, rules):
        """(18, 2): the points; NaN for those not seen for rules.memory_seconds before the last sighting."""
        return np.where((self.seen >= self.seconds - rules.memory_seconds)[:, None], self.points, np.nan)

    def expected(self, seconds, rules):
        """(18, 2): where the remembered joints should be now: on their way, ever slower."""
        coasted = rules.coast_seconds * (1 - np.exp(-(seconds - self.seconds) / rules.coast_seconds))
        return self.remembered(rules) + self.velocity * coasted

    def is_alive(self, seconds, rules):
        unseen = seconds - self.seconds
        longest = min(rules.lost_seconds, rules.lost_per_seen * (self.seconds - self.born)) if self.number is not None else 0
        return unseen <= max(longest, rules.tentative_seconds)


class Tracker:
    """persons = tracker.update(persons, seconds), for each frame in order."""

    def __init__(self, smooth=False, rules=Rules(), smoothing=Smoothing()):
        """smooth: also smooth the joints of people with a number."""
        self.rules, self.smoothing = rules, smoothing if smooth else None
        self.tracks = []
        self.n_numbers = 0  # given so far

    def update(self, persons, seconds) -> list:
        """The persons (keypoints.whole.WholePerson with poses) with `number`, where theirs is known by now, and `smoothed`.

        seconds: since the beginning; grows from call to call.
        """
        poses = [np.where(person.pose[:, 2:] > 0, person.pose[:, :2], np.nan) for person in persons]
        matches = self._match(np.stack(poses), seconds) if poses and self.tracks else {}
        for i, track in matches.items():
            self._see(track, poses[i], seconds)
        parts = self._parts(poses, matches, seconds)
        result = []
        for i, (person, points) in enumerate(zip(persons, poses, strict=True)):
            if i in parts:
                result.append(person)
                continue
            track = matches[i] if i in matches else self._start(points, seconds)
            smoothed = track.smooth(points, seconds, track.size) if track.smooth else None
            result.append(replace(person, number=track.number, smoothed=smoothed if track.number is not None else None))
        self.tracks = [track for track in self.tracks if track.is_alive(seconds, self.rules)]
        return result

    def _match(self, poses, seconds) -> dict:
        """poses (P, 18, 2) -> index of a person -> the track it belongs to."""

        rules = self.rules
        expected = np.stack([track.expected(seconds, rules) for track in self.tracks])  # (T, 18, 2)
        sizes = np.array([track.size for track in self.tracks])
        numbered = np.array([track.number is not None for track in self.tracks])[:, None]
        similarity = similarity_of(expected[:, None], poses, sizes[:, None], rules)  # (T, P)
        n_common = np.isfinite(expected[..., 0]).astype(float) @ np.isfinite(poses[..., 0]).T
        worth = similarity * n_common / (n_common + rules.few_joints) + numbered  # old acquaintances first
        allowed = _of_one_size(expected, poses, similarity >= rules.min_similarity, rules)
        pairs = _best_pairs(worth, allowed)
        tracks, persons = (sorted(set(range(n)) - {pair[side] for pair in pairs}) for side, n in enumerate(allowed.shape))
        if tracks and persons:
            distance = distance_of(expected[tracks][:, None], poses[persons], sizes[tracks][:, None], rules)
            allowed = _of_one_size(expected[tracks], poses[persons], distance <= rules.max_distance, rules)
            worth = numbered[tracks] + 1 - np.where(allowed, distance, 0) / max(rules.max_distance, 1e-9)
            pairs += [(tracks[i], persons[j]) for i, j in _best_pairs(worth, allowed)]
        return {j: self.tracks[i] for i, j in pairs}

    def _parts(self, poses, matches, seconds) -> set:
        """Who matched no track and is a part of somebody with a number, of whom a larger part did: no person of its own.

        What it shows of that person's joints is added to what the track knows, so that it is found again for as long as both parts are seen.
        """
        parts, rules = set(), self.rules
        n_joints = [np.isfinite(points[:, 0]).sum() for points in poses]
        for j in [j for j in range(len(poses)) if j not in matches]:
            owners = [track for i, track in matches.items() if track.number is not None and n_joints[i] > n_joints[j]]
            if not owners:
                continue
            known = np.stack([track.remembered(rules) for track in owners])
            similarity = similarity_of(known, poses[j], np.array([track.size for track in owners]), rules)
            allowed = _of_one_size(known, poses[j][None], similarity[:, None] >= rules.min_part_similarity, rules)[:, 0]
            if allowed.any():
                track = owners[int(np.argmax(np.where(allowed, similarity, 0)))]
                new = np.isfinite(poses[j][:, 0]) & (track.seen < seconds)
                track.points, track.seen = np.where(new[:, None], poses[j], track.points), np.where(new, seconds, track.seen)
                parts.add(j)
        return parts

    def _start(self, points, seconds):
        seen = np.where(np.isfinite(points[:, 0]), seconds, -np.inf)
        smooth = OneEuroFilter(self.smoothing, self.rules.memory_seconds) if self.smoothing else None
        track = Track(points, seen, pose_size(points), seconds, seconds, np.zeros(2), smooth=smooth)
        self.tracks.append(track)
        self._number(track)
        return track

    def _see(self, track, points, seconds):
        found = np.isfinite(points[:, 0])
        both = found & np.isfinite(track.remembered(self.rules)[:, 0])
        step = seconds - track.seconds
        if both.any() and step > 0:
            moved = np.median(points[both] - track.points[both], axis=0)
            track.velocity = track.velocity + (1 - np.exp(-step / self.rules.velocity_seconds)) * (moved / step - track.velocity)
            track.points = track.points + moved
        track.points = np.where(found[:, None], points, track.points)
        track.seen = np.where(found, seconds, track.seen)
        track.seconds = seconds
        track.size = 0.8 * track.size + 0.2 * pose_size(track.remembered(self.rules))
        track.n_sightings += 1
        self._number(track)

    def _number(self, track):
        if track.number is None and track.n_sightings >= self.rules.min_sightings:
            track.number = self.n_numbers
            self.n_numbers += 1


def _best_pairs(worth, allowed) -> list:
    """worth (A, B), above 0 where allowed (A, B) -> [(a, b)]: each at most once, the largest sum."""
    from scipy.optimize import linear_sum_assignment  # takes 0.3 s, which who does not track need not wait for

    rows, columns = linear_sum_assignment(np.where(allowed, worth, 0), maximize=True)
    return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if allowed[i, j]]


def _of_one_size(points, others, allowed, rules):
    """allowed (A, B) but for pairs of points (A, 18, 2) and others (B, 18, 2) one of which is too large for the other."""
    rows, columns = np.nonzero(allowed)
    allowed = allowed.copy()
    allowed[rows, columns] = size_ratio(points[rows], others[columns]) <= rules.max_size_ratio
    return allowed


def pose_size(points) -> float:
    """The square root of the area of the box around points (n, 2), NaN where missing; a thin box counts as a third as wide as long."""
    found = points[np.isfinite(points[:, 0])]
    if not len(found):
        return 1.0
    short, long = sorted(np.ptp(found, axis=0))
    return float(np.sqrt(max(short, long / 3) * max(long, 1.0)))


def similarity_of(points, others, size, rules=Rules()) -> np.ndarray:
    """Object keypoint similarity, 0 to 1, of poses (..., 18, 2) and others (..., 18, 2), NaN where missing, over the joints that both have.

    size (...): of the people, pixels. Returns (...); 0 where they share too few joints (shares_enough).
    """
    squared = ((points - others) ** 2).sum(-1)  # (..., 18)
    both = np.isfinite(squared)
    tolerance = 2 * rules.slack * np.array(OKS_SIGMAS) * np.maximum(size, 1e-9)[..., None]
    similar = np.where(both, np.exp(-np.where(both, squared, 0) / (2 * tolerance**2)), 0)
    return np.where(shares_enough(points, others, rules), similar.sum(-1) / np.maximum(both.sum(-1), 1), 0)


def distance_of(points, others, size, rules=Rules()) -> np.ndarray:
    """Mean distance by the size, of poses as in similarity_of; inf where they share too few joints."""
    distance = np.sqrt(((points - others) ** 2).sum(-1))
    both = np.isfinite(distance)
    mean = np.where(both, distance, 0).sum(-1) / np.maximum(both.sum(-1), 1) / np.maximum(size, 1e-9)
    return np.where(shares_enough(points, others, rules), mean, np.inf)


def shares_enough(points, others, rules) -> np.ndarray:
    """Whether poses as in similarity_of can be compared. A few joints of two people lie alike too easily: a part took another's number."""
    found, also = np.isfinite(points[..., 0]), np.isfinite(others[..., 0])
    needed = np.clip(np.maximum(found.sum(-1), also.sum(-1)), rules.min_all, rules.min_common)
    return (found & also).sum(-1) >= needed


def size_ratio(points, others) -> np.ndarray:
    """How many times larger one of two poses (..., 18, 2) is than the other, 1 or more, by the spread of the joints that both have. Returns (...).

    Over the common joints a part has the size of its whole.
    """
    both = np.isfinite(points[..., :1]) & np.isfinite(others[..., :1])
    count = np.maximum(both.sum(-2, keepdims=True), 1)
    spreads = []
    for pose in (points, others):
        pose = np.where(both, pose, 0)
        spreads.append(np.sqrt((np.where(both, pose - pose.sum(-2, keepdims=True) / count, 0) ** 2).sum((-2, -1))) + 1e-9)
    return np.maximum(spreads[0] / spreads[1], spreads[1] / spreads[0])
