"""What was found, as text that others read: JSON, COCO's results, OpenPose's files, tables. docs/results.md has the schema of each."""

import csv
import io
import json

import numpy as np

from entity import COCO_JOINTS, N_FACE_POINTS, N_HAND_POINTS, Joint
from keypoints.whole import PARTS

OPENPOSE_VERSION = 1.3
OPENPOSE_PARTS = {"face": "face_keypoints_2d", "left_hand": "hand_left_keypoints_2d", "right_hand": "hand_right_keypoints_2d"}
N_POINTS = {"face": N_FACE_POINTS, "left_hand": N_HAND_POINTS, "right_hand": N_HAND_POINTS}


def points_to_json(points) -> list:
    """points (n, 3): x, y, confidence, NaN where missing -> per point [x, y, confidence] or None."""
    rounded = np.column_stack([np.round(points[:, :2], 3), np.round(points[:, 2:], 4)]).tolist()
    return [point if found else None for point, found in zip(rounded, np.isfinite(points[:, 0]).tolist(), strict=True)]


def compact(document) -> str:
    return json.dumps(document, separators=(",", ":"))


def person_to_json(person) -> dict:
    """A keypoints.whole.WholePerson as {"id", "score", "rank", "box", "keypoints", "smoothed", "face", "left_hand", "right_hand"}, as far as
    it has them."""
    record = {} if person.number is None else {"id": person.number}
    record |= {"score": round(person.score, 4), "rank": round(person.rank, 4), "box": _rounded(person.box)}
    if person.pose is not None:
        record["keypoints"] = points_to_json(person.keypoints)
    if person.smoothed is not None:
        record["smoothed"] = [None if x != x else [x, y] for x, y in np.round(person.smoothed, 3).tolist()]  # NaN
    for name, part in person.parts.items():
        record[name] = {"box": part.box and list(part.box), "keypoints": points_to_json(part.keypoints)}
    return record


def to_json_text(picture, size_wh, **facts) -> str:
    """One picture's result: {"image", "width", "height", facts...}; of lists, each item on a line of its own."""
    document = {"image": str(picture), "width": size_wh[0], "height": size_wh[1], **facts}
    parts = []
    for name, value in document.items():
        items = ",\n  ".join(map(json.dumps, value)) if isinstance(value, list) and value else None
        parts.append(f"{json.dumps(name)}: {json.dumps(value) if items is None else f'[{chr(10)}  {items}{chr(10)} ]'}")
    return "{\n " + ",\n ".join(parts) + "\n}\n"


def people_to_json(persons) -> dict:
    """{"joints": names, "people": [person_to_json...]}."""
    return {"joints": [joint.name for joint in Joint], "people": [person_to_json(person) for person in persons]}


def parts_to_json(persons) -> dict:
    """{"points": [...]}: the points of one face or hand that fills its picture."""
    return {"points": [point for person in persons for part in person.parts.values() for point in points_to_json(part.keypoints)]}


def to_json_line(frame, persons) -> str:
    """A frame's result on one line. frame: streams.frames.Frame."""
    document = {"frame": frame.number, "image": frame.name, "seconds": _rounded(frame.seconds), "width": frame.size_wh[0], "height": frame.size_wh[1]}
    document["people"] = [person_to_json(person) for person in persons]
    return compact(document) + "\n"


def to_coco(persons, image_id, file_name=None) -> list:
    """People of one picture as entries of a COCO result file, best first: 17 keypoints (x, y, v; v = 1, and 0, 0, 0 where missing) and a score,
    which is the person's rank: COCO's AP asks for nothing else of it.

    COCO's coordinates are those of here: the centre of the first pixel is (0, 0). file_name: an addition that COCO's own files lack.
    """
    entries = []
    for person in persons:
        points = np.where(person.pose[:, 2:] > 0, np.round(person.pose, 2), 0)[list(COCO_JOINTS)]
        points[:, 2] = points[:, 2] > 0
        name = {} if file_name is None else {"file_name": file_name}
        keypoints = points.ravel().tolist()
        entries.append({"image_id": image_id, **name, "category_id": 1, "keypoints": keypoints, "score": round(person.rank, 5)})
    return sorted(entries, key=lambda entry: -entry["score"])


def body_25(keypoints):
    """keypoints (18, 3) -> (25, 3): OpenPose's BODY_25. The middle of the hips, where both were found, has the smaller confidence; no feet (NaN)."""
    points = np.full((25, 3), np.nan)
    points[:8], points[9:19] = keypoints[:8], keypoints[8:]
    hips = keypoints[[Joint.right_hip, Joint.left_hip]]
    points[8] = *hips[:, :2].mean(0), hips[:, 2].min()
    return points


OPENPOSE_MODELS = {"COCO": lambda keypoints: keypoints, "BODY_25": body_25}


def to_openpose(persons, model="COCO") -> str:
    """A frame's people as OpenPose 1.7 writes them with a model of OPENPOSE_MODELS (version 1.3): flat lists of x, y, confidence, 0 where missing."""
    people = []
    for person in persons:
        entry = {"person_id": [-1 if person.number is None else person.number]}
        entry["pose_keypoints_2d"] = [] if person.pose is None else _flat(OPENPOSE_MODELS[model](person.keypoints))
        for name, key in OPENPOSE_PARTS.items():
            entry[key] = _flat(person.parts[name].keypoints) if name in person.parts else []
        for key in ("pose", *(key.removesuffix("_keypoints_2d") for key in OPENPOSE_PARTS.values())):
            entry[f"{key}_keypoints_3d"] = []
        people.append(entry)
    return compact({"version": OPENPOSE_VERSION, "people": people}) + "\n"


def csv_columns(parts, with_pose=True, smoothed=False) -> list:
    """The header of a table of people. parts: those of PARTS that are looked for."""
    columns = ["frame", "image", "seconds", "person", "id", "score", "rank", "left", "top", "right", "bottom"]
    if with_pose:
        columns += [f"{joint.name}_{axis}" for joint in Joint for axis in ("x", "y", "confidence")]
    if smoothed:
        columns += [f"{joint.name}_{axis}_smoothed" for joint in Joint for axis in "xy"]
    return columns + [f"{name}_{i}_{axis}" for name in PARTS if name in parts for i in range(N_POINTS[name]) for axis in ("x", "y", "confidence")]


def to_csv(frame, persons, parts, with_pose=True, smoothed=False) -> str:
    """A frame's people as lines of a table with csv_columns; an empty cell is something missing."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    for i, person in enumerate(persons):
        row = [frame.number, frame.name, _rounded(frame.seconds), i, person.number, round(person.score, 4), round(person.rank, 4)]
        row += _rounded(person.box) or [None] * 4
        if with_pose:
            row += _cells(person.keypoints)
        if smoothed:
            row += _cells(person.smoothed if person.smoothed is not None else np.full((len(Joint), 2), np.nan))
        for name in (name for name in PARTS if name in parts):
            row += _cells(person.parts[name].keypoints) if name in person.parts else [None] * 3 * N_POINTS[name]
        table.writerow(row)
    return text.getvalue()


def _cells(points) -> list:
    return [None if np.isnan(value) else round(float(value), 3 + (axis == 2)) for point in points for axis, value in enumerate(point)]


def _flat(keypoints) -> list:
    return [round(float(value), 3 + (axis == 2)) for point in np.nan_to_num(keypoints) for axis, value in enumerate(point)]


def _rounded(values, digits=3):
    """None, a number, or a list of numbers."""
    if values is None:
        return None
    return [round(float(value), digits) for value in values] if np.ndim(values) else round(float(values), digits)
