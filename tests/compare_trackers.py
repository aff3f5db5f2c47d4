"""Score keypoints/track.py beside other trackers on the same poses, against labels made by hand and against a video whose truth is known.

    python -m venv /tmp/trackers && /tmp/trackers/bin/pip install -r requirements.txt -c constraints.txt motmetrics trackers norfair
    /tmp/trackers/bin/python -m tests.compare_trackers lightposenet
    /tmp/trackers/bin/python -m tests.compare_trackers human-pose-estimation-0001 FILE.xml --video ../shared/samples/video.avi

MOTA of Bernardin and Stiefelhagen 2008, IDF1 of Ristani et al. 2016, both by motmetrics. A tracker's box and a labelled one may be one person
from an intersection over union of 0.5. docs/tracking.md holds the table and says what the labels are.
"""

import json
import sys
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import numpy as np

import cli
from data import moving_people
from engines import open_net
from errors import InputError
from keypoints.track import Tracker
from keypoints.whole import WholePerson
from pose_detector import PoseDetector
from streams.capture import open_capture

LABELS = Path(__file__).parent / "golden" / "tracking_video.json"
MIN_IOU = 0.5
METRICS = ("mota", "idf1", "num_switches")


class Truth(NamedTuple):
    """One frame's labels: boxes are left, top, right, bottom."""

    people: dict  # number -> box
    hidden: list  # boxes of people of whom less than half is to be seen
    crowd: list  # boxes in which not everybody is labelled


class Scene(NamedTuple):
    """A video with what a network found in it."""

    name: str
    rate: float  # frames per second
    found: list  # per frame keypoints.paf.People
    truth: dict  # frame -> Truth


def intersections(boxes, others) -> np.ndarray:
    """boxes (A, 4), others (B, 4): left, top, right, bottom -> the areas (A, B) that they share."""
    boxes, others = np.reshape(boxes, (-1, 1, 4)).astype(float), np.reshape(others, (1, -1, 4)).astype(float)
    sides = np.minimum(boxes[..., 2:], others[..., 2:]) - np.maximum(boxes[..., :2], others[..., :2])
    return np.maximum(sides, 0).prod(-1)


def areas(boxes) -> np.ndarray:
    boxes = np.reshape(boxes, (-1, 4)).astype(float)
    return (boxes[:, 2:] - boxes[:, :2]).prod(-1)


def iou(boxes, others) -> np.ndarray:
    shared = intersections(boxes, others)
    return shared / np.maximum(areas(boxes)[:, None] + areas(others) - shared, 1e-9)


def counted(truth, boxes) -> np.ndarray:
    """Which of the tracker's boxes (n, 4) count: what matches nobody does not where somebody is hidden, nor in the crowd beside the labelled."""
    labelled = list(truth.people.values())
    matched = (iou(boxes, labelled) >= MIN_IOU).any(1)
    return matched | ~(lie_in(boxes, truth.hidden) | (lie_in(boxes, truth.crowd) & ~lie_in(boxes, labelled)))


def lie_in(boxes, others) -> np.ndarray:
    """Which of the boxes (n, 4) lie with more than half of their area in one of the others."""
    return (intersections(boxes, others) > 0.5 * areas(boxes)[:, None]).any(1)


def score(scene, numbers) -> dict:
    """numbers: per frame, for each found person the number or None -> METRICS of motmetrics."""
    motmetrics = needed("motmetrics")
    accumulator = motmetrics.MOTAccumulator()
    for frame, truth in scene.truth.items():
        boxes = np.array([box_of(pose) for pose in scene.found[frame].poses]).reshape(-1, 4)
        kept = counted(truth, boxes) & np.array([number is not None for number in numbers[frame]], bool)
        distance = 1 - iou(list(truth.people.values()), boxes[kept])
        accumulator.update(
            list(truth.people), [numbers[frame][i] for i in np.flatnonzero(kept)], np.where(distance <= 1 - MIN_IOU, distance, np.nan), frameid=frame
        )
    return motmetrics.metrics.create().compute(accumulator, metrics=list(METRICS)).iloc[0].to_dict()


def needed(name):
    """A module that only this comparison needs."""
    try:
        return import_module(name)
    except ImportError:
        raise InputError(f"{name} is not installed: pip install motmetrics trackers norfair (in an environment of their own)") from None


def box_of(pose) -> np.ndarray:
    """pose (18, 3) -> left, top, right, bottom of the joints found, half a pixel around them: no box is empty."""
    points = pose[pose[:, 2] > 0, :2]
    return np.concatenate([points.min(0) - 0.5, points.max(0) + 0.5])


# Trackers: a Scene -> per frame the number, or None, of each found person


def ours(scene, **options):
    """options: of Tracker. The persons stand in the order of the poses, as the numbers must, and not in that of their ranks (persons_of)."""
    tracker = Tracker(**options)
    frames = ([WholePerson(*each) for each in zip(*found, strict=True)] for found in scene.found)
    return [[each.number for each in tracker.update(persons, i / scene.rate)] for i, persons in enumerate(frames)]


