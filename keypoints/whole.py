"""A whole person: the pose with, where they were looked for, face and hands, and a number from frame to frame."""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from entity import N_JOINTS, RANK_EXPONENT

PARTS = ("face", "left_hand", "right_hand")


class Part(NamedTuple):
    """A face or a hand of a person."""

    box: tuple | None  # (left, top, right, bottom) in pixels of the picture, right and bottom excluded; None: the whole picture
    keypoints: np.ndarray  # (70 or 21, 3) float64: x, y, confidence in pixels of the picture; NaN for a point that was not found


@dataclass(frozen=True)
class WholePerson:
    """What was found of one person, in pixels of the picture."""

    pose: np.ndarray | None  # (18, 3) float64: x, y, v; v = 2 for a found joint, a row of zeros for a missing one; None: not looked for
    score: float
    confidences: np.ndarray | None = None  # (18,) float64, 0 for a missing joint
    parts: dict = field(default_factory=dict)  # name of PARTS -> Part, those that were looked for and found
    skipped: dict = field(default_factory=dict)  # name of PARTS -> why it was not looked for
    number: int | None = None  # the same from frame to frame (keypoints/track.py); None: not tracked, or not for long enough
    smoothed: np.ndarray | None = None  # (18, 2) float64: x, y; NaN for a missing joint

    @property
    def rank(self) -> float:
        """By which people are ordered: the score of a whole person; less for a part of one, whose mean per joint is often higher."""
        share = 1 if self.pose is None else (self.pose[:, 2] > 0).sum() / N_JOINTS
        return float(self.score * share**RANK_EXPONENT)

    @property
    def keypoints(self) -> np.ndarray:
        """(18, 3) float64: x, y, confidence; NaN for a missing joint."""
        return np.where(self.pose[:, 2:] > 0, np.column_stack([self.pose[:, :2], self.confidences]), np.nan)

    @property
    def shown_pose(self) -> np.ndarray:
        """The pose (18, 3), smoothed where it was."""
        if self.smoothed is None:
            return self.pose
        found = (self.pose[:, 2:] > 0) & np.isfinite(self.smoothed[:, :1])
        return np.where(found, np.column_stack([np.nan_to_num(self.smoothed), self.pose[:, 2]]), self.pose)

    @property
    def box(self):
        """(left, top, right, bottom) float around all that was found; None where nothing was."""
        points = [self.pose[self.pose[:, 2] > 0, :2]] if self.pose is not None else []
        points += [part.keypoints[np.isfinite(part.keypoints[:, 0]), :2] for part in self.parts.values()]
        points = np.concatenate(points) if points else np.empty((0, 2))
        return (*points.min(0).tolist(), *points.max(0).tolist()) if len(points) else None


def persons_of(people) -> list:
    """keypoints.paf.People -> a WholePerson for each, the highest rank first."""
    persons = [WholePerson(pose, float(score), confidences) for pose, score, confidences in zip(*people, strict=True)]
    return sorted(persons, key=lambda person: -person.rank)


def enlarged(person, ratio_xy):
    """A person without parts, in pixels of a picture that is ratio_xy (x, y) times as large."""
    found = person.pose[:, 2:] > 0
    points = np.where(found, (person.pose[:, :2] + 0.5) * ratio_xy - 0.5, 0)
    return replace(person, pose=np.column_stack([points, person.pose[:, 2]]))


def best_of(persons, threshold=0.0, most=None) -> list:
    """Those of the persons whose rank is `threshold` at least, and of these the `most` highest (None: all), the highest rank first."""
    kept = sorted((person for person in persons if person.rank >= threshold), key=lambda person: -person.rank)
    return kept[:most]


def person_of_part(name, keypoints) -> WholePerson:
    """A picture filled by one face or hand (name of PARTS) as a person without a pose; the score is the mean confidence of the points found."""
    found = np.isfinite(keypoints[:, 2])
    return WholePerson(None, float(keypoints[found, 2].mean()) if found.any() else 0.0, parts={name: Part(None, keypoints)})
