"""How well people were found: who is whom, and the errors of each keypoint. COCO's AP itself is pycocotools' (evaluate_coco_pose.py).

Sources: COCO's keypoint evaluation (object keypoint similarity, OKS, https://cocodataset.org/#keypoints-eval); Ronchi and Perona,
"Benchmarking and Error Diagnosis in Multi-Instance Pose Estimation", ICCV 2017, for pairs from OKS 0.1 on and for the sorts of error.
"""

from typing import NamedTuple

import numpy as np

from entity import COCO_JOINTS, COCO_SIGMAS

LEAST_OKS = 0.1  # below it a detection and a labelled person are no pair
GOOD, NEAR = 0.5, 0.1  # a keypoint's similarity from which it is good, or near


class Comparison(NamedTuple):
    """One picture: its m labelled people and its n detections; keypoints in COCO's order, x, y in pixels of the picture."""

    truth: np.ndarray  # (m, 17, 3) float64: x, y, v; v = 0 where not labelled
    areas: np.ndarray  # (m,) float64, square pixels
    found: np.ndarray  # (n, 17, 3) float64: x, y, v; v = 0 where missing
    scores: np.ndarray  # (n,) float64
    similarities: np.ndarray  # (m, n, 17) float64
    match: np.ndarray  # (m,) int: the detection of a person, -1 for none; none serves two
    oks: np.ndarray  # (m,) float64: with that detection, 0 without one

    @property
    def mean_oks(self) -> float:
        """Over the labelled people; NaN where there are none."""
        return float(self.oks.mean()) if len(self.oks) else float("nan")


def compare(annotations, people) -> Comparison:
    """annotations: COCO's entries of one picture; crowds and people without a labelled keypoint are left out. people: keypoints.paf.People."""
    labelled = [entry for entry in annotations if not entry["iscrowd"] and any(v > 0 for v in entry["keypoints"][2::3])]
    truth = np.array([entry["keypoints"] for entry in labelled], np.float64).reshape(-1, len(COCO_JOINTS), 3)
    areas = np.array([entry["area"] for entry in labelled], np.float64)
    found = people.poses[:, list(COCO_JOINTS)]
    similarities = keypoint_similarities(truth, areas, found)
    oks = object_similarities(truth, similarities)
    match = assign(oks)
    own = np.array([oks[person, detection] if detection >= 0 else 0 for person, detection in enumerate(match)])
    return Comparison(truth, areas, found, people.scores, similarities, match, own)


def keypoint_similarities(truth, areas, found):
    """(m, n, 17) float64: exp(-d^2 / (2 area k^2)), k = 2 COCO_SIGMAS, of labelled people (m, 17, 3) and detections (n, 17, 3).

    0 where the detection lacks the keypoint, or it is not labelled.
    """
    squared = squared_distances(truth, found)
    variances = (2 * np.array(COCO_SIGMAS)) ** 2
    both = (truth[:, None, :, 2] > 0) & (found[None, :, :, 2] > 0)
    return np.where(both, np.exp(-squared / (2 * np.maximum(areas, np.spacing(1))[:, None, None] * variances)), 0)


def squared_distances(truth, found):
    """(m, n, 17) float64, square pixels."""
    return ((truth[:, None, :, :2] - found[None, :, :, :2]) ** 2).sum(-1)


def object_similarities(truth, similarities):
    """OKS (m, n) float64: the mean over a person's labelled keypoints. Every person has one at least."""
    return similarities.sum(-1) / (truth[..., 2] > 0).sum(-1)[:, None]


def assign(oks, least=LEAST_OKS):
    """(m,) int: the detection of each person, -1 for none, from OKS (m, n): the most similar pair first, each in one pair at most."""
    match = np.full(len(oks), -1)
    for person, detection in zip(*np.unravel_index(np.argsort(-oks, axis=None, kind="stable"), oks.shape), strict=True):
        if oks[person, detection] < least:
            break
        if match[person] < 0 and detection not in match:
            match[person] = detection
    return match


def keypoint_errors(comparisons) -> list:
    """What became of the labelled keypoints of all pictures: per keypoint, in COCO's order, a dict.

    "labelled": how many; and shares of these, that sum to 1: "good" (similarity from GOOD on), "near" (from NEAR on), "far", "missing" (the
    person was found, the keypoint was not), "unfound" (nobody was found there). "distance": the mean over those that were found, per
    square root of the person's area. None where there is nothing to divide by.
    """
    counts = np.zeros((len(COCO_JOINTS), 5), int)
    distances = [[] for _ in COCO_JOINTS]
    for comparison in comparisons:
        squared = squared_distances(comparison.truth, comparison.found)
        for person, detection in enumerate(comparison.match):
            for keypoint in np.flatnonzero(comparison.truth[person, :, 2] > 0):
                counts[keypoint, _kind(comparison, person, detection, keypoint)] += 1
                if detection >= 0 and comparison.found[detection, keypoint, 2] > 0:
                    distances[keypoint].append(np.sqrt(squared[person, detection, keypoint] / max(comparison.areas[person], np.spacing(1))))
    return [_row(*row) for row in zip(COCO_JOINTS, counts, distances, strict=True)]


KINDS = ("good", "near", "far", "missing", "unfound")


def _kind(comparison, person, detection, keypoint) -> int:
    """The index in KINDS of a labelled keypoint."""
    if detection < 0:
        return KINDS.index("unfound")
    if comparison.found[detection, keypoint, 2] <= 0:
        return KINDS.index("missing")
    similarity = comparison.similarities[person, detection, keypoint]
    return KINDS.index("good" if similarity >= GOOD else "near" if similarity >= NEAR else "far")


def _row(joint, counts, distances) -> dict:
    labelled = int(counts.sum())
    shares = {kind: float(count) / labelled if labelled else None for kind, count in zip(KINDS, counts, strict=True)}
    return {"name": joint.name, "labelled": labelled, **shares, "distance": float(np.mean(distances)) if distances else None}


def extremes(comparisons, most) -> tuple:
    """The names of at most `most` pictures where the mean OKS is lowest, worst first, and of as many where it is highest, best first.

    comparisons: {name: Comparison}. Only pictures with labelled people count, and none is in both; among equals those with more people lead.
    """
    labelled = [name for name, comparison in comparisons.items() if len(comparison.oks)]
    order = sorted(labelled, key=lambda name: (comparisons[name].mean_oks, -len(comparisons[name].oks)))
    n_worst = min(most, (len(order) + 1) // 2)
    best = sorted(order[n_worst:], key=lambda name: (-comparisons[name].mean_oks, -len(comparisons[name].oks)))
    return order[:n_worst], best[:most]