def byte_track(scene, activation, high, minimum_iou, lost_seconds=1.0):
    supervision = needed("supervision")
    tracker = needed("trackers").ByteTrackTracker(
        lost_track_buffer=round(30 * lost_seconds),
        frame_rate=scene.rate,
        track_activation_threshold=activation,
        high_conf_det_threshold=high,
        minimum_iou_threshold=minimum_iou,
    )
    numbers = []
    for found in scene.found:
        boxes = np.array([box_of(pose) for pose in found.poses]).reshape(-1, 4)
        given = supervision.Detections(xyxy=boxes, confidence=found.scores, data={"index": np.arange(len(boxes))})
        tracked = tracker.update(given)
        by_index = dict(zip(tracked.data.get("index", ()), tracked.tracker_id, strict=True)) if len(tracked) else {}
        numbers.append([int(by_index[i]) if by_index.get(i, -1) >= 0 else None for i in range(len(boxes))])
    return numbers


def by_norfair(scene, by, threshold, delay=4, lost_seconds=1.0):
    """by: "iou" of the boxes, or "joints", the mean distance by the person's size."""
    norfair = needed("norfair")

    def distance(detection, tracked):
        known = (detection.scores > 0) & (tracked.last_detection.scores > 0)
        if not known.any():
            return np.inf
        size = np.sqrt(areas(detection.data)[0]) or 1.0
        return np.hypot(*(detection.points - tracked.estimate)[known].T).mean() / size

    tracker = norfair.Tracker(
        distance_function="iou" if by == "iou" else distance,
        distance_threshold=threshold,
        hit_counter_max=round(lost_seconds * scene.rate),
        initialization_delay=delay,
        detection_threshold=0.0,
    )
    numbers = []
    for found in scene.found:
        boxes = [box_of(pose) for pose in found.poses]
        if by == "iou":
            detections = [norfair.Detection(box.reshape(2, 2), np.full(2, score)) for box, score in zip(boxes, found.scores, strict=True)]
        else:
            detections = [norfair.Detection(pose[:, :2], pose[:, 2] / 2, box) for pose, box in zip(found.poses, boxes, strict=True)]
        owners = {id(each.last_detection): each.id for each in tracker.update(detections)}
        numbers.append([owners.get(id(detection)) for detection in detections])
    return numbers


# Scenes


def labelled_video(path, detector) -> Scene:
    labels = json.loads(LABELS.read_text(encoding="utf-8"))
    capture = open_capture(str(path))
    images = []
    while (read := capture.read())[0]:
        images.append(read[1])
    capture.release()
    if not images:
        raise InputError(f"{path}: expected the labelled video, {labels['video']} of OpenPose's samples; it cannot be read")
    truth = {int(frame): Truth({n: box for n, *box in row["people"]}, row["hidden"], [row["crowd"]]) for frame, row in labels["frames"].items()}
    return Scene(labels["video"], 50.0, [detector.detect(image) for image in images], truth)


def made_video(detector) -> Scene:
    found, truth = [], {}
    for frame, (image, boxes, hidden) in enumerate(moving_people.frames()):
        found.append(detector.detect(image))
        truth[frame] = Truth(boxes, hidden, [])
    return Scene("cut-outs", moving_people.RATE, found, truth)


TRACKERS = {  # each of the others with the best of the settings that were tried
    "this project": ours,
    "ByteTrack": partial(byte_track, activation=0.7, high=0.6, minimum_iou=0.1),
    "ByteTrack, minimum IoU 0.2": partial(byte_track, activation=0.7, high=0.6, minimum_iou=0.2),
    "norfair, boxes": partial(by_norfair, by="iou", threshold=0.9),
    "norfair, joints 0.5": partial(by_norfair, by="joints", threshold=0.5),
    "norfair, joints 0.8": partial(by_norfair, by="joints", threshold=0.8),
}


def compare(options):
    detector = PoseDetector(open_net(options.arch, options.weights))
    scenes = [made_video(detector), *([labelled_video(options.video, detector)] if options.video else [])]
    print("| video | tracker | MOTA | IDF1 | changes |\n|---|---|---|---|---|")
    for scene in scenes:
        for name, track in TRACKERS.items():
            found = score(scene, track(scene))
            print(f"| {scene.name} | {name} | {found['mota']:.3f} | {found['idf1']:.3f} | {found['num_switches']:.0f} |")


def parser():
    p = cli.Parser(prog="compare_trackers", description=__doc__)
    p.add_argument("arch", metavar="ARCH", help="The pose network.")
    p.add_argument("weights", nargs="?", metavar="WEIGHTS", help="The file of its weights (default: those that ship, or were fetched).")
    p.add_argument("--video", metavar="FILE", help="Score the trackers on this labelled video too, video.avi of OpenPose's samples.")
    return p


def main(argv=None) -> int:
    return cli.run(parser(), compare, argv)


if __name__ == "__main__":
    sys.exit(main())
