"""The same number for the same person from frame to frame, and joints that do not tremble.

Sources: object keypoint similarity as COCO defines it (https://cocodataset.org/#keypoints-eval); assignment by Kuhn and Munkres, of SciPy;
the one-euro filter: Casiez, Roussel, Vogel, "1 Euro Filter: A Simple Speed-based Low-pass Filter for Noisy Input in Interactive
Systems", CHI 2012.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from entity import N_JOINTS, OKS_SIGMAS


class Rules(NamedTuple):
    """When two poses are one person, and when a track is born and dies."""

    min_similarity: float = 0.3  # of a pose to where its track is expected
    slack: float = 2.0  # times COCO's tolerance of each joint: people move between frames, labels do not
    min_common: int = 3  # joints that both poses have
    min_sightings: int = 5  # until a track gets its number
    tentative_seconds: float = 0.2  # unseen for longer, a track without a number dies
    lost_seconds: float = 1.0  # unseen for longer, a track with a number dies
    memory_seconds: float = 0.5  # a joint unseen for longer says nothing of where it is now


class Smoothing(NamedTuple):
    """The one-euro filter's parameters; lengths in units of the person's size, the square root of the box's area."""

    min_cutoff: float = 2.0  # Hz: the lower, the less a still joint trembles
    beta: float = 2.0  # Hz per (size / s): the higher, the less a moving joint lags behind
    derivative_cutoff: float = 1.0  # Hz


class OneEuroFilter:
    """Smooths the joints (18, 2) of one person. A missing joint is NaN, in and out, and after a pause begins anew."""

    def __init__(self, parameters=Smoothing(), restart_seconds=0.5):
        self.parameters, self.restart_seconds = parameters, restart_seconds
        self.position = np.full((N_JOINTS, 2), np.nan)
        self.speed = np.zeros((N_JOINTS, 2))
        self.when = np.full(N_JOINTS, -np.inf)

    def __call__(self, points, seconds, size):
        """points (18, 2) float64, NaN where missing; seconds: when; size: of the person, pixels. Returns (18, 2), smoothed."""
        found = np.isfinite(points[:, 0])
        elapsed = seconds - self.when
        known = found & np.isfinite(self.position[:, 0]) & (elapsed <= self.restart_seconds) & (elapsed > 0)
        fresh = found & ~known & (elapsed != 0)
        step, old = elapsed[known, None], self.position[known]
        raw_speed = (points[known] - old) / step
        speed = self.speed[known] + _weight(self.parameters.derivative_cutoff, step) * (raw_speed - self.speed[known])
        magnitude = np.hypot(*speed.T)[:, None] / max(size, 1e-9)
        cutoff = self.parameters.min_cutoff + self.parameters.beta * magnitude
        self.position[known] = old + _weight(cutoff, step) * (points[known] - old)
        self.speed[known] = speed
        self.position[fresh], self.speed[fresh] = points[fresh], 0
        self.when[found] = seconds
        return np.where(found[:, None], self.position, np.nan)


def _weight(cutoff, step):
    """Of the new value, in a low-pass filter of this cutoff frequency (eq. 3 and 6 of the paper)."""
    r = 2 * np.pi * cutoff * step
    return r / (r + 1)


