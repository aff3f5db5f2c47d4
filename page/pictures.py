"""What the page shows of one picture: the people, two networks side by side, the maps."""

import os
import time
from html import escape
from pathlib import Path
from typing import NamedTuple

import numpy as np

from entity import N_JOINTS, Joint
from errors import InputError
from evaluation.compare import compare_maps, count_common, pose_points
from evaluation.html import table
from keypoints import draw
from keypoints.image import resize
from keypoints.whole import persons_of
from page.networks import check_choice
from page.uploads import read_picture
from streams.formats import people_to_json, to_json_text

MAPS = ("PAFs", "heatmaps")  # as a pose network answers them
VIEW = 1600  # pixels: long side of what is only looked at
EVERY_JOINT = "all joints"


class Seen(NamedTuple):
    """What was found in a picture."""

    drawn: np.ndarray  # (H, W, 3) uint8 BGR
    text: str  # JSON, as --json writes it
    people: str  # HTML: a table
    times: str  # HTML: a table


def look(path, detector) -> Seen:
    """Find the people in a picture. detector: a PoseDetector or WholeBodyDetector. Raises InputError."""
    begin = time.perf_counter()
    image = read_picture(path)
    seconds, prepared = {"read": time.perf_counter() - begin}, detector.compile_seconds
    found = detector.detect(image)
    prepared = detector.compile_seconds - prepared
    persons = detector.persons(found)
    seconds |= {"prepare the network": prepared, "network": detector.seconds["network"] - prepared, "decode": detector.seconds["decode"]}
    begin = time.perf_counter()
    drawn = draw.draw_people(image, persons)
    seconds["draw"] = time.perf_counter() - begin
    text = to_json_text(Path(path).name, (image.shape[1], image.shape[0]), arch=detector.name, **people_to_json(persons))
    times = table(["stage", "ms"], [[stage, f"{1000 * value:.1f}"] for stage, value in seconds.items()])
    return Seen(drawn, text, f"<p>{escape(detector.describe(persons))}</p>" + people_table(persons), times)


def people_table(persons) -> str:
    """HTML: a row for each keypoints.whole.WholePerson, the number, score, joints, points of face and hands, and box."""
    rows = []
    for number, person in enumerate(persons):
        points = [int(np.isfinite(part.keypoints[:, 0]).sum()) for part in (person.parts.get(n) for n in ("face", "left_hand", "right_hand")) if part]
        left, top, right, bottom = (round(value) for value in person.box)
        joints = f"{int((person.pose[:, 2] > 0).sum())} of {N_JOINTS}"
        rows.append([str(number), f"{person.score:.3f}", joints, str(sum(points)), f"{left}, {top} to {right}, {bottom}"])
    return table(["person", "score", "joints", "points of face and hands", "box, pixels"], rows) if rows else ""


def compare(path, detectors) -> tuple:
    """Two PoseDetectors on one picture. detectors: {name: PoseDetector}, the first one the reference.

    Returns the pictures drawn (BGR), the difference of the heatmaps over the picture, and HTML: what was found, how the maps differ.
    """
    image, runs = read_picture(path), {}
    for name, detector in detectors.items():
        *maps, _ = detector.network_maps(image)  # also prepares the network
        begin = time.perf_counter()
        found = detector.detect(image)
        runs[name] = maps, persons_of(found), pose_points(found.poses), 1000 * (time.perf_counter() - begin)
    (reference, _, expected, _), (maps, _, _, _) = runs.values()
    rows = [
        [name, str(len(persons)), str(len(points)), str(count_common(expected, points)), f"{ms:.1f}"]
        for name, (_, persons, points, ms) in runs.items()
    ]
    differences = [[kind, *(f"{value:.7f}" for value in compare_maps(a, b))] for kind, a, b in zip(MAPS, reference, maps, strict=True)]
    texts = table(["", "people", "joints", "joints in common", "ms"], rows) + table(["difference", "largest", "mean", "correlation"], differences)
    drawn = [draw.draw_people(image, persons) for _, persons, _, _ in runs.values()]
    return *drawn, draw.draw_strength(to_view(image), np.abs(reference[1] - maps[1]).max(0)), texts


def overlays(path, detector, joint=EVERY_JOINT) -> tuple:
    """The heatmaps, of all joints or of one by its name, and the PAFs over the picture: two pictures, BGR."""
    check_choice("joint", joint, [EVERY_JOINT, *Joint.__members__])
    image = read_picture(path)
    pafs, heatmaps, _ = detector.network_maps(image)
    if joint != EVERY_JOINT:
        chosen = Joint[joint]
        heatmaps = np.where((np.arange(len(heatmaps)) == chosen)[:, None, None], heatmaps, 0)
    view = to_view(image)
    return draw.draw_heatmaps(view, heatmaps), draw.draw_pafs(view, pafs)


def to_view(image):
    """The picture, no larger than VIEW."""
    scale = min(1, VIEW / max(image.shape[:2]))
    return resize(image, tuple(max(1, round(side * scale)) for side in image.shape[1::-1]))


def check_there(path, what, ways):
    """Raise InputError where nothing was handed in yet, or what was is deleted; what is there is in use from now on, and stays."""
    if path is None:
        raise InputError(f"no {what} yet: {ways}")
    try:
        os.utime(path)
    except (OSError, ValueError):  # ValueError: a null character
        raise InputError(f"this {what} is no longer here, it was deleted meanwhile: {ways}") from None
