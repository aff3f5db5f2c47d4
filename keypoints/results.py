"""Write results: pictures and JSON. A file appears whole or not at all; what cannot be written is found out before the work begins."""

import json
from pathlib import Path

import cv2

from entity import Joint
from errors import InputError
from files import atomic_file, check_path


def check_image_path(path):
    """Raise InputError if no picture can be written there: an unknown extension, or a place that cannot be written."""
    path = Path(path)
    try:
        known = bool(path.suffix) and cv2.haveImageWriter(path.name)
    except cv2.error:
        known = False
    if not known:
        raise InputError(f"--out {path}: expected a picture's name (.png, .jpg, .bmp, .webp, .tif), got {path.suffix or 'no extension'!r}")
    check_path(path, "--out")


def write_image(path, image):
    """Write a picture (H, W, 3) uint8 BGR in the format of the extension."""
    try:
        done, data = cv2.imencode(Path(path).suffix, image)
    except cv2.error:
        done = False
    if not done:
        height, width = image.shape[:2]
        raise InputError(f"{path}: a picture of {width}x{height} cannot be written in this format; choose .png")
    with atomic_file(path) as part:
        part.write_bytes(data.tobytes())


def people_to_json(people) -> list:
    """Each person as {"score", "keypoints"}: per joint [x, y, confidence] in pixels, or null where it was not found.

    Also {"pose"}: the (18, 3) array as it is, x, y, v. people: keypoints.paf.People.
    """
    persons = []
    for pose, score, confidences in zip(*people, strict=True):
        keypoints = [
            [round(float(x), 3), round(float(y), 3), round(float(confidence), 4)] if v > 0 else None
            for (x, y, v), confidence in zip(pose, confidences, strict=True)
        ]
        persons.append({"score": round(float(score), 4), "keypoints": keypoints})
    return persons


def write_json(path, picture, size_wh, people, **facts):
    """One picture's people: {"image", "width", "height", facts..., "joints": names, "people": [...]}."""
    document = {"image": str(picture), "width": size_wh[0], "height": size_wh[1], **facts}
    document |= {"joints": [joint.name for joint in Joint], "people": people_to_json(people)}
    with atomic_file(path) as part:
        part.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