@dataclass
class Track:
    """One person's way through the frames."""

    points: np.ndarray  # (18, 2) float64: where each joint was seen last; NaN: never
    seen: np.ndarray  # (18,) float64: when, seconds
    size: float  # square root of the box's area, pixels
    seconds: float  # when the person was seen last
    velocity: np.ndarray  # (2,) float64: of the whole person, pixels per second
    n_sightings: int = 1
    number: int | None = None
    smooth: OneEuroFilter | None = None

    def expected(self, seconds, memory):
        """(18, 2): where the joints should be now; NaN for those not seen for `memory` seconds before the last sighting."""
        recent = self.seen >= self.seconds - memory
        return np.where(recent[:, None], self.points + self.velocity * min(seconds - self.seconds, memory), np.nan)


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
        rules = self.rules
        poses = [np.where(person.pose[:, 2:] > 0, person.pose[:, :2], np.nan) for person in persons]
        sizes = [pose_size(points) for points in poses]
        matches = self._match(poses, sizes, seconds)
        result = []
        for i, (person, points, size) in enumerate(zip(persons, poses, sizes, strict=True)):
            if i in matches:
                track = matches[i]
                self._see(track, points, size, seconds)
            else:
                track = self._start(points, size, seconds)
            smoothed = track.smooth(points, seconds, track.size) if track.smooth else None
            result.append(replace(person, number=track.number, smoothed=smoothed if track.number is not None else None))
        self.tracks = [
            track for track in self.tracks if seconds - track.seconds <= (rules.tentative_seconds if track.number is None else rules.lost_seconds)
        ]
        return result

    def _match(self, poses, sizes, seconds) -> dict:
        """index of a person -> the track it belongs to."""
        if not poses or not self.tracks:
            return {}
        from scipy.optimize import linear_sum_assignment  # takes 0.3 s, which who does not track need not wait for

        rules = self.rules
        expected = np.stack([track.expected(seconds, rules.memory_seconds) for track in self.tracks])[:, None]  # (T, 1, 18, 2)
        largest = np.maximum(np.array([track.size for track in self.tracks])[:, None], sizes)  # (T, P)
        similarity = similarity_of(expected, np.stack(poses), largest, rules)
        numbered = np.array([track.number is not None for track in self.tracks])
        allowed = similarity >= rules.min_similarity
        rows, columns = linear_sum_assignment(np.where(allowed, similarity + numbered[:, None], 0), maximize=True)  # old acquaintances first
        return {int(j): self.tracks[i] for i, j in zip(rows, columns, strict=True) if allowed[i, j]}

    def _start(self, points, size, seconds):
        seen = np.where(np.isfinite(points[:, 0]), seconds, -np.inf)
        smooth = OneEuroFilter(self.smoothing, self.rules.memory_seconds) if self.smoothing else None
        track = Track(points, seen, size, seconds, np.zeros(2), smooth=smooth)
        self.tracks.append(track)
        self._number(track)
        return track

    def _see(self, track, points, size, seconds):
        found = np.isfinite(points[:, 0])
        both = found & (track.seen == track.seconds)
        step = seconds - track.seconds
        if both.any() and step > 0:
            velocity = np.median(points[both] - track.points[both], axis=0) / step
            track.velocity = 0.5 * track.velocity + 0.5 * velocity
        track.points = np.where(found[:, None], points, track.points)
        track.seen = np.where(found, seconds, track.seen)
        track.size = 0.8 * track.size + 0.2 * size
        track.seconds = seconds
        track.n_sightings += 1
        self._number(track)

    def _number(self, track):
        if track.number is None and track.n_sightings >= self.rules.min_sightings:
            track.number = self.n_numbers
            self.n_numbers += 1


def pose_size(points) -> float:
    """The square root of the area of the box around points (n, 2), NaN where missing; a thin box counts as a third as wide as long."""
    found = points[np.isfinite(points[:, 0])]
    if not len(found):
        return 1.0
    short, long = sorted(np.ptp(found, axis=0))
    return float(np.sqrt(max(short, long / 3) * max(long, 1.0)))


def similarity_of(points, others, size, rules=Rules()) -> np.ndarray:
    """Object keypoint similarity, 0 to 1, of poses (..., 18, 2) and others (..., 18, 2), NaN where missing, over the joints that both have.

    size (...): of the people, pixels. Returns (...); 0 where fewer than rules.min_common joints are shared.
    """
    squared = ((points - others) ** 2).sum(-1)  # (..., 18)
    both = np.isfinite(squared)
    tolerance = 2 * rules.slack * np.array(OKS_SIGMAS) * np.maximum(size, 1e-9)[..., None]
    similar = np.where(both, np.exp(-np.where(both, squared, 0) / (2 * tolerance**2)), 0)
    count = both.sum(-1)
    return np.where(count >= rules.min_common, similar.sum(-1) / np.maximum(count, 1), 0)
